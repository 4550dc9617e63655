"""`calco`: the paper's own model, fitted by its own algorithm; the reference that the default must beat [nguyen2026].

Assumes, for item i, task t, annotator a, model m of archetype z_m, and q_i in additive log-ratio space [aitchison1980]

    q_i ~ N(mu, diag(sigma) L L' diag(sigma)),  L ~ LKJCholesky(eta) [lewandowski2009]        equations 5 to 8
    theta_it = softmax([q_it, 0]),  y_it ~ Categorical(theta_it)                              equation 9
    phi_atk ~ Dirichlet(beta_people[k]),  r ~ Categorical(phi_at[y_it])                       equations 10, 14
    base_ftk ~ Dirichlet(beta_models[k]),  psi_mtk ~ Dirichlet(gamma base_(z_m)tk)            equations 11, 12
    z_m ~ Categorical(pi),  pi ~ Dirichlet(alpha)                                             equation 13
    s_itm ~ Dirichlet(lambda psi_mt[y_it])                                                    equation 15

Truth y and archetypes z are summed out (equation 17); q_i has the guide N(encoder(x_i), Sigma) (equation 16), with x_i
the models' averaged scores or the item's features; rows have Dirichlet guides; mu, sigma, L and lambda are points.
The bound is climbed by Adam on minibatches until its smoothed value stops rising (Algorithm 1), in Pyro [bingham2019].

With guide "items" q_i has no guide: it is integrated on points of its prior, so that a label on one task moves the
others. What separates the two is the worth of the guide, not that of the model. Gold labels of the fit data are one
more annotator with a strong diagonal prior; prediction never reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int64

from quorate.consensus.calco.model import CalcoModel
from quorate.consensus.calco.problem import problem_of
from quorate.consensus.door import coded_of, default_targets
from quorate.consensus.estimator import Fit
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SettingError

__all__ = ["Calco", "CalcoModel"]
Array = np.ndarray
Guide = Literal["scores", "items"]
Encoded = Literal["scores", "features"]


@dataclass(frozen=True)
class Calco:
    """The paper's model. What the paper calls hyperparameters and does not publish is an option here.

    archetypes: how many, the membership learned; families: a name per model instead, the membership known.
    encoded: what the guide's network reads. precision: gamma. mixing: alpha. correlation_shape: eta.
    points: draws of q per item at prediction; of its prior with guide "items". device: as torch names it.

    >>> Calco(guide="items").points
    4096
    """

    guide: Guide = "scores"
    encoded: Encoded = "scores"
    archetypes: int = 2
    families: Mapping[str, str] | None = None
    precision: float = 20.0
    mixing: float = 1.0
    correlation_shape: float = 2.0
    hidden: int = 64
    batch: int = 512
    learning_rate: float = 0.02
    max_steps: int = 3_000
    tolerance: float = 2e-4
    points: int = 0
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.guide not in get_args(Guide) or self.encoded not in get_args(Encoded):
            raise SettingError(f"guide is 'scores' or 'items', encoded 'scores' or 'features', not {self!r}")
        for name in ("archetypes", "hidden", "batch", "max_steps"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("precision", "mixing", "correlation_shape", "learning_rate"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.points < 0 or self.points & (self.points - 1):
            raise SettingError(f"points must be a power of two, not {self.points}")
        if self.points == 0:
            object.__setattr__(self, "points", 256 if self.guide == "scores" else 4_096)

    def fit(self, data: Dataset | Coded, *, progress: Callable[[float, str], None] | None = None) -> CalcoModel:
        """Climb the bound. Raises MissingExtraError without torch and Pyro, SettingError for families or a device
        that do not suit.
        """
        from quorate.consensus.calco.training import train

        coded = coded_of(data)
        problem = problem_of(coded, self.family_of(coded.models), encoded=self.encoded)
        tell = (lambda share: progress(share, "calco")) if progress is not None else None
        learned, ended = train(problem, self, tell)
        return CalcoModel(
            schema=coded.schema,
            annotators=coded.annotators,
            models=coded.models,
            fit=Fit(ended.status, ended.steps, ended.objective, _notes(coded)),
            options=self,
            learned=learned,
            targets=default_targets(coded),
            gold_seen=tuple(bool((coded.gold[:, t] >= 0).any()) for t in range(coded.n_tasks)),
        )

    def family_of(self, models: tuple[str, ...]) -> Int64[Array, "models"] | None:
        """The known archetype of every model, by number; None where it is to be learned."""
        if self.families is None:
            return None
        missing = [name for name in models if name not in self.families]
        if missing:
            raise SettingError(f"families names no family for model {missing[0]!r}")
        names = sorted({self.families[name] for name in models})
        return np.array([names.index(self.families[name]) for name in models], np.int64)


def _notes(coded: Coded) -> tuple[str, ...]:
    labeled = np.diff(coded.labels.start).reshape(coded.n_items, coded.n_tasks).sum(axis=0)
    return tuple(
        f"Task {task.name!r} has no label by a person and no gold: its truth is what the models share, untested."
        for t, task in enumerate(coded.schema.tasks)
        if not labeled[t] and not (coded.gold[:, t] >= 0).any()
    )
