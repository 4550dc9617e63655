"""How far people agree with each other, and models with people, task by task, with bootstrap intervals over items.

People against people: raw agreement, Fleiss' kappa, Krippendorff's alpha, Gwet's AC1 and Cohen's kappa of every pair
of annotators that shares enough items, with its average over pairs; on ordered tasks their weighted forms too.
Models against people: how often a model says what a random person says of the same item, that figure above chance,
both less what two people reach on the same items, and Cohen's kappa with each person.
A figure that the data cannot give is None with a reason, never NaN.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.measure import coefficients as co
from quorate.measure.intervals import Interval, bootstrap
from quorate.measure.ratings import (
    PairTables,
    Ratings,
    SharedItems,
    model_figures,
    model_pairs,
    model_sums,
    pair_kappas,
    pair_tables,
    people_pairs,
    ratings,
)
from quorate.schema import Task

Array = np.ndarray
Measure = Literal[
    "agreement",
    "fleiss_kappa",
    "krippendorff_alpha",
    "krippendorff_alpha_ordinal",
    "krippendorff_alpha_interval",
    "gwet_ac1",
    "gwet_ac2",
    "cohen_kappa",
    "cohen_kappa_linear",
    "cohen_kappa_quadratic",
    "pooled_kappa",
    "pooled_kappa_quadratic",
    "agreement_minus_people",
    "pooled_kappa_minus_people",
]

PEOPLE = "people"
PAIR_ENTRIES = 2 * 10**8  # numbers touched by the resamples of all pairs; beyond it fewer resamples are drawn
FEWEST_RESAMPLES = 100
MAX_SCALE = 30  # classes of an ordered task: its alphas sum classes x classes per item

NO_PAIR = "no item has labels of two people"
ONE_CLASS = "the task has one class"
SAME_CLASS = "everybody gave the same class, so chance alone agrees always"
NO_MODEL = "the model and people share no item"
FEW = "too few items, or too few of them differ, for an interval"

LANDIS_KOCH = ((0.0, "poor"), (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))
KRIPPENDORFF = ((0.667, "unreliable"), (0.8, "tentative"))


class Figure(NamedTuple):
    """One measure between two parties; without estimate, low, high and se where `reason` says why."""

    task: str
    first: str  # "people", an annotator or a model
    second: str  # "people" or an annotator
    measure: Measure
    estimate: float | None
    low: float | None
    high: float | None
    se: float | None
    n_items: int  # that both parties answered (people: that two people answered; a mean over pairs: of all pairs)
    band: str | None  # in words
    reason: str | None


@dataclass(frozen=True)
class AgreementReport:
    """Every figure, in the order of the tasks: people, pairs of annotators, models, each with each person."""

    figures: tuple[Figure, ...]
    resamples: int
    seed: int
    level: float

    def of(self, measure: Measure, *, task: str | None = None, first: str = PEOPLE, second: str = PEOPLE) -> Figure:
        """The figure of this measure; between people where nobody is named, of the first task where none is named.

        Raises SettingError when there is no such figure.
        """
        for figure in self.figures:
            if (figure.measure, figure.first, figure.second) == (measure, first, second) and task in {
                None,
                figure.task,
            }:
                return figure
        raise SettingError(f"there is no {measure} between {first!r} and {second!r} on task {task!r}")

    def table(self) -> pa.Table:
        """One row per figure: task, first, second, measure, estimate, low, high, se, n_items, band, reason."""
        table: pa.Table = pa.Table.from_pylist([figure._asdict() for figure in self.figures], schema=_SCHEMA)
        return table

    def figures_json(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        settings = {"resamples": self.resamples, "seed": self.seed, "level": self.level}
        return {**settings, "figures": [figure._asdict() for figure in self.figures]}

    def to_json(self) -> str:
        """As `quorate agreement --json` writes it."""
        return json.dumps(self.figures_json(), indent=2, allow_nan=False) + "\n"


_SCHEMA = pa.schema(
    [
        *[(name, pa.string()) for name in ("task", "first", "second", "measure")],
        *[(name, pa.float64()) for name in ("estimate", "low", "high", "se")],
        ("n_items", pa.int64()),
        *[(name, pa.string()) for name in ("band", "reason")],
    ]
)


def agreement(
    data: Dataset | Coded, *, resamples: int = 1000, seed: int = 0, level: float = 0.95, min_shared: int = 20
) -> AgreementReport:
    """Agreement of people with people and of models with people, per task.

    min_shared: items that two agents must have in common before their Cohen's kappa is given.
    Raises SettingError for fewer than two resamples, a level outside (0, 1) or min_shared below one.

    >>> import pyarrow as pa
    >>> from quorate.data.dataset import Dataset
    >>> rows = [("i1", "ann", "yes"), ("i1", "bo", "yes"), ("i2", "ann", "no"), ("i2", "bo", "no")]
    >>> labels = [{"item": i, "task": "fair", "annotator": a, "label": said} for i, a, said in rows]
    >>> agreement(Dataset(labels=pa.Table.from_pylist(labels))).of("krippendorff_alpha").estimate
    1.0
    """
    if resamples < 2 or not 0 < level < 1 or min_shared < 1:
        raise SettingError("agreement needs 2 resamples or more, a level between 0 and 1, and min_shared of 1 or more")
    coded = data.encode() if isinstance(data, Dataset) else data
    settings = _Settings(resamples, seed, level, min_shared)
    figures: list[Figure] = []
    for code, task in enumerate(coded.schema.tasks):
        of = ratings(coded, code)
        figures += _people_figures(task, of, settings)
        figures += _pair_figures(task, people_pairs(of), None, coded.annotators, settings)
        figures += _model_figures(task, of, coded.models, settings)
        figures += _pair_figures(task, model_pairs(of), coded.models, coded.annotators, settings)
    return AgreementReport(tuple(figures), resamples, seed, level)


def band(measure: Measure, estimate: float) -> str | None:
    """The usual word for a figure: Landis and Koch's for kappas and AC, Krippendorff's for alpha.

    Sources: [landis1977], [krippendorff2018]. None for raw agreement and for differences.

    >>> band("fleiss_kappa", 0.43), band("krippendorff_alpha", 0.7), band("agreement", 0.7)
    ('moderate', 'tentative', None)
    """
    if measure in {"agreement", "agreement_minus_people", "pooled_kappa_minus_people"}:
        return None
    if measure.startswith("krippendorff"):
        return next((word for limit, word in KRIPPENDORFF if estimate < limit), "reliable")
    return next((word for limit, word in _limits() if estimate < limit), "almost perfect")


def _limits() -> list[tuple[float, str]]:
    """Landis and Koch count the upper end of a band to it: 0.20 is slight, 0.21 fair; below 0 is poor."""
    return [(limit if limit == 0 else float(np.nextafter(limit, 1)), word) for limit, word in LANDIS_KOCH]


# ---- people -------------------------------------------------------------------------------------------------------
class _Settings(NamedTuple):
    resamples: int
    seed: int
    level: float
    min_shared: int

    def rng(self) -> np.random.Generator:
        """The same draws of items for every measure, so that figures of one task move together."""
        return np.random.default_rng(self.seed)


def _people_figures(task: Task, of: Ratings, settings: _Settings) -> list[Figure]:
    counts = of.counts[of.counts.sum(axis=1) > 0]
    n_classes, n_pairable = len(task.classes), int((counts.sum(axis=1) > 1).sum())
    on_scale = task.ordered and n_classes <= MAX_SCALE
    measures = _NOMINAL | _ORDERED if on_scale else _NOMINAL

    def statistic(sums: Float64[Array, "draws sums"]) -> Float64[Array, "draws outputs"]:
        of = co.totals(sums, n_classes)
        return np.column_stack([measure(of) for measure in measures.values()])

    sums = co.item_sums(counts, ordered=on_scale)
    found = bootstrap(sums, statistic, rng=settings.rng(), resamples=settings.resamples, level=settings.level)
    reason = _why_unknown(counts)
    return [
        _figure(task, _Party(PEOPLE, PEOPLE, n_pairable), measure, interval, reason)
        for measure, interval in zip(measures, found, strict=True)
    ]


_NOMINAL: dict[Measure, Callable[[co.Totals], Float64[Array, "draws"]]] = {
    "agreement": co.agreement_share,
    "fleiss_kappa": co.fleiss,
    "krippendorff_alpha": lambda of: co.alpha(of, "nominal"),
    "gwet_ac1": lambda of: co.gwet(of, of.agree, np.eye(of.share.shape[1])),
}
_ORDERED: dict[Measure, Callable[[co.Totals], Float64[Array, "draws"]]] = {
    "krippendorff_alpha_ordinal": lambda of: co.alpha(of, "ordinal"),
    "krippendorff_alpha_interval": lambda of: co.alpha(of, "interval"),
    "gwet_ac2": lambda of: co.gwet(of, of.near, co.agreement_weights(of.share.shape[1], "quadratic")),
}


def _why_unknown(counts: Int64[Array, "items classes"]) -> str:
    pairable = counts[counts.sum(axis=1) > 1]
    if not len(pairable):
        return NO_PAIR
    if counts.shape[1] == 1:
        return ONE_CLASS
    return SAME_CLASS if (counts.sum(axis=0) > 0).sum() == 1 or (pairable.sum(axis=0) > 0).sum() == 1 else FEW


# ---- pairs --------------------------------------------------------------------------------------------------------
class _Party(NamedTuple):
    first: str
    second: str
    n_items: int


def _pair_figures(
    task: Task,
    shared: SharedItems,
    models: Sequence[str] | None,
    annotators: Sequence[str],
    settings: _Settings,
) -> list[Figure]:
    """Cohen's kappa: the mean over all pairs of people, or of each model over people; then pair by pair."""
    tables = pair_tables(shared, len(task.classes), settings.min_shared)
    group = np.zeros_like(tables.first) if models is None else tables.first
    if not len(group):
        parties = [_Party(PEOPLE if models is None else models[m], PEOPLE, 0) for m in _firsts(shared, models)]
        reason = f"no two of them share {settings.min_shared} items"
        return [_figure(task, party, "cohen_kappa", None, reason) for party in parties]
    first = annotators if models is None else models
    parties = [
        _Party(PEOPLE if models is None else models[int(g)], PEOPLE, int(tables.shared[group == g].sum()))
        for g in np.unique(group)
    ]
    each = zip(tables.first, tables.second, tables.shared, strict=True)
    parties += [_Party(first[int(a)], annotators[int(b)], int(n)) for a, b, n in each]
    weightings = _weightings(task)
    wanted: list[tuple[Measure, _Party]] = [(measure, party) for measure in weightings for party in parties]
    found = _pair_intervals(tables, len(task.classes), list(weightings.values()), group, settings)
    return [
        _figure(task, party, measure, interval, SAME_CLASS)
        for (measure, party), interval in zip(wanted, found, strict=True)
    ]


def _firsts(shared: SharedItems, models: Sequence[str] | None) -> list[int]:
    return [0] if models is None else [int(model) for model in np.unique(shared.first)]


def _weightings(task: Task) -> dict[Measure, co.Weighting]:
    weightings: dict[Measure, co.Weighting] = {"cohen_kappa": "unweighted"}
    if task.ordered:
        weightings |= {"cohen_kappa_linear": "linear", "cohen_kappa_quadratic": "quadratic"}
    return weightings


def _pair_intervals(
    tables: PairTables,
    n_classes: int,
    weightings: Sequence[co.Weighting],
    group: Int64[Array, "pairs"],
    settings: _Settings,
) -> list[Interval | None]:
    """Corrected for bias only: the jackknife that BCa asks for would cost items x pairs."""
    entries = int(tables.shared.sum()) + len(tables.first) * n_classes**2
    return bootstrap(
        tables.sums,
        lambda total: np.hstack([pair_kappas(total, n_classes, weighting, group) for weighting in weightings]),
        rng=settings.rng(),
        resamples=min(settings.resamples, max(FEWEST_RESAMPLES, PAIR_ENTRIES // entries)),
        level=settings.level,
        method="bc",
    )


# ---- models -------------------------------------------------------------------------------------------------------
def _model_figures(task: Task, of: Ratings, models: Sequence[str], settings: _Settings) -> list[Figure]:
    answered = of.counts.sum(axis=1) > 0
    figures: list[Figure] = []
    for model, name in enumerate(models):
        both = answered & (of.answer[:, model] >= 0)
        if (of.answer[:, model] >= 0).any():
            figures += _one_model(task, name, of.counts[both], of.answer[both, model], settings)
    return figures


def _one_model(
    task: Task, name: str, counts: Int64[Array, "items classes"], answer: Int64[Array, "items"], settings: _Settings
) -> list[Figure]:
    n_classes = len(task.classes)
    found = bootstrap(
        model_sums(counts, answer),
        lambda total: model_figures(total, n_classes),
        rng=settings.rng(),
        resamples=settings.resamples,
        level=settings.level,
    )
    n_both, n_two = len(answer), int((counts.sum(axis=1) > 1).sum())
    unknown = NO_MODEL if not n_both else ONE_CLASS if n_classes == 1 else SAME_CLASS
    measures: dict[Measure, tuple[int, str]] = {
        "agreement": (n_both, unknown),
        "pooled_kappa": (n_both, unknown),
        "pooled_kappa_quadratic": (n_both, unknown),
        "agreement_minus_people": (n_two, unknown if n_two else NO_PAIR),
        "pooled_kappa_minus_people": (n_two, unknown if n_two else NO_PAIR),
    }
    return [
        _figure(task, _Party(name, PEOPLE, n), measure, interval, reason)
        for (measure, (n, reason)), interval in zip(measures.items(), found, strict=True)
        if task.ordered or measure != "pooled_kappa_quadratic"
    ]


def _figure(task: Task, who: _Party, measure: Measure, interval: Interval | None, reason: str) -> Figure:
    if interval is None:
        return Figure(task.name, who.first, who.second, measure, None, None, None, None, who.n_items, None, reason)
    word = band(measure, interval.estimate)
    return Figure(task.name, who.first, who.second, measure, *interval, who.n_items, word, None)
