"""What a review with criticizers was worth: its figures, and one page that opens offline and asks nobody."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quorate.act.answers import Key
from quorate.act.folder import ANSWERS, CRITICISMS, PLAN, RUBRIC, ActFolder
from quorate.act.foretold import Curve, Foretold, Range, curve, foretell
from quorate.act.ground import read_ground
from quorate.act.review import Corrected, Plan, corrected
from quorate.act.reviewing import known_truth
from quorate.data.write import whole
from quorate.errors import MissingExtraError
from quorate.llm.rubric_file import read_rubric
from quorate.measure.intervals import wilson
from quorate.report.page import plain
from quorate.report.words import count, percent

TEMPLATE = "act.html.jinja"


class OfClass(NamedTuple):
    """What became of the labels of one class."""

    task: str
    label: str
    labels: int
    reviewed: int
    wrong: int  # of these
    wrong_low: float | None  # share, 95 % (Wilson)
    wrong_high: float | None
    expected: float | None  # wrong ones among those nobody looked at
    mended_to: tuple[tuple[str, int], ...]  # what people said instead, most frequent first


class OfCritic(NamedTuple):
    """How well one criticizer told wrong labels from right ones, on those that people have seen."""

    criticizer: str
    strategy: str
    labels: int
    unsure: int
    on_right: float | None  # its mean error where people found the label right
    on_wrong: float | None
    cost_usd: float


class Costs(NamedTuple):
    """What was spent, and what people alone would have cost (US dollars); None where a price is unknown."""

    annotator_usd: float | None
    critics_usd: float | None
    people_usd: float | None
    answers: int
    all_human_usd: float | None

    @property
    def total_usd(self) -> float | None:
        """All of it; None where people's price is unknown."""
        if self.people_usd is None:
            return None
        return (self.annotator_usd or 0.0) + (self.critics_usd or 0.0) + self.people_usd


class ActReport(NamedTuple):
    """Everything that the page says."""

    annotator: str
    critics: tuple[str, ...]
    rule: str
    labels: int
    restricted: int
    known: int
    drawn: int
    reviewed: int
    found: int
    gain: Range | None  # share of all errors that are mended
    foretold: Foretold | None
    curve: Curve | None
    classes: tuple[OfClass, ...]
    of_critics: tuple[OfCritic, ...]
    costs: Costs

    @property
    def headline(self) -> str:
        """What it came to, in a sentence."""
        if not self.reviewed:
            return f"{count(self.labels, 'label')} of {self.annotator}, none reviewed yet"
        looked = percent(self.reviewed / max(self.labels, 1))
        return f"People looked at {looked} of the labels and found {count(self.found, 'error')}{self._share}"

    @property
    def _share(self) -> str:
        """How many of all errors that is; its interval alone where most labels lie below all that were reviewed."""
        if self.gain is None:
            return ""
        among = bounds(self.gain)
        if among and self.foretold is not None and self.foretold.guessed:
            return f": {among} of all errors"
        return f": about {percent(self.gain.estimate)} of all errors{f' ({among})' if among else ''}"


def gather(folder: ActFolder, *, answer_usd: float | None = None) -> ActReport:
    """The figures of a folder. Raises FormatError where a table of it cannot be read."""
    record: Mapping[str, Any] = folder.record("review") or {}
    plan = Plan.read(folder.table(PLAN))
    ground = read_ground(folder)
    truth = known_truth(folder, ground)
    found = corrected(plan, truth)
    of = foretell(plan, truth, is_order=record["is_order"], seed=record["seed"])
    price = record.get("answer_usd") if answer_usd is None else answer_usd
    seen = plan.open & found.reviewed
    n_found = int((found.wrong & plan.open).sum())
    return ActReport(
        ground.annotator, tuple(record["sources"]), record["rule"], int(plan.open.sum()), int(plan.hidden.sum()),
        int(plan.known.sum()), int(plan.drawn.sum()), int(seen.sum()), n_found, _gain(of, n_found), of,
        curve(plan, truth, record["rule"], is_order=record["is_order"], seed=record["seed"]),
        tuple(_classes(plan, found, of, folder)), tuple(_critics(folder, plan, found)),
        _costs(folder, plan, price, record.get("people", 1), int(seen.sum())),
    )  # fmt: skip


def write_act_report(report: ActReport, page: Path, figures: Path) -> None:
    """Write the page, and its figures as JSON beside it, each whole or not at all.

    Raises MissingExtraError where jinja2 is not installed.
    """
    text = act_page(report)
    with whole(figures) as part:
        said = {"headline": report.headline, **plain(report), "total_usd": report.costs.total_usd}
        part.write_text(json.dumps(said, indent=1, allow_nan=False) + "\n", "utf-8")
    with whole(page) as part:
        part.write_text(text, "utf-8")


def act_page(report: ActReport) -> str:
    """The page as HTML."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", "report") from None
    from quorate.report.act_picture import picture

    rooms: Any = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    rooms.filters |= {"percent": percent, "money": money, "bounds": bounds, "number": number}
    source = files("quorate.report").joinpath(TEMPLATE).read_text("utf-8")
    return rooms.from_string(source).render(report=report, picture=picture(report))


def money(value: float | None) -> str:
    """Dollars, in cents below a thousand.

    >>> money(0.8514), money(None), money(12345.6)
    ('$0.85', '–', '$12,346')
    """
    if value is None:
        return "–"
    return f"${value:,.2f}" if value < 1_000 else f"${value:,.0f}"


def number(value: float | None) -> str:
    """A figure with two decimals.

    >>> number(0.1234), number(None)
    ('0.12', '–')
    """
    return "–" if value is None else f"{value:.2f}"


def bounds(of: Range | None, form: str = "percent") -> str:
    """The interval in words; empty where there is none."""
    if of is None or of.low is None or of.high is None:
        return ""
    low, high = (percent(of.low), percent(of.high)) if form == "percent" else (f"{of.low:,.0f}", f"{of.high:,.0f}")
    return f"{low} to {high}"


# ---- parts ----------------------------------------------------------------------------------------------------------
def _gain(of: Foretold | None, found: int) -> Range | None:
    """AQG so far: errors found, of all that there were."""
    if of is None or of.errors.estimate <= 0:
        return None
    if of.errors.low is None or of.errors.high is None:
        return Range(found / of.errors.estimate)
    low, high = found / max(of.errors.high, 1e-9), found / max(of.errors.low, 1e-9)
    return Range(found / of.errors.estimate, low, min(high, 1.0))


def _classes(plan: Plan, found: Corrected, of: Foretold | None, folder: ActFolder) -> list[OfClass]:
    """Task by task and class by class, in the order of the rubric; classes that the machine never gave are left out."""
    rows: dict[Key, list[int]] = {}
    for at in np.flatnonzero(plan.open).tolist():
        rows.setdefault((plan.labels[at].task, plan.labels[at].label), []).append(at)
    schema = read_rubric(folder.file(RUBRIC)).schema
    keys = [(task.name, label) for task in schema.tasks for label in task.classes]
    return [_class(key, rows[key], found, of) for key in keys if key in rows]


def _class(key: Key, rows: Sequence[int], found: Corrected, of: Foretold | None) -> OfClass:
    seen = [at for at in rows if found.reviewed[at]]
    wrong = [at for at in seen if found.wrong[at]]
    unseen = [at for at in rows if not found.reviewed[at]]
    said = [found.labels[at] for at in wrong]
    instead = sorted(((label, said.count(label)) for label in set(said)), key=lambda each: (-each[1], each[0]))
    low = high = None
    if seen:
        interval = wilson(np.array([len(wrong)]), np.array([len(seen)])).at(0)
        low, high = interval.low, interval.high
    expected = None if of is None else float(of.chance[unseen].sum())
    return OfClass(*key, len(rows), len(seen), len(wrong), low, high, expected, tuple(instead))


def _critics(folder: ActFolder, plan: Plan, found: Corrected) -> list[OfCritic]:
    table = folder.table(CRITICISMS)
    place = {(each.item, each.task, each.model, each.label): at for at, each in enumerate(plan.labels)}
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    names = ["item", "task", "model", "label", "criticizer", "strategy", "error", "flag", "cost_usd"]
    for row in table.select(names).to_pylist():
        row["at"] = place.get((row["item"], row["task"], row["model"], row["label"]))
        if row["at"] is not None:
            rows.setdefault((row["criticizer"], row["strategy"]), []).append(row)
    return [_critic(key, said, found) for key, said in rows.items()]


def _critic(key: tuple[str, str], said: Sequence[Mapping[str, Any]], found: Corrected) -> OfCritic:
    sure = [row for row in said if not row["flag"] and found.reviewed[row["at"]]]
    wrong = [row["error"] for row in sure if found.wrong[row["at"]]]
    right = [row["error"] for row in sure if not found.wrong[row["at"]]]
    return OfCritic(
        *key, len(said), sum(bool(row["flag"]) for row in said), _mean(right), _mean(wrong),
        sum(row["cost_usd"] for row in said),
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _costs(folder: ActFolder, plan: Plan, price: float | None, people: int, reviewed: int) -> Costs:
    """People for everything: as many answers a label as people have given so far, or as were planned."""
    annotate, criticize = folder.record("annotate") or {}, folder.record("criticize") or {}
    answers = len(folder.table(ANSWERS)) if folder.file(ANSWERS).is_file() else 0
    each = answers / reviewed if answers and reviewed else float(people)
    return Costs(
        annotate.get("spent_usd"),
        criticize.get("spent_usd"),
        None if price is None else price * answers,
        answers,
        None if price is None else price * each * int(plan.open.sum()),
    )
