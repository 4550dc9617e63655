"""What people do beside erring by their confusion rows: halo, drift, spam, and taking unequal shares of the work.

Each keeps, or is, the row of P(label | true class):

- halo: on a share c of the items a person is careless, and then errs more on all tasks of the item alike. With e the
  error of the row, d = sqrt(halo) min(e / c, (1 - e) / (1 - c)): careless e + (1 - c) d, careful e - c d, so that the
  mean over items is e. c is the person's mean error; where e = c the errors on two tasks correlate by `halo`;
- drift: the odds of a right answer change by exp(drift) from the first to the last day, and are the row's at half time;
- spammers answer every true class alike: at random, always one class of the task, or by a favourite mix of their own;
- workload: who comes to an item is drawn in proportion to weights, without replacement [efraimidis2006].

Wrong answers keep their shares among each other in all of this.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int16, Int32

from quorate.simulate.draw import TINY, categorical, dirichlet

Array = np.ndarray
BURST = 0.01  # share of the campaign in which all labels of one item arrive
EDGE = 1e-9  # a share of careless items that is 0 or 1 would be divided by


class Habits(NamedTuple):
    """What every annotator does beside the confusion rows."""

    spammer: Bool[Array, "annotators"]
    workload: Float64[Array, "annotators"]  # weight in the draw of panels
    drift: Float64[Array, "annotators"]  # change of the log-odds of a right answer over the campaign, in nats
    halo: Float64[Array, "annotators"]
    careless: Float64[Array, "annotators"]  # share of the items


def draw_habits(
    rows: tuple[Float64[Array, "annotators _classes _classes"], ...],
    spammer: Bool[Array, "annotators"],
    halo: float,
    drift: tuple[float, float],
    workload_sd: float,
    streams: tuple[np.random.Generator, np.random.Generator],
) -> Habits:
    """Drift is normal with this mean and sd, the workload lognormal; spammers have neither halo nor drift."""
    honest = ~spammer
    right = np.mean([np.diagonal(of_task, axis1=1, axis2=2).mean(axis=1) for of_task in rows], axis=0)
    mean, sd = drift
    return Habits(
        spammer,
        np.exp(workload_sd * streams[0].standard_normal(len(spammer))),
        honest * (mean + sd * streams[1].standard_normal(len(spammer))),
        honest * halo,
        np.clip(1.0 - right, EDGE, 1.0 - EDGE),
    )


# ---- spam -----------------------------------------------------------------------------------------------------------
def spammers(share: float, n_annotators: int, rng: np.random.Generator) -> Int16[Array, "annotators"]:
    """The kind of every annotator: -1 honest, 0 at random, 1 always one class, 2 a favourite mix; kinds take turns."""
    kind = np.full(n_annotators, -1, np.int16)
    chosen = rng.permutation(n_annotators)[: round(share * n_annotators)]
    kind[chosen] = np.arange(len(chosen)) % 3
    return kind


def with_spam(
    rows: Float64[Array, "annotators classes classes"], kind: Int16[Array, "annotators"], rng: np.random.Generator
) -> Float64[Array, "annotators classes classes"]:
    """The rows, with those of spammers the same for every true class."""
    n_annotators, n_classes, _ = rows.shape
    one_class = np.eye(n_classes)[rng.integers(n_classes, size=n_annotators)]
    mixes = np.stack(
        [np.full(one_class.shape, 1.0 / n_classes), one_class, dirichlet(rng, np.ones((n_annotators, n_classes)))]
    )
    of_annotator = mixes[kind, np.arange(n_annotators)]
    return np.where((kind >= 0)[:, None, None], of_annotator[:, None, :], rows)


# ---- answers --------------------------------------------------------------------------------------------------------
def arrivals(n_items: int, n_seats: int, rng: np.random.Generator) -> Float64[Array, "items seats"]:
    """When every label arrives, as a share of the campaign: items at any time, the labels of one in a burst."""
    return (1.0 - BURST) * rng.random((n_items, 1)) + BURST * (np.arange(n_seats) + 0.5) / max(n_seats, 1)


def carelessness(
    habits: Habits, panel: Int32[Array, "items seats"], rng: np.random.Generator
) -> Bool[Array, "items seats"]:
    """Who is careless about which item."""
    return rng.random(panel.shape) < habits.careless[panel]


def habitual_answers(
    rng: np.random.Generator,
    rows: tuple[Float64[Array, "annotators _classes _classes"], ...],
    habits: Habits,
    truth: Int16[Array, "items tasks"],
    panel: Int32[Array, "items seats"],
    time: Float64[Array, "items seats"] | None,
    careless: Bool[Array, "items seats"],
) -> Int16[Array, "items tasks seats"]:
    """What everyone on the panel says of every task; -1: empty seat."""
    said = np.empty((*truth.shape, panel.shape[1]), np.int16)
    for t, of_task in enumerate(rows):
        true_class = truth[:, t, None, None]
        probs = of_task[panel, truth[:, t, None]]
        is_right = np.arange(probs.shape[2]) == true_class
        right = np.take_along_axis(probs, true_class, axis=2)[..., 0]
        now = right_now(right, habits, panel, time, careless)
        said[:, t] = categorical(rng, adjusted(probs, is_right, right[..., None], now[..., None]))
    return np.where(panel[:, None, :] >= 0, said, np.int16(-1))


def right_now(
    right: Float64[Array, "*labels"],
    habits: Habits,
    annotator: Int32[Array, "*labels"],
    time: Float64[Array, "*labels"] | None,
    careless: Bool[Array, "*labels"] | bool,
) -> Float64[Array, "*labels"]:
    """P(right) of these people at this time and in this mood, from that of their row."""
    if time is not None:
        odds = np.exp(habits.drift[annotator] * (time - 0.5))
        right = right * odds / (right * odds + 1.0 - right)
    often = habits.careless[annotator]
    reach = np.sqrt(habits.halo[annotator]) * np.minimum((1.0 - right) / often, right / (1.0 - often))
    return right + np.where(careless, often - 1.0, often) * reach


def adjusted(
    probs: Float64[Array, "*shape"],
    is_right: Bool[Array, "*#shape"],
    right: Float64[Array, "*#shape"],
    now: Float64[Array, "*#shape"],
) -> Float64[Array, "*shape"]:
    """Probabilities of labels when that of the right one moves from `right` to `now`."""
    return np.where(is_right, now, probs * (1.0 - now) / np.maximum(1.0 - right, TINY))
