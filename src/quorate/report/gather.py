"""All figures of a report as plain data; what the data cannot tell is `Absent`, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from quorate.consensus.agents import Agents, agents_report
from quorate.consensus.door import coded_of
from quorate.consensus.estimator import Estimator, Model
from quorate.consensus.registry import estimator
from quorate.consensus.shared_errors import SharedErrors
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import DataError, SettingError
from quorate.evaluate.protocol import MOST_ITEMS, MOST_LABELS, n_labels, truth_of, without_gold
from quorate.policy.steps import Fold, Order, fitted_folds, of_folds, ordered, part_of
from quorate.report.absent import Absent, sentence, then, told
from quorate.report.disagree import Doubts, doubts
from quorate.report.people import People, people
from quorate.report.savings import Savings, savings, vote_folds
from quorate.report.settle import settled, shortened
from quorate.report.trust import Proof, Trust, proof, trust
from quorate.report.worth import Worth, worth

Progress = Callable[[float, str], None]


class Options(NamedTuple):
    """What the reader wants to know."""

    estimator: str = "hybrid"
    floor: float = 0.95
    price: float = 0.08  # of one label by a person, in dollars
    delta: float = 0.1  # the risk of the certificate
    order: Order = "arrival"  # of the labels of an item and task
    seed: int = 0


class Sizes(NamedTuple):
    """How much there is."""

    items: int
    tasks: int
    labels: int
    people: int
    models: int
    gold: int


class Models(NamedTuple):
    """What models have in common."""

    names: tuple[str, ...]  # families side by side
    shared: SharedErrors
    reliable: People  # how often each is right


@dataclass(frozen=True)
class Report:
    """Everything on the page."""

    name: str
    options: Options
    sizes: Sizes
    fitted: str  # the estimator
    saved: Savings | Absent
    trust: Trust | Absent
    proof: Proof | Absent
    people: People | Absent
    models: Models | Absent
    worth: Worth | Absent
    doubts: Doubts | Absent
    notes: tuple[str, ...]


def gather(
    data: Dataset, options: Options | None = None, *, name: str = "", model: Model | None = None,
    progress: Progress | None = None,
) -> Report:  # fmt: skip
    """Measure everything. model: a fitted one, which is then not fitted here; it may know these items (a note says so).

    Items and labels are capped as in `evaluate.protocol`. Raises SettingError for a floor, price or risk that is none.
    """
    options = options or Options()
    _check(options)
    tell = progress or (lambda _share, _what: None)
    coded = coded_of(data)
    if model is not None:
        coded = coded.aligned(model.schema, coded.annotators, coded.models)
    option = estimator(options.estimator if model is None else model.name)
    folds = told(lambda: _folds(coded, option, model, options, part_of(tell, 0.0, 0.3, "")))
    saved = then(folds, lambda of: _saved(of, coded, options, part_of(tell, 0.3, 0.15, "replaying policies")))
    sample = _sample(coded, options.seed)
    tell(0.45, "fitting on all")
    fixed = settled(option, model or (None if isinstance(folds, Absent) else folds[0].model))
    used = model or fixed.fit(sample)
    tell(0.5, "judging people and models")
    agents = told(lambda: agents_report(used, sample))
    models = then(agents, lambda of: _models(of, coded))
    tell(0.6, "reading disagreements")
    together = None if isinstance(models, Absent) else models.shared.effective
    goal = options.floor if isinstance(saved, Absent) else saved.goal
    last = part_of(tell, 0.6, 0.4, "what models add")
    return Report(
        name=name or "this data set",
        options=options,
        sizes=_sizes(coded),
        fitted=used.name,
        saved=saved,
        trust=then(folds, lambda of: trust(of_folds(of))),
        proof=then(folds, lambda of: proof(of, options.floor, options.delta)),
        people=then(agents, _people),
        models=models,
        doubts=told(lambda: doubts(data, coded, used, None if together is None else together.estimate)),
        worth=told(lambda: worth(coded, shortened(fixed, len(coded.models)), goal, seed=options.seed, progress=last)),
        notes=_notes(coded, sample, model, used, options.order),
    )


def _check(options: Options) -> None:
    for name, value in (("floor", options.floor), ("delta", options.delta)):
        if not 0 < value < 1:
            raise SettingError(f"{name} lies between 0 and 1, both excluded, not {value}")
    if not 0 < options.price < float("inf"):
        raise SettingError(f"price is the cost of one label, a number above 0, not {options.price}")


# ---- who judges whom ------------------------------------------------------------------------------------------------
def _folds(
    coded: Coded, option: Estimator, model: Model | None, options: Options, progress: Progress | None
) -> tuple[Fold, ...]:
    """Two halves, each under a model fitted on the other; or all items under the model that was given."""
    if not len(coded.labels.code):
        raise DataError("no person has labeled anything, so there is nothing to save", mend="add people's labels")
    if model is None:
        return fitted_folds(
            coded, option, order=options.order, seed=options.seed, most_items=MOST_ITEMS, progress=progress
        )
    known = ordered(_sample(coded, options.seed), options.order, np.random.default_rng(options.seed))
    known = known.first_labels(MOST_LABELS)
    truth = truth_of(known)
    if not (truth.code >= 0).any():
        raise DataError("nothing says which answers are right", mend="add gold, or labels by more people")
    return (Fold(model, without_gold(known), truth, np.arange(known.n_items)),)


def _saved(folds: Sequence[Fold], coded: Coded, options: Options, progress: Progress | None) -> Savings:
    return savings(folds, vote_folds(folds), coded, options.floor, options.price, progress)


def _sample(coded: Coded, seed: int) -> Coded:
    """Items about which anybody spoke, at most MOST_ITEMS; those that people labeled first."""
    labeled = (n_labels(coded) > 0).any(axis=1)
    spoken = labeled | (coded.gold >= 0).any(axis=1)
    chosen = np.flatnonzero(labeled if labeled.any() else spoken if spoken.any() else np.ones(coded.n_items, bool))
    if len(chosen) > MOST_ITEMS:
        chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:MOST_ITEMS])
    return coded.select(chosen)


def _people(agents: Agents) -> People:
    found = people(agents)
    if not found.shown:
        raise DataError("no person has labeled anything", mend="add people's labels")
    return found


def _models(agents: Agents, coded: Coded) -> Models:
    if not coded.models:
        raise DataError("no model answered", mend="add scores or model_labels")
    reliable = people(agents, "model")
    if not reliable.shown:
        raise DataError("no model answered an item that people or gold have spoken on", mend="label some of them")
    family = [name for each in agents.shared.families for name in each.members]
    names = [*family, *(row.name for row in reliable.shown if row.name not in family)]
    return Models(tuple(names), agents.shared, reliable)


# ---- words on how it was measured -----------------------------------------------------------------------------------
def _sizes(coded: Coded) -> Sizes:
    gold = int((coded.gold >= 0).sum())
    return Sizes(coded.n_items, coded.n_tasks, len(coded.labels.code), len(coded.annotators), len(coded.models), gold)


def _notes(coded: Coded, sample: Coded, model: Model | None, used: Model, order: Order) -> tuple[str, ...]:
    """What the reader should know of how all this was measured."""
    found: list[str] = []
    if model is None:
        found.append(
            "Fitted on one half of the items and replayed on the other, and the reverse: no answer is judged by a "
            "model that saw its item."
        )
    else:
        found.append(
            "The saved model may have learned from these very items; then what is said of savings, confidence and "
            "floor is too good."
        )
    bought = "as they arrived" if order == "arrival" else "in a random, seeded order"
    found.append(f"Labels are bought {bought}; what models add is measured on them shuffled.")
    if (n_labels(coded) > MOST_LABELS).any():
        found.append(
            f"Items with more than {MOST_LABELS} labels on a task count with the first {MOST_LABELS}; costs too."
        )
    spoken = int(((n_labels(coded) > 0).any(axis=1)).sum())
    if spoken > sample.n_items:
        found.append(f"{spoken:,} items carry labels; a random {sample.n_items:,} of them were replayed and judged.")
    return (*found, *(sentence(note) for note in used.fit.notes))
