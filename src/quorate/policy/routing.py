"""Confidence routing: accept what a model is sure of, send the rest to people, within a budget of reviews.

The simplest policy: one threshold on one confidence, one look. With c_i the confidence in answer i, and a share of the
answers that people may review:

    accepted at threshold v    c_i >= v
    overall accuracy           (right among accepted + right among reviewed) / all

Every threshold that changes anything is tried, answers of one confidence go together, and what people get right may be
less than everything: then the best threshold need not use up the budget. A model's own confidence is often not worth
its face: `trust` holds it against what is right, bin by bin, and says so. Intervals hold for one threshold each, not
for the best of all; `certify` proves a floor for a threshold that was chosen.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from quorate.errors import SettingError
from quorate.measure.calibration import Reliability, expected_calibration_error, reliability
from quorate.measure.intervals import Interval, Intervals, wilson
from quorate.policy.stopping import DIGITS

Array = np.ndarray
Verdict = Literal["trusted", "not trusted", "cannot tell"]

BINS = 10  # of equal numbers of answers
FEWEST = 20  # answers in a bin, where there are so many
BLUR = 0.05  # half width of the interval of the accuracy above which nothing can be told of confidences


class Trust(NamedTuple):
    """Whether confidences mean what they say."""

    verdict: Verdict
    bins: Reliability
    error: float  # expected calibration error, from 0 to 1
    sentence: str  # the verdict with the worst bin, and what to do


class Routing(NamedTuple):
    """What every threshold leads to, from the one that accepts all to the one (inf) that accepts nothing."""

    threshold: Float64[Array, "thresholds"]  # accept at this confidence or more
    accepted: Int64[Array, "thresholds"]
    auto: Intervals  # accuracy of what is accepted; from 0 to 1 where nothing is
    human_share: Float64[Array, "thresholds"]  # of the answers that people review
    overall: Intervals  # accuracy of all answers, reviewed ones included
    within_budget: Bool[Array, "thresholds"]
    best: int  # place of the most accurate threshold within budget; of equals the one with the fewest reviews
    budget_share: float
    trust: Trust

    def at(self, place: int) -> dict[str, float | bool | list[float] | None]:
        """One threshold's figures, as JSON holds them; no threshold and no accuracy where nothing is accepted."""
        any_accepted = bool(self.accepted[place])
        return {
            "threshold": float(self.threshold[place]) if any_accepted else None,
            "auto_accuracy": float(self.auto.estimate[place]) if any_accepted else None,
            "auto_interval": _ends(self.auto.at(place)) if any_accepted else None,
            "human_fraction": float(self.human_share[place]),
            "overall_accuracy": float(self.overall.estimate[place]),
            "overall_interval": _ends(self.overall.at(place)),
            "within_budget": bool(self.within_budget[place]),
        }

    def figures(self) -> dict[str, Any]:
        """Everything, as JSON holds it."""
        return {
            "best": self.at(self.best),
            "budget_share": self.budget_share,
            "all_thresholds": [self.at(place) for place in range(len(self.threshold))],
            "trust": {"verdict": self.trust.verdict, "error": self.trust.error, "sentence": self.trust.sentence},
        }


def route(confidence: Float64[Array, "answers"], threshold: float) -> Bool[Array, "answers"]:
    """True where an answer is accepted as it is, False where a person reviews it.

    >>> route(np.array([0.95, 0.72, 0.9]), 0.9).tolist()
    [True, False, True]
    """
    _check_confidence(confidence)
    return np.round(confidence, DIGITS) >= np.round(threshold, DIGITS)


def search_threshold(
    confidence: Float64[Array, "answers"],
    right: Shaped[Array, "answers"],
    budget_share: float = 0.3,
    human_accuracy: float | Float64[Array, "answers"] = 1.0,
    *,
    level: float = 0.95,
) -> Routing:
    """The most accurate threshold for which people review at most this share of the answers, and all the others.

    right: 0 or 1 per answer, or a credit between them. human_accuracy: how often a reviewer is right, one number, or
    one per answer (a credit where people answered, an estimate where they did not): they may err on the very answers
    that are doubtful. Raises SettingError for no answers, and for numbers outside 0 to 1.

    >>> sure, right = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 1, 0, 1])
    >>> found = search_threshold(sure, right, budget_share=0.5)
    >>> float(found.threshold[found.best]), float(found.overall.estimate[found.best])
    (0.8, 1.0)
    """
    _check_confidence(confidence)
    credit, human = _credits(confidence, right, human_accuracy, budget_share)
    n = len(confidence)
    sure = np.round(confidence, DIGITS)
    order = np.argsort(sure, kind="stable")
    values = np.unique(sure)
    reviewed = np.append(np.searchsorted(sure[order], values), n)  # answers below each threshold
    by_model, by_people = (np.append(0.0, np.cumsum(each[order])) for each in (credit, human))
    right_accepted = np.clip(by_model[-1] - by_model[reviewed], 0.0, n - reviewed)
    right_all = np.clip(right_accepted + by_people[reviewed], 0.0, n)
    overall = wilson(right_all, np.full(len(reviewed), n), level)
    within = reviewed <= budget_share * n + 1e-9
    return Routing(
        threshold=np.append(values, np.inf),
        accepted=(n - reviewed).astype(np.int64),
        auto=_of_accepted(right_accepted, n - reviewed, level),
        human_share=reviewed / n,
        overall=overall,
        within_budget=within,
        best=int(np.where(within, np.round(overall.estimate, DIGITS), -1.0).argmax()),
        budget_share=float(budget_share),
        trust=trust(confidence, credit, level=level),
    )


def trust(confidence: Float64[Array, "answers"], right: Shaped[Array, "answers"], *, level: float = 0.95) -> Trust:
    """Whether answers are as often right as their confidence says, in bins of equal numbers of answers.

    Not trusted where a bin's mean confidence lies outside the interval of its accuracy; the intervals hold together at
    this level (Bonferroni), so that calibrated confidences are wrongly refused with at most 1 - level.

    >>> sure = np.full(400, 0.9)
    >>> trust(sure, np.arange(400) % 4 > 0).sentence[:76]
    'Not to be trusted: answers said to be 90 % sure are right in 75 % of 400 cas'
    """
    n_bins = int(np.clip(len(confidence) // FEWEST, 1, BINS))
    bins = reliability(confidence, right, n_bins=n_bins, binning="mass", level=1 - (1 - level) / n_bins)
    error = expected_calibration_error(confidence, right, n_bins=n_bins, binning="mass")
    outside = np.maximum(bins.right.low - bins.confidence, bins.confidence - bins.right.high)
    n, share = len(confidence), float(np.mean(right))
    whole = wilson(min(max(share, 0.0), 1.0) * n, n, level).at()
    at = int(np.abs(bins.right.estimate - bins.confidence).argmax())
    if outside.max() > 0:
        return Trust("not trusted", bins, error, _distrust(bins, int(outside.argmax())))
    if (whole.high - whole.low) / 2 > BLUR:
        sentence = f"Whether the confidences can be trusted cannot be told from {n} answers; judge more of them."
        return Trust("cannot tell", bins, error, sentence)
    sentence = (
        f"No sign against the confidences in {n} answers: where they are farthest off, answers said to be "
        f"{_percent(bins.confidence[at])} sure are right in {_percent(bins.right.estimate[at])} of {bins.n[at]} cases."
    )
    return Trust("trusted", bins, error, sentence)


def _distrust(bins: Reliability, at: int) -> str:
    one = bins.right.at(at)
    off = "too high" if bins.confidence[at] > one.estimate else "too low"
    return (
        f"Not to be trusted: answers said to be {_percent(bins.confidence[at])} sure are right in "
        f"{_percent(one.estimate)} of {bins.n[at]} cases ({_percent(one.low)} to {_percent(one.high)}), so the "
        f"confidences are {off} there. A threshold searched here still holds for answers like these; calibrate the "
        "confidences before you read them as probabilities."
    )


def _of_accepted(right: Float64[Array, "thresholds"], accepted: Int64[Array, "thresholds"], level: float) -> Intervals:
    """Intervals of the accuracy; 0 to 1 where nothing is accepted."""
    found = wilson(right, np.maximum(accepted, 1), level)
    some = accepted > 0
    return Intervals(
        np.where(some, found.estimate, 1.0),
        np.where(some, found.low, 0.0),
        np.where(some, found.high, 1.0),
        np.where(some, found.se, 1.0),
    )


def _credits(
    confidence: Float64[Array, "answers"],
    right: Shaped[Array, "answers"],
    human_accuracy: float | Float64[Array, "answers"],
    budget_share: float,
) -> tuple[Float64[Array, "answers"], Float64[Array, "answers"]]:
    credit = np.asarray(right, np.float64)
    human = np.broadcast_to(np.asarray(human_accuracy, np.float64), credit.shape)
    for name, values in (("right", credit), ("human_accuracy", human), ("budget_share", np.array(budget_share))):
        if not ((values >= 0) & (values <= 1)).all():
            raise SettingError(f"{name} lies between 0 and 1, not {values[~((values >= 0) & (values <= 1))][:1]}")
    if len(credit) != len(confidence):
        raise SettingError(f"right has one entry per confidence: {len(confidence)}, not {len(credit)}")
    return credit, human


def _check_confidence(confidence: Float64[Array, "answers"]) -> None:
    if not len(confidence):
        raise SettingError("there are no answers to route")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise SettingError("confidence is a probability from 0 to 1, and none of them NaN")


def _ends(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
