"""The step of review in a folder: draw the queue, take answers in, put them over the machine's labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from quorate.act.answers import Key, Said, Taken, answers_table, decided, joined
from quorate.act.budget import BETA, Rule
from quorate.act.combine import HeldOut, checked_rows, held_out, learned, mean_errors, opinions_of
from quorate.act.detector import detected, features_of
from quorate.act.folder import ANSWERS, CORRECTED, CRITICISMS, PLAN, QUEUE, ActFolder
from quorate.act.foretold import Foretold, foretell, review_weights
from quorate.act.ground import Ground
from quorate.act.queue import write_queue
from quorate.act.review import Budget, Plan, corrected, corrected_table, planned
from quorate.act.strategies import strategy
from quorate.errors import SettingError

Array = np.ndarray
How = Literal["mean", "logistic", "trees"]


class Wish(NamedTuple):
    """How the budget is to be spent."""

    budget: Budget
    rule: Rule = "thresholding"
    combine: How = "mean"
    critics: tuple[tuple[str, str | None], ...] = ()  # model and strategy (None: any of its); none: all there are
    with_confidence: bool = False
    answer_usd: float | None = None
    people: int = 1  # who answer each
    beta: float = BETA
    even: float = 0.0
    seed: int = 0


class Reviewed(NamedTuple):
    """Where a review stands."""

    plan: Plan
    truth: dict[Key, str]  # what people know: before, and from the queue
    drawn: int
    answered: int  # of these
    aside: int  # answers about what nobody asked
    foretold: Foretold | None
    sources: tuple[str, ...]
    held_out: HeldOut | None  # of the logistic combination
    spent_usd: float | None  # on people, where the price is known

    @property
    def left(self) -> int:
        """Labels of the queue that are still open."""
        return self.drawn - self.answered


class Opinion(NamedTuple):
    """The combined doubt in every label."""

    errors: Float64[Array, "labels"]
    is_order: bool
    sources: tuple[str, ...]
    held_out: HeldOut | None


def combined(
    ground: Ground, criticisms: pa.Table, wish: Wish, truth: dict[Key, str], earlier: Plan | None = None
) -> Opinion:
    """The criticisms of the folder as one error per label; or what boosted trees make of the annotator's confidence.

    Raises SettingError for a rule that needs probabilities where there is an order only.
    """
    if wish.combine == "trees":
        rows, wrong = checked_rows(ground.labels, truth)
        features = features_of(ground.labels, ground.rubric.schema, ground.scores)
        return Opinion(
            detected(features, rows, wrong, _stands_for(ground, rows, earlier), seed=wish.seed),
            False,
            ("boosted trees",),
            None,
        )
    chosen = criticisms.filter(pa.array(_wanted(criticisms, wish.critics), pa.bool_()))
    if not len(chosen):
        raise SettingError("no criticism of that critic is in the folder; see `quorate act status`")
    opinions = opinions_of(chosen, ground.labels, with_confidence=wish.with_confidence)
    if wish.combine == "logistic":
        rows, wrong = checked_rows(ground.labels, truth)
        errors = learned(opinions, rows, wrong, _stands_for(ground, rows, earlier)).errors(opinions)
        return Opinion(errors, False, opinions.sources, held_out(opinions, rows, wrong, seed=wish.seed))
    is_order = any(strategy(name).is_order for name in set(chosen["strategy"].to_pylist()))
    if is_order and wish.rule != "thresholding":
        raise SettingError(
            f"levels and perplexity put labels in an order, and {wish.rule} needs probabilities: take thresholding, "
            "or --combine logistic once people have checked 10 labels"
        )
    return Opinion(mean_errors(opinions), is_order, opinions.sources, None)


def draw(folder: ActFolder, ground: Ground, wish: Wish, *, queue: Path | None = None, show_label: bool = False) -> None:
    """Draw the queue; what people have answered before counts against the budget and is not asked again."""
    truth = known_truth(folder, ground)
    earlier = Plan.read(folder.table(PLAN)) if folder.file(PLAN).is_file() else None
    opinion = combined(ground, folder.table(CRITICISMS), wish, truth, earlier)
    known = {key for key in truth if key in ground.known}
    before = truth.keys() - known
    answered = len(before)
    n_open = sum(
        each.item not in ground.items.restricted and (each.item, each.task) not in known for each in ground.labels
    )
    n_reviews = wish.budget.reviews(n_open, wish.answer_usd, wish.people)
    if n_reviews < answered:
        raise SettingError(f"{answered:,} labels are reviewed already, and the budget is for {n_reviews:,}")
    plan = planned(
        ground.labels, opinion.errors, n_reviews - answered, wish.rule, rng=np.random.default_rng(wish.seed),
        known=known, before=before, hidden=ground.items.restricted, beta=wish.beta, even=wish.even,
        earlier={} if earlier is None else dict(zip(earlier.keys, earlier.chance.tolist(), strict=True)),
    )  # fmt: skip
    folder.write(PLAN, plan.table())
    folder.forget(("train",))
    write_queue(plan, ground.items, ground.rubric, queue or folder.file(QUEUE), show_label=show_label)
    _note(folder, wish, opinion, n_reviews, queue)


def take(folder: ActFolder, ground: Ground, new: Taken) -> Reviewed:
    """Take answers in, write the corrected labels, and say where the review stands."""
    plan = Plan.read(folder.table(PLAN))
    before = folder.table(ANSWERS) if folder.file(ANSWERS).is_file() else None
    folder.write(ANSWERS, answers_table(joined(before, new.answers)))
    record = folder.record("review") or {}
    truth = known_truth(folder, ground)
    folder.write(CORRECTED, corrected_table(plan, corrected(plan, truth)))
    drawn = int(plan.drawn.sum())
    answered = sum(key in truth for key, of in zip(plan.keys, plan.drawn.tolist(), strict=True) if of)
    spent = None if record.get("answer_usd") is None else record["answer_usd"] * _n_answers(folder)
    told = f"{answered:,} of {drawn:,} answered, {record['rule']}"
    keep = {key: value for key, value in record.items() if key not in {"at", "ground"}}
    folder.note("review", **{**keep, "answered": answered, "left": drawn - answered, "spent_usd": spent, "told": told})
    found = foretell(plan, truth, is_order=record["is_order"], seed=record["seed"])
    held = None if record.get("held_out") is None else HeldOut(*record["held_out"])
    return Reviewed(plan, truth, drawn, answered, new.aside, found, tuple(record["sources"]), held, spent)


def known_truth(folder: ActFolder, ground: Ground) -> dict[Key, str]:
    """What people know of the annotator's labels: before, and from all queues so far."""
    of = {(each.item, each.task) for each in ground.labels}
    answers = [] if not folder.file(ANSWERS).is_file() else joined(folder.table(ANSWERS), ())
    truth = {**ground.known, **decided(answers, ground.labels)}
    return {key: label for key, label in truth.items() if key in of}


def asked_keys(folder: ActFolder) -> set[Key]:
    """What people were asked, in the last draw and in those before."""
    plan = Plan.read(folder.table(PLAN))
    before = joined(folder.table(ANSWERS), ()) if folder.file(ANSWERS).is_file() else list[Said]()
    return {*plan.queue(), *((said.item, said.task) for said in before)}


# ---- parts ----------------------------------------------------------------------------------------------------------
def _wanted(criticisms: pa.Table, critics: Sequence[tuple[str, str | None]]) -> list[bool]:
    rows = zip(criticisms["criticizer"].to_pylist(), criticisms["strategy"].to_pylist(), strict=True)
    return [
        not critics or any(model == of and way in {None, strategy_of} for model, way in critics)
        for of, strategy_of in rows
    ]


def _stands_for(
    ground: Ground, rows: Int64[Array, "checked"], earlier: Plan | None
) -> Float64[Array, "checked"] | None:
    """How many labels each checked one stands for: the doubtful ones were drawn more often."""
    if earlier is None:
        return None
    weight = dict(zip(earlier.keys, review_weights(earlier).tolist(), strict=True))
    return np.array([weight.get((ground.labels[row].item, ground.labels[row].task), 1.0) for row in rows.tolist()])


def _n_answers(folder: ActFolder) -> int:
    return len(folder.table(ANSWERS)) if folder.file(ANSWERS).is_file() else 0


def _note(folder: ActFolder, wish: Wish, opinion: Opinion, n_reviews: int, queue: Path | None) -> None:
    before = folder.record("review") or {}
    folder.note(
        "review", rule=wish.rule, budget=n_reviews, combine=wish.combine, sources=list(opinion.sources),
        is_order=opinion.is_order, held_out=None if opinion.held_out is None else list(opinion.held_out),
        answer_usd=wish.answer_usd, people=wish.people, beta=wish.beta, even=wish.even, seed=wish.seed,
        queue=str(queue or folder.file(QUEUE)), campaigns=before.get("campaigns", {}), left=n_reviews,
    )  # fmt: skip


def note_campaigns(folder: ActFolder, url: str, campaigns: dict[str, int]) -> None:
    """Keep which campaigns of a service hold the queue."""
    record: dict[str, Any] = {k: v for k, v in (folder.record("review") or {}).items() if k not in {"at", "ground"}}
    folder.note("review", **{**record, "campaigns": {"url": url, "of": campaigns}})
