"""What the study of annotation with critical thinking computes: one part per data set and task.

A model's score of the annotator's answer is its criticism. A test set of 200 items chooses; all other items judge, so
that nothing is judged that chose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from quorate.act.cases import Case
from quorate.act.cases import cases_of as told_cases
from quorate.act.choose import choose
from quorate.act.detector import trees
from quorate.act.metrics import aqg, area, curve, found, quality, random_area
from quorate.data.dataset import Dataset
from quorate.study.runs import Part

Array = np.ndarray
TEST = 200  # items that choose
MOST_ITEMS = 8_000
LEAST_JUDGING = 200
CURVE_POINTS, CURVE_RESAMPLES = 51, 200
WAYS = ("second", "measured", "joined", "self", "trees")  # how the criticizer comes to be


def cases_of(folder: Path) -> Iterator[Case]:
    """The tasks that can be studied, named for their set: two models or more, and 400 items with a truth."""
    coded = Dataset.read(folder).encode()
    for case in told_cases(coded, TEST + LEAST_JUDGING):
        rows = np.sort(np.random.default_rng(0).permutation(len(case.truth))[:MOST_ITEMS])
        yield case.of(rows)._replace(task=folder.name if len(coded.schema) == 1 else f"{folder.name}, {case.task}")


# ---- parts ----------------------------------------------------------------------------------------------------------
def case_part(case: Case, seeds: Sequence[int]) -> Part:
    """Every figure of one case: choices over test sets, and what is best in hindsight."""
    drawn = [_chosen(case, seed) for seed in seeds]
    best = int((case.answers == case.truth[:, None]).mean(axis=0).argmax())
    wrong, errors = case.wrong(best), case.errors(best)
    areas = [area(column, wrong) for column in errors.T]
    by_area = sorted(range(len(areas)), key=lambda at: -_estimate(areas[at]))
    return {
        "items": len(case.truth),
        "models": list(case.models),
        "accuracy": (case.answers == case.truth[:, None]).mean(axis=0).tolist(),
        "annotator": case.models[best],
        "critics": [[case.models[at], *(areas[at] or ())] for at in by_area],
        "seeds": drawn,
        "random": random_area(len(case.truth) - TEST),
        "curve": _curve(errors[:, by_area[0]], wrong),
        "pairs": _best_pairs(case),
    }


def _chosen(case: Case, seed: int) -> dict[str, Any]:
    """One test set: ABS of every way to a criticizer on the items that judge, and of the best one in hindsight."""
    order = np.random.default_rng(seed).permutation(len(case.truth))
    test, judging = case.of(order[:TEST]), case.of(order[TEST:])
    choice = choose(test.scores, test.truth, case.models)
    first = case.models.index(choice.annotator)
    wrong, errors = judging.wrong(first), judging.errors(first)
    second = case.models.index(choice.abilities[1].model)
    of = {
        "second": errors[:, second],
        "measured": errors[:, case.models.index(choice.criticizer)],
        "joined": (errors[:, second] + errors[:, first]) / 2,
        "self": errors[:, first],
        "trees": _by_trees(test, judging, first, seed),
    }
    areas = np.array([_estimate(area(column, wrong)) for column in errors.T])
    ideal = int(wrong.sum())
    return {
        "annotator": choice.annotator,
        "criticizer": choice.criticizer,
        "second_model": choice.abilities[1].model,
        "area": {name: _estimate(area(each, wrong)) for name, each in of.items()},
        "quality": {name: quality(each, wrong) for name, each in of.items()},
        "hindsight": float(areas.max()),
        "hindsight_other": float(np.delete(areas, first).max()),
        "wrong": ideal / len(wrong),
        "in_vain": {name: found(each, wrong, ideal).false_positives / len(wrong) for name, each in of.items()},
        "gain": {name: aqg(each, wrong, ideal) for name, each in of.items()},
    }


def _by_trees(test: Case, judging: Case, model: int, seed: int) -> Float64[Array, "items"]:
    """P(wrong) by the detector of [gligoric2025], taught by the test set; all alike where it has nothing to learn."""
    wrong = test.wrong(model)
    if not 0 < wrong.sum() < len(wrong):
        return np.full(len(judging.truth), wrong.mean())
    return trees(_features(test, model), wrong, seed=seed).predict_proba(_features(judging, model))[:, 1]


def _features(case: Case, model: int) -> Float64[Array, "items features"]:
    """The class that the model names as 0 and 1, and its scores, the largest first."""
    own = case.scores[:, model]
    named = np.eye(own.shape[1])[case.answers[:, model]]
    return np.hstack([named, -np.sort(-own, axis=1)])


def _best_pairs(case: Case) -> dict[str, Any]:
    """The pair of largest ABS among all, and the pair whose labels are best over all budgets."""
    pairs = [
        (_estimate(area(errors, wrong)), quality(errors, wrong), annotator, critic)
        for annotator in range(len(case.models))
        for wrong in [case.wrong(annotator)]
        for critic, errors in enumerate(case.errors(annotator).T)
    ]
    by_area, by_quality = max(pairs, key=lambda each: each[0]), max(pairs, key=lambda each: each[1])
    return {
        name: {"area": each[0], "quality": each[1], "pair": [case.models[each[2]], case.models[each[3]]]}
        for name, each in (("area", by_area), ("quality", by_quality))
    }


def _curve(errors: Float64[Array, "items"], wrong: Bool[Array, "items"]) -> list[list[float]]:
    """Share, gain, low and high of the budget curve; empty where no label is wrong."""
    of = curve(errors, wrong, points=CURVE_POINTS, resamples=CURVE_RESAMPLES)
    return [] if of is None else [each.tolist() for each in of]


def _estimate(of: Any) -> float:
    """ABS; that of a perfect annotator is 1, since nothing is left to find."""
    return 1.0 if of is None else float(of.estimate)
