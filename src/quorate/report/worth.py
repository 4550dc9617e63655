"""What each model adds: fit without it, and see what is lost.

On two halves of the items, by the protocol of `evaluate.protocol`: one half teaches, with and without the model, the
other is judged. Lost are nats of a hidden person's label, and labels that have to be bought in its stead to be as right
as the goal. Settings are fixed beforehand and the same for all fits, so that a difference is the model's and not the
search's. Differences are paired, their errors clustered by item [liang1986].

Two copies of one model are each worth nothing while the other is there, and cannot both go. So those that seem spare
are left out together, and it is this loss that must be small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.estimator import Estimator, Given
from quorate.data.encode import Coded
from quorate.errors import DataError
from quorate.evaluate.protocol import Truth, clustered_mean, hidden, judgeable, last_labels, n_labels, replay, trial
from quorate.measure.efficiency import Estimate
from quorate.report.ladder import Ladder, drawn, joined, needed, of_states

Array = np.ndarray
Progress = Callable[[float, str], None]
GIVEN: tuple[Given, ...] = ("others", "evidence")
MANY = 16  # models; beyond it, the items are sampled
FEW_ITEMS = 1_000
MOST_ALONE = 24  # models that are left out one by one: those that answered most
MARGIN = 0.01  # nats per label: a loss that is surely smaller is called nothing,
RUNGS = 1.0 - np.geomspace(1.0, 1e-6, 80)  # thresholds, dense where confidence is high
LABELS_MARGIN = 0.02  # if labels for the goal, as a share of all, surely do not rise by more than this either
ONE_SIDED = 1.645  # standard errors: 95 % sure


class Loss(NamedTuple):
    """What is lost without these models; above 0: they help."""

    models: tuple[str, ...]
    nats: Estimate | None  # of a person's hidden label, given all other labels
    nats_alone: Estimate | None  # of the same, given what models say alone
    labels: Estimate | None  # to be bought for the goal, as a share of all labels

    def surely_nothing(self) -> bool:
        """Whether the loss is, with 95 % certainty each, below both margins; labels count where they are known."""
        no_labels = self.labels is None or _surely_below(self.labels, LABELS_MARGIN)
        return self.nats is not None and _surely_below(self.nats, MARGIN) and no_labels


class Worth(NamedTuple):
    """What the models add, one by one and together."""

    each: tuple[Loss, ...]  # the most valuable first; of very many models only those that answered most
    together: Loss  # without any model
    spare: Loss | None  # the largest group tried that can go and nothing is lost
    goal: float  # the accuracy at which labels are counted
    items: int


def _surely_below(estimate: Estimate, margin: float) -> bool:
    return estimate.se is not None and estimate.value + ONE_SIDED * estimate.se < margin


def worth(coded: Coded, option: Estimator, goal: float, *, seed: int = 0, progress: Progress | None = None) -> Worth:
    """Every model left out in turn, all of them, and those that seem spare together.

    option: with its settings given (see `settle.settled`). Raises DataError without models, and where the estimator
    does not listen to them.
    """
    speaking = _speaking(coded)
    if not speaking:
        raise DataError("no model answered", mend="add scores or model_labels")
    if not len(coded.labels.code):
        raise DataError("no person has labeled anything that models could foretell", mend="add people's labels")
    alone = speaking[:MOST_ALONE]
    bench = _Bench(_few(coded, seed) if len(speaking) > MANY else coded, option, goal, seed)
    fits = len(alone) + 2 + len(alone).bit_length()

    def without(names: Sequence[str], done: int) -> Loss:
        if progress is not None:
            progress(done / fits, f"without {names[0]}" if len(names) == 1 else f"without {len(names)} models")
        return bench.without(tuple(names))

    together = without(speaking, 1)
    if not bench.listens:
        raise DataError("the estimator does not listen to models", mend="use one that does, such as hybrid")
    each = [together] if len(speaking) == 1 else [without([name], 2 + i) for i, name in enumerate(alone)]
    each.sort(key=_rank)
    spare = _spare(each, lambda names: without(names, fits - 1))
    return Worth(tuple(each), together, spare, goal, bench.n_items)


def _speaking(coded: Coded) -> list[str]:
    """The models that answered anything, those that answered most first."""
    answers = np.zeros(len(coded.models), np.int64)
    for output in coded.outputs:
        answers += (output.kind > 0).sum(axis=0)
    return [coded.models[m] for m in np.argsort(-answers, kind="stable") if answers[m] > 0]


def _few(coded: Coded, seed: int) -> Coded:
    """A sample of the items that can be judged: with many models there are many fits."""
    items = np.flatnonzero(judgeable(coded))
    return coded.select(np.sort(np.random.default_rng(seed).permutation(items)[:FEW_ITEMS]))


def _rank(loss: Loss) -> float:
    """The most valuable first, by nats where they are known."""
    known = loss.nats or loss.nats_alone or loss.labels
    return 0.0 if known is None else -known.value


def _spare(each: Sequence[Loss], without: Callable[[list[str]], Loss]) -> Loss | None:
    """The largest group, the least valuable first, whose joint loss is surely nothing; found by halving."""
    order = [loss.models[0] for loss in reversed(each) if loss.nats is not None and loss.nats.value < MARGIN]
    order = order if len(order) < len(each) else order[:-1]  # one of them stays
    single = {loss.models: loss for loss in each}
    found: Loss | None = None
    low, high = 0, len(order)
    while low < high:
        middle = (low + high + 1) // 2
        names = order[:middle]
        loss = single.get(tuple(names)) or without(names)
        if loss.surely_nothing():
            found, low = loss, middle
        else:
            high = middle - 1
    return found


class _Judged(NamedTuple):
    """One fit on each half, judged on the other."""

    losses: Mapping[str, Float64[Array, "held"]]  # nats; by what is given
    item: Int64[Array, "held"]
    ladder: Ladder


class _Bench:
    """The two halves, and what the fit with all models reaches on them."""

    def __init__(self, coded: Coded, option: Estimator, goal: float, seed: int) -> None:
        ready = trial(coded, seed=seed)
        self.n_items = ready.coded.n_items
        self._halves, self._option, self._goal = ready.halves(), option, goal
        self._models = ready.coded.models
        self._all = self._judged(self._models)
        self.listens = False

    def without(self, names: tuple[str, ...]) -> Loss:
        """What is lost without these models."""
        left = self._judged(tuple(name for name in self._models if name not in names))
        self.listens |= any((left.losses[given] != loss).any() for given, loss in self._all.losses.items())
        self.listens |= not np.array_equal(left.ladder.credit, self._all.ladder.credit)
        nats, alone = (
            clustered_mean(left.losses[given] - self._all.losses[given], left.item) if len(left.item) else None
            for given in GIVEN
        )
        return Loss(names, nats, alone, more_labels(left.ladder, self._all.ladder, self._goal))

    def _judged(self, models: tuple[str, ...]) -> _Judged:
        first, second = (self._half(*half, models) for half in self._halves)
        losses = {given: np.concatenate([first.losses[given], second.losses[given]]) for given in GIVEN}
        item = np.concatenate([first.item, second.item + len(first.ladder.cells)])
        return _Judged(losses, item, joined(first.ladder, second.ladder))

    def _half(self, teach: Coded, judge: Coded, truth: Truth, models: tuple[str, ...]) -> _Judged:
        model = self._option.fit(teach.aligned(teach.schema, teach.annotators, models))
        states, counted = replay(model, judge, truth), truth.code >= 0
        ladder = of_states(states.confidence, states.credit, n_labels(judge), counted, RUNGS)
        if not len(last_labels(judge)):
            return _Judged(dict.fromkeys(GIVEN, np.zeros(0)), np.zeros(0, np.int64), ladder)
        held = {given: hidden(model, judge, given) for given in GIVEN}
        return _Judged({given: each.loss for given, each in held.items()}, held["others"].item, ladder)


def more_labels(without: Ladder, with_all: Ladder, goal: float) -> Estimate | None:
    """Labels more for the goal, as a share of all; None where one of them never reaches it."""

    def gap(weight: Float64[Array, "items"] | None) -> float | None:
        one, other = needed(without, goal, weight), needed(with_all, goal, weight)
        return None if one is None or other is None else one - other

    value = gap(None)
    if value is None:
        return None
    draws = drawn(len(with_all.cells), lambda weight: gap(weight) if weight @ with_all.cells > 0 else None)
    return Estimate(value, float(np.std(draws, ddof=1)) if len(draws) > 1 else None)
