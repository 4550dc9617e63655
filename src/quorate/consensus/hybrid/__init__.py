"""`hybrid`, the default estimator: people and correlated models over several tasks in one posterior.

Assumes, for an item with model outputs s and R factors f shared by its tasks,

    p(y, f | s) ~ N(f; 0, I_R) prod_t softmax(mu_t + Lambda_t f)[y_t] exp(e_t[y_t])  truth [bock1972]
    e_t = X_t W_t'                                                               evidence, linear in log scores
    r_a ~ Categorical(phi_at[y_t])                                               people, around a population row

and is fitted by the conditional likelihood of people's labels, p(r | s) = p(r, s) / p(s): the truth stays what people
mean by it, and models whose errors correlate share a vote, since their weights are fitted together. Every class may
have two latent subtypes (clear and unclear items [li2019]). f is integrated on quasi-Monte-Carlo points shared by all
items, so that the posterior is exact up to the rule and a label on one task moves the others. Factors, subtypes and
shrinkages are chosen by held-out label likelihood unless given. Without any label the prior pools the models, and the
fit says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from quorate.consensus.door import coded_of, default_targets
from quorate.consensus.estimator import Fit
from quorate.consensus.hybrid.choose import choose
from quorate.consensus.hybrid.fitting import fit_tables, quadrature_points
from quorate.consensus.hybrid.model import HybridModel
from quorate.consensus.hybrid.options import Settings
from quorate.consensus.posterior import Target
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SettingError

__all__ = ["Hybrid", "HybridModel"]
MAX_FACTORS = 16
CHOOSING_SHARE = 0.6  # of the progress bar


@dataclass(frozen=True)
class Hybrid:
    """Options of `hybrid`; None is chosen from the data.

    factors: R, couples the tasks; subtypes: latent kinds per class, 1 or 2; annotator_shrinkage, model_shrinkage: how
    hard one annotator's rows and one model's own weights are pulled to what they share, and a sixth as hard the shared
    weights to those of a plain vote; people_shrinkage: pseudo-labels per class that pull what annotators share to the
    agreement of the task; points: S of the quadrature rule.

    >>> Hybrid(factors=2).points
    128
    """

    factors: int | None = None
    subtypes: int | None = None
    annotator_shrinkage: float | None = None
    model_shrinkage: float | None = None
    people_shrinkage: float | None = None
    points: int = 128
    max_iterations: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        _check("factors", self.factors, 0, MAX_FACTORS)
        _check("subtypes", self.subtypes, 1, 2)
        _check("annotator_shrinkage", self.annotator_shrinkage, 1e-3, 1e6)
        _check("model_shrinkage", self.model_shrinkage, 1e-3, 1e9)
        _check("people_shrinkage", self.people_shrinkage, 1e-3, 1e6)
        _check("points", self.points, 2, 2**16)
        _check("max_iterations", self.max_iterations, 1, 10**6)

    def fit(self, data: Dataset | Coded, *, progress: Callable[[float, str], None] | None = None) -> HybridModel:
        """Choose what is not given, then fit on all."""
        coded = coded_of(data)
        tell = progress or (lambda _share, _what: None)
        given = {name: value for name, value in self._named() if value is not None}
        if len(given) == len(self._named()):
            settings, trials = Settings(**given), ()
        else:
            choosing = lambda share: tell(CHOOSING_SHARE * share, "hybrid: choosing settings")  # noqa: E731
            settings, trials = choose(coded, given, seed=self.seed, progress=choosing)
        points = quadrature_points(settings.factors, self.points, self.seed)
        vocabulary, tables, ended = fit_tables(
            coded,
            settings,
            points=points,
            max_iterations=self.max_iterations,
            seed=self.seed,
            progress=lambda share: tell(CHOOSING_SHARE + (1 - CHOOSING_SHARE) * share, "hybrid: fitting"),
        )
        notes = (*_cold_notes(coded), *_choice_notes(settings, len(trials)))
        return HybridModel(
            schema=coded.schema,
            annotators=coded.annotators,
            models=coded.models,
            fit=Fit(ended.status, len(ended.objective), ended.objective, notes),
            settings=settings,
            vocabulary=vocabulary,
            tables=tables,
            targets=_targets(coded),
            gold_seen=tuple(bool((coded.gold[:, t] >= 0).any()) for t in range(coded.n_tasks)),
        )

    def _named(self) -> list[tuple[str, Any]]:
        return [
            ("factors", self.factors),
            ("subtypes", self.subtypes),
            ("annotator", self.annotator_shrinkage),
            ("apart", self.model_shrinkage),
            ("people", self.people_shrinkage),
        ]


def _check(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise SettingError(f"{name} must lie from {low:g} to {high:g}, not {value}")


def _unlabeled(coded: Coded) -> np.ndarray:
    n_labels = np.diff(coded.labels.start).reshape(coded.n_items, coded.n_tasks).sum(axis=0)
    return (n_labels == 0) & ~(coded.gold >= 0).any(axis=0)


def _targets(coded: Coded) -> tuple[Target, ...]:
    """As for every estimator; the latent class itself where nobody has said what people or experts answer."""
    told = zip(default_targets(coded), _unlabeled(coded), strict=True)
    return tuple(Target("latent") if cold else target for target, cold in told)


def _cold_notes(coded: Coded) -> tuple[str, ...]:
    return tuple(
        f"Task {task.name!r} has no label by a person and no gold: its models are pooled by the prior, untested."
        for task, cold in zip(coded.schema.tasks, _unlabeled(coded), strict=True)
        if cold
    )


def _choice_notes(settings: Settings, n_trials: int) -> tuple[str, ...]:
    if n_trials == 0:
        return ()
    kept = (
        f"{settings.factors} factors, {settings.subtypes} subtypes per class, "
        f"annotator shrinkage {settings.annotator:g}, model shrinkage {settings.apart:g}, "
        f"people shrinkage {settings.people:g}"
    )
    return (f"Chosen by held-out label likelihood among {n_trials} settings: {kept}.",)
