"""What the study of calibration computes: one part per model and task, kept with everything its tables need.

A case is one model on one task. A fifth of the items is set aside as the past: there the labels of all *other* cases
are known, and nothing is ever evaluated. Of the rest, some items are labeled for the case (the shots) and all others
judge it. So no label that taught anything is judged, and no case teaches itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.calibrate.calibrators import Calibrator, Identity
from quorate.calibrate.methods import METHODS, calibrator
from quorate.calibrate.per_model import Case, cases_of
from quorate.calibrate.prior import WEAK, Gaussian, Prior
from quorate.calibrate.sampling import STRATEGIES, Selection, select, surrogate_errors
from quorate.calibrate.scaling import Family
from quorate.calibrate.transfer import TaskExamples, learned, pooled, similar
from quorate.data.dataset import Dataset
from quorate.errors import DataError
from quorate.evaluate.protocol import truth_of
from quorate.measure.calibration import log_loss, reliability, top_answers
from quorate.measure.miscalibration import adaptive_calibration_error, chance_error
from quorate.study.runs import Part

Array = np.ndarray
SHOTS = (10, 20, 50, 100)
SCALINGS: tuple[Family, ...] = ("vector", "temperature")  # the order of the source's table
RIVALS = ("matrix", "platt", "isotonic", "beta")
TRANSFERS = ("all", "similar")
PRIORS = ("identity", "learned", "none")
PAST_SHARE = 0.2
N_CLUSTERS = 6
FEWEST = 2  # cases, so that there is another one to learn from
PLENTY = 200  # items left to judge after the most shots


class Ready(NamedTuple):
    """A data set's cases, and which items are the past of all of them."""

    cases: tuple[Case, ...]
    past: Int64[Array, "past"]


class Run(NamedTuple):
    """One way to calibrate: labels, their selection, the scaling and the prior."""

    shots: int
    selection: str
    method: str
    prior: str

    @property
    def key(self) -> str:
        """Its name in a part."""
        return f"{self.shots}/{self.selection}/{self.method}/{self.prior}"


GRID = tuple(Run(*each) for each in product(SHOTS, STRATEGIES, SCALINGS, PRIORS))
RIVAL_GRID = tuple(Run(shots, "uniform", name, "identity") for shots, name in product(SHOTS, RIVALS))


# ---- the data -------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=1)
def ready(folder: Path) -> Ready:
    """The cases of a folder. Raises DataError where fewer than two can be studied."""
    coded = Dataset.read(folder).encode()
    past = np.random.default_rng(0).random(coded.n_items) < PAST_SHARE
    found = [case for case in cases_of(coded, truth_of(coded).code) if _plenty(case, past)]
    if len(found) < FEWEST:
        raise DataError(
            f"{len(found)} models or tasks have scores and {max(SHOTS) + PLENTY} known answers beside the past",
            mend="name a folder with scores of two models or more, and gold",
            source=str(folder),
        )
    return Ready(tuple(found), np.flatnonzero(past))


def _plenty(case: Case, past: Array) -> bool:
    here = case.labeled
    known_past = past[case.items[here]]
    return bool((~known_past).sum() >= max(SHOTS) + PLENTY and known_past.sum() >= 2 * N_CLUSTERS)


def _split(case: Case, past: Int64[Array, "past"]) -> tuple[Int64[Array, "before"], Int64[Array, "pool"]]:
    """Places of labeled items in the past, and after it."""
    known_past = np.isin(case.items[case.labeled], past)
    return case.labeled[known_past], case.labeled[~known_past]


# ---- one case -------------------------------------------------------------------------------------------------------
class Taught(NamedTuple):
    """What the other cases teach this one."""

    transferred: dict[str, Calibrator]  # by transfer and scaling
    learned: dict[str, Gaussian]  # by scaling
    n_similar: int


def case_part(of: Ready, place: int, seeds: Sequence[int]) -> Part:
    """Everything about one case, over seeds of the selection."""
    case = of.cases[place]
    _, pool = _split(case, of.past)
    taught = _taught(of, place)
    raw = Identity().apply(case.log_scores[pool])
    surrogate = surrogate_errors(raw, taught.transferred["similar/temperature"].apply(case.log_scores[pool]))
    truth = case.truth[pool]
    return {
        "task": case.task,
        "model": case.model,
        "items": len(pool),
        "n_similar": taught.n_similar,
        "accuracy": float(top_answers(raw, truth)[1].mean()),
        "confidence": float(raw.max(axis=1).mean()),
        "raw": _figures(raw, truth),
        "chance": chance_error(raw.max(axis=1)),
        "surrogate_error": float(surrogate.mean()),
        "transferred": {
            name: _figures(each.apply(case.log_scores[pool]), truth) for name, each in taught.transferred.items()
        },
        "runs": _runs(case, pool, raw, surrogate, taught, seeds),
        "bins": _bins(case, pool, raw, seeds[0]),
    }


def _taught(of: Ready, place: int) -> Taught:
    """From the past of the other cases with as many classes; similar: whose answers there are like this one's."""
    case = of.cases[place]
    width = case.log_scores.shape[1]
    alike = [each for each in range(len(of.cases)) if of.cases[each].log_scores.shape[1] == width and each != place]
    if not alike:
        raise DataError(
            f"no other model or task has {width} classes", mend="study data with two such", source=case.task
        )
    past = {each: _past_examples(of, each) for each in alike}
    own = _split(case, of.past)[0]
    embeddings = [case.log_scores[own], *(past[each].log_scores for each in alike)]
    near = [alike[each - 1] for each in similar(_fingerprints(embeddings), 0, n_clusters=_n_clusters(alike),
                                               rng=np.random.default_rng(0))]  # fmt: skip
    transferred = {
        f"{name}/{method}": pooled(method, [past[each] for each in chosen])
        for (name, chosen), method in product((("all", alike), ("similar", near)), SCALINGS)
    }
    return Taught(transferred, {name: learned(name, list(past.values())) for name in SCALINGS}, len(near))


def _n_clusters(alike: Sequence[int]) -> int:
    return min(N_CLUSTERS, len(alike) + 1)


def _fingerprints(embeddings: Sequence[Float64[Array, "_items classes"]]) -> list[Float64[Array, "1 features"]]:
    """How a model spreads its scores, one row per case: deciles of its sorted scores. No label is looked at."""
    grid = np.linspace(0.05, 0.95, 10)
    of = [np.sort(Identity().apply(each), axis=1)[:, ::-1][:, :2] for each in embeddings]
    rows = [np.quantile(each, grid, axis=0).ravel()[None] for each in of]
    return [np.asarray(row, np.float64) for row in rows]


def _past_examples(of: Ready, place: int) -> TaskExamples:
    return of.cases[place].examples(_split(of.cases[place], of.past)[0])


def _runs(
    case: Case,
    pool: Int64[Array, "pool"],
    raw: Float64[Array, "pool classes"],
    surrogate: Float64[Array, "pool"],
    taught: Taught,
    seeds: Sequence[int],
) -> dict[str, dict[str, list[float]]]:
    """Per way to calibrate and seed: ACE and log loss after, and the same of the raw scores on the same items."""
    found: dict[str, dict[str, list[float]]] = {}
    for seed, shots, selection in product(seeds, SHOTS, STRATEGIES):
        rng = np.random.default_rng([seed, shots, *case.model.encode(), *case.task.encode()])
        chosen = select(selection, shots, rng, surrogate_error=surrogate)
        rest = np.delete(np.arange(len(pool)), chosen.places)
        before = _figures(raw[rest], case.truth[pool[rest]])
        for run in (*GRID, *RIVAL_GRID):
            if (run.shots, run.selection) == (shots, selection):
                after = _fitted(case, pool, chosen, run, taught).apply(case.log_scores[pool[rest]])
                row = found.setdefault(run.key, {"ace": [], "log_loss": [], "raw_ace": [], "raw_log_loss": []})
                for name, value in (_figures(after, case.truth[pool[rest]])).items():
                    row[name].append(value)
                    row[f"raw_{name}"].append(before[name])
    return found


def _fitted(case: Case, pool: Int64[Array, "pool"], chosen: Selection, run: Run, taught: Taught) -> Calibrator:
    priors: dict[str, Prior | Gaussian | None] = {"identity": None, "none": WEAK}
    prior = taught.learned[run.method] if run.prior == "learned" else priors[run.prior]
    examples = case.examples(pool[chosen.places])
    return calibrator(run.method, *examples, weights=chosen.weights, prior=prior)


def _figures(probs: Float64[Array, "items classes"], truth: Int64[Array, "items"]) -> dict[str, float]:
    confidence, right = top_answers(probs, truth)
    ace = adaptive_calibration_error(confidence, right)
    return {"ace": round(ace, 6), "log_loss": round(log_loss(probs, truth).estimate, 6)}


def _bins(case: Case, pool: Int64[Array, "pool"], raw: Float64[Array, "pool classes"], seed: int) -> dict[str, Any]:
    """Reliability with the raw scores and after a hundred even labels, in ten bins: numbers, confidence, hits."""
    chosen = select("uniform", max(SHOTS), np.random.default_rng(seed), surrogate_error=np.zeros(len(pool)))
    rest = np.delete(np.arange(len(pool)), chosen.places)
    fitted = calibrator("vector", *case.examples(pool[chosen.places]))
    kinds = {"raw": raw[rest], "vector": fitted.apply(case.log_scores[pool[rest]])}
    return {name: _sums(probs, case.truth[pool[rest]]) for name, probs in kinds.items()}


def _sums(probs: Float64[Array, "items classes"], truth: Int64[Array, "items"]) -> dict[str, list[float]]:
    found = reliability(*top_answers(probs, truth), n_bins=10)
    n = np.zeros((3, 10))
    place = np.round(found.low * 10).astype(int)
    n[:, place] = found.n, found.n * found.confidence, found.n * found.right.estimate
    return {"n": n[0].tolist(), "confidence": n[1].round(6).tolist(), "right": n[2].round(6).tolist()}


def settings(seeds: Sequence[int]) -> dict[str, Any]:
    """Everything that a part depends on beside its data and source."""
    return {
        "seeds": list(seeds),
        "shots": SHOTS,
        "grid": [run.key for run in (*GRID, *RIVAL_GRID)],
        "prior": repr(Prior()),
        "methods": sorted(METHODS),
        "clusters": N_CLUSTERS,
        "past": PAST_SHARE,
    }
