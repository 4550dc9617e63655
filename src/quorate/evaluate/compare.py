"""Estimators side by side on one data set, by the protocol."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from quorate.consensus.door import coded_of
from quorate.consensus.estimator import Estimator, Given, Model
from quorate.consensus.registry import estimator
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import QuorateError
from quorate.evaluate.protocol import Hidden, Replay, Trial, clustered_mean, hidden, n_labels, replay, trial
from quorate.measure.efficiency import Estimate, StopRule, auc_estimate, moves

Array = np.ndarray
Progress = Callable[[float, str], None]
ALWAYS = ("majority", "majority-all")  # people alone, people and models alike: what everything is measured against
GIVEN: dict[str, Given] = {"all_others": "others", "evidence_only": "evidence"}
RULES: tuple[StopRule, ...] = ("minimum", "per_task")


class HiddenFigure(NamedTuple):
    """How well hidden labels of people were predicted; standard errors clustered by item."""

    nll: Estimate  # nats
    hit: Estimate


class TruthFigure(NamedTuple):
    """How right the consensus is after so many labels; item-tasks with fewer keep all they have."""

    labels: int
    accuracy: Estimate
    log_loss: Estimate  # nats
    cells: int  # item-tasks judged
    reached: int  # of them, those that have so many labels


@dataclass(frozen=True, eq=False)
class Result:
    """One estimator on one data set; what the data cannot tell is absent."""

    hidden: dict[str, HiddenFigure]  # by the keys of GIVEN
    truth: tuple[TruthFigure, ...]
    auc: dict[str, Estimate]  # by the rules of stopping
    fit_s: float  # seconds of one fit, the mean of two
    status: tuple[str, ...]  # how the two fits ended
    held: dict[str, Hidden] = field(repr=False)  # label by label, for paired differences

    def figures(self) -> dict[str, Any]:
        """As `to_json` writes it; null where the data cannot tell."""
        return {
            "hidden_label": {given: _hidden_json(self.hidden.get(given)) for given in GIVEN},
            "truth": [_truth_json(row) for row in self.truth],
            "auc": {rule: self.auc[rule].value if rule in self.auc else None for rule in RULES},
            "auc_se": {rule: self.auc[rule].se if rule in self.auc else None for rule in RULES},
            "fit_s": self.fit_s,
            "status": list(self.status),
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """The results of all estimators, in the order of the table."""

    results: dict[str, Result]
    failed: dict[str, str]  # estimators that could not work on this data, and why
    notes: tuple[str, ...]  # what the data could not tell, one sentence each
    n_items: int
    n_hidden: int

    def paired(self, first: str, second: str, given: str = "all_others") -> Estimate | None:
        """Mean difference of the hidden-label log loss, first minus second, in nats; below 0: the first is better."""
        if given not in self.results[first].held or given not in self.results[second].held:
            return None
        one, other = self.results[first].held[given], self.results[second].held[given]
        return clustered_mean(one.loss - other.loss, one.item)

    def figures(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        return {
            "estimators": {name: result.figures() for name, result in self.results.items()},
            "paired": {given: self._pairs(given) for given in GIVEN},
            "failed": self.failed,
            "notes": list(self.notes),
            "items": self.n_items,
            "hidden_labels": self.n_hidden,
        }

    def to_json(self) -> str:
        """As `quorate compare --json` writes it."""
        return json.dumps(self.figures(), indent=2, allow_nan=False) + "\n"

    def table(self) -> pa.Table:
        """One row per estimator: the figures that decide, null where the data cannot tell."""
        rows = [{"estimator": name, **_row(result)} for name, result in self.results.items()]
        return pa.Table.from_pylist(rows, schema=_COLUMNS)

    def _pairs(self, given: str) -> list[dict[str, Any]]:
        names = list(self.results)
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        found = [(a, b, self.paired(a, b, given)) for a, b in pairs]
        return [{"first": a, "second": b, "nll": gap.value, "se": gap.se} for a, b, gap in found if gap is not None]


_FIGURES = (
    "nll_all_others", "nll_all_others_se", "hit_all_others", "nll_evidence_only", "nll_evidence_only_se",
    "accuracy_0", "log_loss_0", "log_loss_2", "accuracy_all", "log_loss_all", "auc_minimum", "auc_per_task", "fit_s",
)  # fmt: skip
_COLUMNS = pa.schema([("estimator", pa.string()), *((name, pa.float64()) for name in _FIGURES)])


def compare(
    data: Dataset | Coded | str | PathLike[str],
    estimators: Sequence[str] | Mapping[str, Estimator] = ("dawid-skene", "hybrid"),
    *,
    seed: int = 0,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Judge estimators by the protocol; both majorities always stand in the table.

    data: a data set or its folder. estimators: names of the registry, or options under any name. An estimator that
    cannot work on this data is listed in `failed` with the reason. Raises DataError when there is too little to judge.

    >>> from quorate.simulate.world import world
    >>> result = compare(world("paper", 40).coded(), ["dawid-skene"])
    >>> list(result.results)
    ['majority', 'majority-all', 'dawid-skene']
    """
    ready = trial(_coded(data), seed=seed)
    options = _options(estimators)
    results: dict[str, Result] = {}
    failed: dict[str, str] = {}
    for place, (name, option) in enumerate(options.items()):
        inner = _part(progress, place, len(options), name)
        try:
            results[name] = judge(option, ready, seed=seed, progress=inner, clock=clock)
        except QuorateError as error:
            failed[name] = str(error)
    n_hidden = int((n_labels(ready.coded) >= 2).sum())
    return Comparison(results, failed, _notes(ready), ready.coded.n_items, n_hidden)


def judge(
    option: Estimator,
    ready: Trial,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Result:
    """Fit on one half, replay the other, and the reverse; figures pooled."""
    parts: list[_Part] = []
    seconds = 0.0
    for half, (teach, judged, truth) in enumerate(ready.halves()):
        began = clock()
        model = option.fit(teach, progress=_part(progress, half, 2, "fit"))
        seconds += clock() - began
        parts.append(_Part(model.fit.status, _held(model, judged), replay(model, judged, truth)))
    held = _pooled_hidden([part.held for part in parts], ready)
    steps = _pooled_steps([part.steps for part in parts])
    order = np.concatenate([ready.folds[1], ready.folds[0]])
    code, wanted = ready.truth.code[order], n_labels(ready.coded)[order]
    return Result(
        {given: _hidden_figure(found) for given, found in held.items()},
        _truth_figures(steps, code >= 0, wanted),
        _aucs(steps, code >= 0, wanted, seed),
        seconds / 2,
        tuple(part.status for part in parts),
        held,
    )


class _Part(NamedTuple):
    """What one half told."""

    status: str
    held: dict[str, Hidden]
    steps: Replay


def _held(model: Model, judged: Coded) -> dict[str, Hidden]:
    if not (n_labels(judged) >= 2).any():
        return {}
    return {name: hidden(model, judged, given) for name, given in GIVEN.items()}


def _pooled_hidden(halves: list[dict[str, Hidden]], ready: Trial) -> dict[str, Hidden]:
    """Both halves; items by their place in the trial (the first half teaches first, so the second is judged first)."""
    judged = list(zip(halves, (ready.folds[1], ready.folds[0]), strict=True))
    pooled: dict[str, Hidden] = {}
    for given in GIVEN:
        parts = [half[given]._replace(item=items[half[given].item]) for half, items in judged if given in half]
        if parts:
            pooled[given] = Hidden(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return pooled


def _pooled_steps(halves: list[Replay]) -> Replay:
    """Both halves side by side; the one with fewer steps stays as it ended."""
    n_steps = max(len(half.loss) for half in halves)
    columns = zip(*halves, strict=True)
    return Replay(*(np.concatenate([_stretched(part, n_steps) for part in column], axis=1) for column in columns))


def _stretched(steps: Float64[Array, "steps items tasks"], n_steps: int) -> Float64[Array, "more_steps items tasks"]:
    return np.concatenate([steps, np.repeat(steps[-1:], n_steps - len(steps), axis=0)])


def _hidden_figure(found: Hidden) -> HiddenFigure:
    return HiddenFigure(clustered_mean(found.loss, found.item), clustered_mean(found.hit, found.item))


def _truth_figures(
    steps: Replay, known: Bool[Array, "items tasks"], wanted: Int64[Array, "items tasks"]
) -> tuple[TruthFigure, ...]:
    if not known.any():
        return ()
    item = known.nonzero()[0]
    return tuple(
        TruthFigure(
            j,
            clustered_mean(steps.credit[j][known], item),
            clustered_mean(steps.loss[j][known], item),
            int(known.sum()),
            int((wanted[known] >= j).sum()),
        )
        for j in range(int(wanted[known].max()) + 1)
    )


def _aucs(steps: Replay, known: Array, wanted: Array, seed: int) -> dict[str, Estimate]:
    if not known.any():
        return {}
    return {
        rule: auc_estimate(moves(steps.confidence, steps.credit, wanted, counted=known, rule=rule), seed=seed)
        for rule in RULES
    }


# ---- in and out -----------------------------------------------------------------------------------------------------
def _coded(data: Dataset | Coded | str | PathLike[str]) -> Coded:
    return coded_of(Dataset.read(data) if isinstance(data, str | PathLike) else data)


def _options(estimators: Sequence[str] | Mapping[str, Estimator]) -> dict[str, Estimator]:
    """The majorities first, then what was asked for."""
    given = estimators if isinstance(estimators, Mapping) else {name: estimator(name) for name in estimators}
    return {**{name: estimator(name) for name in ALWAYS}, **given}


def _part(progress: Progress | None, place: int, of: int, name: str) -> Progress | None:
    if progress is None:
        return None
    return lambda share, what: progress((place + share) / of, f"{name}: {what}")


def _notes(ready: Trial) -> tuple[str, ...]:
    """What this data cannot tell."""
    known, twice = np.any(ready.truth.code >= 0, axis=0), n_labels(ready.coded) >= 2
    names = [task.name for task in ready.coded.schema.tasks]
    notes = [
        f"Task {name!r} has nothing to judge: no gold, and no two labels on an item that agree on one answer."
        for name, told in zip(names, known, strict=True)
        if not told
    ]
    if not twice.any():
        notes.append("No item-task has two labels of people, so no label can be hidden.")
    if not any(output.kind.any() for output in ready.coded.outputs):
        notes.append("No model answered, so the evidence alone is the same for every item.")
    return tuple(notes)


def _hidden_json(figure: HiddenFigure | None) -> dict[str, float | None] | None:
    if figure is None:
        return None
    return {"nll": figure.nll.value, "se": figure.nll.se, "hit": figure.hit.value, "hit_se": figure.hit.se}


def _truth_json(row: TruthFigure) -> dict[str, float | int | None]:
    return {
        "labels": row.labels,
        "accuracy": row.accuracy.value,
        "accuracy_se": row.accuracy.se,
        "log_loss": row.log_loss.value,
        "log_loss_se": row.log_loss.se,
        "cells": row.cells,
        "reached": row.reached,
    }


def _row(result: Result) -> dict[str, float | None]:
    row: dict[str, float | None] = {"fit_s": result.fit_s}
    for given, figure in result.hidden.items():
        row |= {f"nll_{given}": figure.nll.value, f"nll_{given}_se": figure.nll.se, f"hit_{given}": figure.hit.value}
    for figure in result.truth:
        row |= {f"accuracy_{figure.labels}": figure.accuracy.value, f"log_loss_{figure.labels}": figure.log_loss.value}
    if result.truth:
        last = result.truth[-1]
        row |= {"accuracy_all": last.accuracy.value, "log_loss_all": last.log_loss.value}
    return row | {f"auc_{rule}": estimate.value for rule, estimate in result.auc.items()}
