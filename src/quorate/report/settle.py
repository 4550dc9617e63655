"""Estimators whose settings a first fit has chosen, so that later fits are quick and differ in nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from quorate.consensus.calco import Calco
from quorate.consensus.estimator import Estimator, Model
from quorate.consensus.hybrid import Hybrid, HybridModel

MANY_MODELS = 8
SHORT: dict[bool, dict[str, Any]] = {
    False: {"max_iterations": 100},
    True: {"max_iterations": 60, "points": 64},  # many models, so many fits
}
SHORT_CALCO = 300  # steps


def settled(option: Estimator, model: Model | None) -> Estimator:
    """The estimator with the settings that a fit of it has chosen.

    >>> settled(Hybrid(factors=1), None).factors
    1
    """
    if not (isinstance(option, Hybrid) and isinstance(model, HybridModel)):
        return option
    chosen = model.settings
    return replace(
        option,
        factors=chosen.factors,
        subtypes=chosen.subtypes,
        annotator_shrinkage=chosen.annotator,
        model_shrinkage=chosen.apart,
        people_shrinkage=chosen.people,
    )


def shortened(option: Estimator, n_models: int) -> Estimator:
    """The same with fits cut short: for differences between fits that are all cut alike.

    >>> shortened(Hybrid(), n_models=20).points
    64
    """
    if isinstance(option, Hybrid):
        return replace(option, **SHORT[n_models > MANY_MODELS])
    return replace(option, max_steps=min(option.max_steps, SHORT_CALCO)) if isinstance(option, Calco) else option
