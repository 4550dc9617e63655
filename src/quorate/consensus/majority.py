"""Majority vote as probabilities: smoothed vote shares.

Assumes that every vote is worth the same and that no agent is to be known. The share of class k among the n votes of an
item, pulled toward the class shares pi of the data it was fitted on as if `a` further votes had been cast:

    P(k) = (n_k + a pi_k) / (n + a)

This is the predictive of a Dirichlet-multinomial with parameters a pi. Unless given, `a` is the value that best
predicts each label of the fit data from the others of its item (leave-one-out log likelihood, one dimension, bounded).
That value predicts people's labels; for the consensus it is cut where a lead of one vote could be overturned, since a
majority must stay one. Ties go to the class with the larger pi, then to the first in class order; rows and columns of
the input never decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int16, Int32, Int64

from quorate.consensus.door import Answered, Scores, class_code, coded_of, hard_answers, positions_by_task
from quorate.consensus.estimator import Fit, Given, HeldOut, Model, Session
from quorate.consensus.kept import kept, restored
from quorate.consensus.posterior import Consensus, IndependentBelief, PeopleRows, Target
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.schema import Schema

Array = np.ndarray
Who = Literal["people", "all"]

BOUNDS = (1e-2, 1e3)  # votes; where the search for the smoothing looks
UNTAUGHT = 1.0  # votes of smoothing where no item has two votes, so that nothing can be left out
NUDGE = 1e-12  # votes; without smoothing this much of the class shares still decides a tie


class Shares(NamedTuple):
    """What one task taught: the class shares, and how many votes they weigh."""

    shares: Float64[Array, "classes"]
    smoothing: float  # votes, in the consensus
    label_smoothing: float  # votes, when another person's label is predicted

    def smoothed(self, counts: Int32[Array, "items classes"], votes: float) -> Float64[Array, "items classes"]:
        """(n_k + a pi_k) / (n + a)."""
        weight = max(votes, NUDGE)
        return (counts + weight * self.shares) / (counts.sum(axis=1, keepdims=True) + weight)


@dataclass(frozen=True)
class Majority:
    """Majority vote. who: whose answers are votes; smoothing: votes that the class shares weigh, None to learn it.

    >>> from quorate.consensus.majority import Majority
    >>> Majority(who="all").smoothing is None
    True
    """

    who: Who = "people"
    smoothing: float | None = None

    def __post_init__(self) -> None:
        if self.who not in ("people", "all"):
            raise SettingError(f"who must be 'people' or 'all', not {self.who!r}")
        if self.smoothing is not None and not 0 <= self.smoothing < float("inf"):
            raise SettingError(f"smoothing is a number of votes, 0 or more, not {self.smoothing}")

    def fit(self, data: Dataset | Coded, *, progress: Callable[[float, str], None] | None = None) -> MajorityModel:
        """Class shares and smoothing of every task."""
        coded = coded_of(data)
        tasks, objective, notes = [], 0.0, []
        for t, task in enumerate(coded.schema.tasks):
            if progress is not None:
                progress(t / coded.n_tasks, f"majority: {task.name}")
            counts = votes(coded, t, self.who)
            learned, log_likelihood = _learn(counts, self.smoothing)
            tasks.append(learned)
            objective += log_likelihood
            if not counts.any():
                notes.append(f"Task {task.name!r} had no votes: its classes are taken as equally likely.")
        voted = len(notes) < coded.n_tasks
        fit = Fit("converged" if voted else "prior only", 1, (objective,), tuple(notes))
        return MajorityModel(coded.schema, coded.annotators, coded.models, fit, self, tuple(tasks))


@dataclass(frozen=True)
class MajorityModel(Model):
    """Class shares and smoothing; one vote is worth as much as another."""

    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    fit: Fit
    options: Majority
    tasks: tuple[Shares, ...]
    name: str = "majority"

    def predict(self, data: Dataset | Coded) -> Consensus:
        """Smoothed vote shares; the target is `latent`, for the shares speak of no panel and of no expert."""
        coded = coded_of(data).aligned(self.schema, self.annotators, self.models)
        counted = [votes(coded, t, self.who) for t in range(coded.n_tasks)]
        people = [coded.counts(t) for t in range(coded.n_tasks)] if self.who == "all" else counted
        consensus = self.consensus(coded.items, people, counted)
        return replace(consensus, notes=self._tie_notes([tied(n) for n in counted]))

    @property
    def who(self) -> Who:
        """Whose answers are votes."""
        return self.options.who

    def ties(self, data: Dataset | Coded) -> Bool[Array, "items tasks"]:
        """Where two classes or more share the most votes."""
        coded = coded_of(data).aligned(self.schema, self.annotators, self.models)
        columns = [tied(votes(coded, t, self.who)) for t in range(coded.n_tasks)]
        return np.array(columns, bool).reshape(coded.n_tasks, coded.n_items).T

    def held_out(self, data: Dataset | Coded, positions: Int64[Array, "held"], given: Given) -> HeldOut:
        """The shares of the other votes; given the evidence alone, of the models' votes if they have any."""
        coded = coded_of(data)
        aligned = coded.aligned(self.schema, self.annotators, self.models)
        asked = positions_by_task(coded, aligned, positions)
        others = [self._other_votes(aligned, t, place, given) for t, (_, place) in enumerate(asked)]
        return HeldOut(
            tuple(original for original, _ in asked),
            tuple(learned.smoothed(n, learned.smoothing) for learned, n in zip(self.tasks, others, strict=True)),
            tuple(learned.smoothed(n, learned.label_smoothing) for learned, n in zip(self.tasks, others, strict=True)),
        )

    def session(
        self,
        scores: Scores | None = None,
        *,
        features: Float64[Array, "features"] | None = None,  # noqa: ARG002  votes are all it reads
        item: str = "item",
    ) -> MajoritySession:
        """One item, online."""
        return MajoritySession(self, hard_answers(self.schema, self.models, scores), item)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Class shares as arrays; everything else as settings."""
        arrays = {f"shares/{t}": learned.shares for t, learned in enumerate(self.tasks)}
        settings = {
            **kept(self),
            "options": asdict(self.options),
            "smoothing": [[learned.smoothing, learned.label_smoothing] for learned in self.tasks],
        }
        return arrays, settings

    @classmethod
    def from_state(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> MajorityModel:
        """The model whose `state` this is."""
        head = restored(settings)
        return cls(
            *head,
            Majority(**settings["options"]),
            tuple(Shares(arrays[f"shares/{t}"], *a) for t, a in enumerate(settings["smoothing"])),
        )

    def consensus(
        self,
        items: tuple[str, ...],
        people: Sequence[Int32[Array, "items _"]],
        counted: Sequence[Int32[Array, "items _"]],
    ) -> Consensus:
        """The consensus of these votes; people: their part of the votes."""
        pairs = zip(self.tasks, counted, strict=True)
        belief = IndependentBelief(tuple(learned.smoothed(n, learned.smoothing) for learned, n in pairs))
        rows = tuple(PeopleRows(np.eye(len(task.classes)), None, None) for task in self.schema.tasks)
        seen = np.array([n.any(axis=1) for n in counted], bool).reshape(len(counted), len(items)).T
        targets = (Target("latent"),) * len(self.schema)
        return Consensus(self.schema, items, tuple(people), belief, rows, targets, seen)

    def _other_votes(
        self, coded: Coded, task: int, place: Int64[Array, "asked"], given: Given
    ) -> Int32[Array, "asked classes"]:
        """Of every asked label's item: the votes without that label, or those of models alone."""
        item = (np.searchsorted(coded.labels.start, place, side="right") - 1) // coded.n_tasks
        if given == "evidence":
            return votes(coded.without_labels(), task, self.who)[item]
        counts = votes(coded, task, self.who)[item]
        counts[np.arange(len(place)), coded.labels.code[place]] -= 1
        return counts

    def _tie_notes(self, ties: list[Bool[Array, "items"]]) -> tuple[str, ...]:
        return tuple(
            f"Task {task.name!r}: {tie.sum()} of {len(tie)} items are tied; the more frequent class was taken."
            for task, tie in zip(self.schema.tasks, ties, strict=True)
            if tie.any()
        )


class MajoritySession(Session):
    """One item, online: counts."""

    def __init__(self, model: MajorityModel, answers: tuple[Int16[Array, "1 models"], ...], item: str) -> None:
        self._model, self._item = model, item
        self._people = [np.zeros((1, len(task.classes)), np.int32) for task in model.schema.tasks]
        self._votes = [
            _with_answers(n.copy(), answer) if model.who == "all" else n.copy()
            for n, answer in zip(self._people, answers, strict=True)
        ]
        self._answered = Answered()

    def update(self, task: str, annotator: str, label: str) -> None:
        """Count one vote. Raises SchemaError for an unknown task or class, DataError for a second answer."""
        code = class_code(self._model.schema.task(task), label)
        t = self._model.schema.code_of[task]
        self._answered.add(task, annotator)
        self._people[t][0, code] += 1
        self._votes[t][0, code] += 1

    def probs(self, task: str) -> Float64[Array, "classes"]:
        """The smoothed vote shares."""
        self._model.schema.task(task)
        t = self._model.schema.code_of[task]
        learned = self._model.tasks[t]
        return learned.smoothed(self._votes[t], learned.smoothing)[0]

    def consensus(self) -> Consensus:
        """The consensus for this one item."""
        return self._model.consensus((self._item,), [n.copy() for n in self._people], [n.copy() for n in self._votes])


def votes(coded: Coded, task: int, who: Who) -> Int32[Array, "items classes"]:
    """Votes per item and class: people's labels, and for `all` every model's hard answer as well."""
    counts = coded.counts(task)
    return _with_answers(counts, coded.outputs[task].answer) if who == "all" else counts


def _with_answers(
    counts: Int32[Array, "items classes"], answers: Int16[Array, "items models"]
) -> Int32[Array, "items classes"]:
    item, model = np.nonzero(answers >= 0)
    np.add.at(counts, (item, answers[item, model]), 1)
    return counts


def tied(counts: Int32[Array, "items classes"]) -> Bool[Array, "items"]:
    """Whether two classes or more share the most votes; no vote at all is no tie."""
    most = counts.max(axis=1, keepdims=True)
    return ((counts == most).sum(axis=1) > 1) & (most[:, 0] > 0)


def _learn(counts: Int32[Array, "items classes"], smoothing: float | None) -> tuple[Shares, float]:
    """Class shares (one vote per class added, so that none is impossible), smoothing, leave-one-out nats."""
    total = counts.sum(axis=0)
    shares = (total + 1.0) / (total.sum() + len(total))
    left = _left_out(counts, shares)
    if smoothing is not None:
        return Shares(shares, smoothing, smoothing), left.log_likelihood(max(smoothing, NUDGE))
    best = _best_smoothing(left) if len(left.weight) else UNTAUGHT
    return Shares(shares, min(best, _one_vote(shares)), best), left.log_likelihood(best)


def _one_vote(shares: Float64[Array, "classes"]) -> float:
    """The smoothing just below which one vote more always wins: a (max pi - min pi) < 1."""
    spread = float(shares.max() - shares.min())
    return (1.0 - 1e-6) / spread if spread > 0 else np.inf


class LeftOut(NamedTuple):
    """Labels of items with two votes or more, alike ones together: votes that agree, other votes, share, how many."""

    agreeing: Float64[Array, "kinds"]
    others: Float64[Array, "kinds"]
    share: Float64[Array, "kinds"]
    weight: Float64[Array, "kinds"]

    def log_likelihood(self, smoothing: float) -> float:
        """Sum over labels of log P(label | the item's other votes), in nats."""
        probs = (self.agreeing + smoothing * self.share) / (self.others + smoothing)
        return float(self.weight @ np.log(probs))


def _left_out(counts: Int32[Array, "items classes"], shares: Float64[Array, "classes"]) -> LeftOut:
    n_votes = np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape)
    chosen = (counts > 0) & (n_votes > 1)
    _, label = np.nonzero(chosen)
    width = int(counts.sum(axis=1).max(initial=0)) + 1
    kind = (label * width + n_votes[chosen]) * width + counts[chosen]
    distinct, times = np.unique(kind, return_counts=True)
    same = distinct % width
    others = distinct // width % width - 1
    return LeftOut(same - 1.0, others.astype(float), shares[distinct // width**2], (times * same).astype(float))


def _best_smoothing(left: LeftOut) -> float:
    from scipy.optimize import minimize_scalar

    found: Any = minimize_scalar(
        lambda log_a: -left.log_likelihood(np.exp(log_a)), bounds=np.log(BOUNDS), method="bounded"
    )
    return float(np.exp(found.x))
