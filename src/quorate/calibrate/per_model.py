"""A calibrator per model and task of a data set: what is fitted, how it is judged, and what it makes of the scores.

Without a number of shots, figures come from folds over items: each fold is judged by a calibrator fitted on the others,
and the calibrator that is kept is fitted on all. With shots, so many labeled examples are selected per model and task,
the calibrator is fitted on them, and all other labeled items judge it. With transfer from all or similar other tasks no
label of the task itself is used, so that all of them judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int64

from quorate.calibrate.calibrators import Calibrator, Identity
from quorate.calibrate.logits import log_scores, score_floor
from quorate.calibrate.methods import LEARNING, METHODS, calibrator
from quorate.calibrate.prior import Gaussian, Prior
from quorate.calibrate.sampling import STRATEGIES, Strategy, select, surrogate_errors
from quorate.calibrate.scaling import Family
from quorate.calibrate.transfer import TaskExamples, learned, pooled, similar
from quorate.data.encode import Coded
from quorate.errors import NotFittedError, SettingError
from quorate.measure.calibration import FLOOR
from quorate.measure.intervals import Interval, paired_difference
from quorate.measure.miscalibration import Miscalibration, miscalibration

Array = np.ndarray
Transfer = Literal["none", "prior", "all", "similar"]
Progress = Callable[[float, str], None]
POOLED = ("all", "similar")  # no label of the task itself is used
N_CLUSTERS = 6  # of the items' features, at most
SCORES = 1  # the kind of output that is calibrated
FEWEST_JUDGED = 10  # labeled items behind a figure


class Case(NamedTuple):
    """One model on one task: items that it scored, of which the truth is known or -1."""

    task: str
    model: str
    items: Int64[Array, "items"]  # places in the data set
    log_scores: Float64[Array, "items classes"]
    truth: Int64[Array, "items"]
    floor: float  # what a score of 0 was taken for
    features: Float32[Array, "items features"]  # of the items; width 0 where there are none

    @property
    def labeled(self) -> Int64[Array, "labeled"]:
        """Places of the items whose truth is known."""
        return np.flatnonzero(self.truth >= 0)

    def examples(self, places: Int64[Array, "chosen"]) -> TaskExamples:
        """Log scores and truth of these items."""
        return TaskExamples(self.log_scores[places], self.truth[places])


@dataclass(frozen=True)
class Options:
    """How every case is calibrated. Raises SettingError for what does not exist."""

    method: str = "temperature"
    shots: int | None = None
    selection: Strategy = "uniform"
    transfer: Transfer = "none"  # from the model's other tasks: a prior, or all there is (all of them, or similar ones)
    prior: Prior | None = None
    folds: int = 5
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SettingError(f"there is no method {self.method!r}; use one of {', '.join(METHODS)}")
        if self.transfer in POOLED and self.shots is not None:
            raise SettingError(f"transfer {self.transfer} uses no label of the task itself: leave the shots out")
        if self.selection not in STRATEGIES:
            raise SettingError(f"there is no selection {self.selection!r}; use one of {', '.join(STRATEGIES)}")
        if self.transfer == "prior" and self.method not in LEARNING:
            raise SettingError(f"only {', '.join(LEARNING)} take a prior from other tasks, not {self.method}")
        if self.selection != "uniform" and self.shots is None:
            raise SettingError(f"{self.selection} selection needs a number of shots")
        if self.shots is not None and self.shots < 1:
            raise SettingError(f"shots must be at least 1, not {self.shots}")


class Judged(NamedTuple):
    """A calibrator, what it was fitted on, and the figures before and after on items that it did not see."""

    case: Case
    calibrator: Calibrator
    n_fitted: int
    n_judged: int
    before: Miscalibration
    after: Miscalibration
    gain_nats: Interval  # log loss before less log loss after


# ---- cases ----------------------------------------------------------------------------------------------------------
def cases_of(coded: Coded, truth: Int16[Array, "items tasks"]) -> list[Case]:
    """Every model with scores on every task; truth: a class code, -1 where it is unknown."""
    return [
        case
        for task in range(coded.n_tasks)
        for model in range(len(coded.models))
        if len((case := _case(coded, truth, task, model)).items)
    ]


def _case(coded: Coded, truth: Int16[Array, "items tasks"], task: int, model: int) -> Case:
    output = coded.outputs[task]
    items = np.flatnonzero(output.kind[:, model] == SCORES)
    scores = output.scores[items, model]
    floor = score_floor(scores)
    known = truth[items, task].astype(np.int64)
    x, features = log_scores(scores, floor), coded.features[items]
    return Case(coded.schema.tasks[task].name, coded.models[model], items, x, known, floor, features)


# ---- fit and judge --------------------------------------------------------------------------------------------------
def judged(case: Case, others: Sequence[Case], options: Options) -> Judged:
    """One case calibrated; others: tasks that may teach it (same model, same number of classes).

    Raises NotFittedError where too few labels are known, or where other tasks are needed and there are none.
    """
    labeled = case.labeled
    n_needed = FEWEST_JUDGED + (options.shots or 0)
    if len(labeled) < n_needed:
        raise NotFittedError(
            f"{len(labeled)} of the items that {case.model!r} scored on task {case.task!r} have a known answer; "
            f"{n_needed} are needed"
        )
    rng = np.random.default_rng([options.seed, *case.task.encode(), *case.model.encode()])
    if options.transfer in POOLED:
        taught = _taught(case, others, options, rng)
        kept = pooled(options.method, taught, prior=options.prior)
        n_fitted = sum(len(other.truth) for other in taught)
        return _figures(case, kept, n_fitted, labeled, kept.apply(case.log_scores[labeled]), options)
    prior = _prior(others, options)
    if options.shots is None:
        kept, probs, places = _by_folds(case, labeled, prior, options, rng)
        n_fitted = len(labeled)
    else:
        kept, places = _by_shots(case, others, prior, options, rng)
        probs, n_fitted = kept.apply(case.log_scores[places]), options.shots
    return _figures(case, kept, n_fitted, places, probs, options)


def _taught(case: Case, others: Sequence[Case], options: Options, rng: np.random.Generator) -> list[TaskExamples]:
    """Examples of all other tasks, or of those whose items cluster with this task's by their features."""
    known = [other for other in others if len(other.labeled)]
    if not known:
        raise NotFittedError(
            f"transfer {options.transfer} for {case.model!r} on task {case.task!r} needs labels of another task with "
            "as many classes"
        )
    if options.transfer == "similar":
        if not case.features.shape[1]:
            raise NotFittedError("transfer similar needs features of items: x_* columns or an embedding")
        features = [each.features[each.labeled] for each in (case, *known)]
        near = similar(features, 0, n_clusters=min(N_CLUSTERS, len(features)), rng=rng)
        known = [known[place - 1] for place in near]
    return [other.examples(other.labeled) for other in known]


def _prior(others: Sequence[Case], options: Options) -> Prior | Gaussian | None:
    taught = [other.examples(other.labeled) for other in others if len(other.labeled)]
    if options.transfer == "none" or not taught:
        return options.prior
    return learned(_family(options.method), taught, prior=options.prior)


def _family(method: str) -> Family:
    return next(family for family in LEARNING if family == method)


def _by_folds(
    case: Case,
    labeled: Int64[Array, "labeled"],
    prior: Prior | Gaussian | None,
    options: Options,
    rng: np.random.Generator,
) -> tuple[Calibrator, Float64[Array, "labeled classes"], Int64[Array, "labeled"]]:
    """The calibrator on all labels, and what those of the other folds make of each item."""
    probs = np.empty((len(labeled), case.log_scores.shape[1]))
    for fold in np.array_split(rng.permutation(len(labeled)), options.folds):
        rest = np.delete(labeled, fold)
        fitted = calibrator(options.method, *case.examples(rest), prior=prior)
        probs[fold] = fitted.apply(case.log_scores[labeled[fold]])
    return calibrator(options.method, *case.examples(labeled), prior=prior), probs, labeled


def _by_shots(
    case: Case,
    others: Sequence[Case],
    prior: Prior | Gaussian | None,
    options: Options,
    rng: np.random.Generator,
) -> tuple[Calibrator, Int64[Array, "judged"]]:
    """The calibrator on the selected labels, and the labeled items that were not selected."""
    labeled = case.labeled
    chosen = select(
        options.selection, options.shots or 0, rng, surrogate_error=_surrogate(case, labeled, others, options)
    )
    shots = labeled[chosen.places]
    kept = calibrator(options.method, *case.examples(shots), weights=chosen.weights, prior=prior)
    return kept, np.delete(labeled, chosen.places)


def _surrogate(
    case: Case, labeled: Int64[Array, "labeled"], others: Sequence[Case], options: Options
) -> Float64[Array, "labeled"]:
    """How far a temperature fitted on the other tasks moves each item; 0 where the selection does not ask."""
    if options.selection == "uniform":
        return np.zeros(len(labeled))
    taught = [other.examples(other.labeled) for other in others if len(other.labeled)]
    if not taught:
        raise NotFittedError(
            f"{options.selection} selection for {case.model!r} on task {case.task!r} needs labels of another task "
            "with as many classes; use uniform"
        )
    x = case.log_scores[labeled]
    return surrogate_errors(Identity().apply(x), pooled("temperature", taught).apply(x))


def _figures(
    case: Case,
    kept: Calibrator,
    n_fitted: int,
    places: Int64[Array, "judged"],
    after: Float64[Array, "judged classes"],
    options: Options,
) -> Judged:
    truth, before = case.truth[places], Identity().apply(case.log_scores[places])

    def figures(probs: Float64[Array, "judged classes"]) -> Miscalibration:
        return miscalibration(probs, truth, rng=np.random.default_rng(options.seed), resamples=options.resamples)

    gain = paired_difference(_losses(before, truth), _losses(after, truth))
    return Judged(case, kept, n_fitted, len(places), figures(before), figures(after), gain)


def _losses(probs: Float64[Array, "judged classes"], truth: Int64[Array, "judged"]) -> Float64[Array, "judged"]:
    return -np.log(np.maximum(probs[np.arange(len(truth)), truth], FLOOR))


# ---- all of them ----------------------------------------------------------------------------------------------------
class Found(NamedTuple):
    """Every case that could be calibrated, and why the others could not."""

    judged: tuple[Judged, ...]
    failed: dict[tuple[str, str], str]  # by task and model


def calibrate_all(cases: Sequence[Case], options: Options, *, progress: Progress | None = None) -> Found:
    """Every case, each by itself; a case with too few known answers is left out and says why.

    Raises NotFittedError where no case can be calibrated.
    """
    done: list[Judged] = []
    failed: dict[tuple[str, str], str] = {}
    for place, case in enumerate(cases):
        if progress:
            progress(place / len(cases), f"{case.task}, {case.model}")
        try:
            done.append(judged(case, others_of(case, cases), options))
        except NotFittedError as error:
            failed[case.task, case.model] = str(error)
    if not done:
        why = next(iter(failed.values()), "no model gives scores")
        raise NotFittedError(f"nothing can be calibrated: {why}")
    return Found(tuple(done), failed)


def others_of(case: Case, cases: Sequence[Case]) -> list[Case]:
    """The same model's other tasks with as many classes."""
    width = case.log_scores.shape[1]
    return [
        each
        for each in cases
        if each.model == case.model and each.task != case.task and each.log_scores.shape[1] == width
    ]
