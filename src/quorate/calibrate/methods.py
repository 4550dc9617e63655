"""Every way to calibrate, by name: one table for the command line, the study and the laws that all must keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.calibrate.calibrators import Calibrator, Identity
from quorate.calibrate.one_vs_rest import beta, isotonic, platt
from quorate.calibrate.prior import Gaussian, Prior
from quorate.calibrate.scaling import Family, scaled
from quorate.errors import SettingError

Array = np.ndarray


class Method(NamedTuple):
    """How a calibrator is fitted, and what it is, in a few words."""

    fit: Callable[..., Calibrator]
    words: str


def _scaling(family: Family, *given: Any, **options: Any) -> Calibrator:
    return scaled(family, *given, **options).calibrator


def _identity(*_given: Any, **_options: Any) -> Calibrator:
    return Identity()


METHODS: Mapping[str, Method] = {
    "identity": Method(_identity, "scores as they are"),
    "temperature": Method(partial(_scaling, "temperature"), "one slope for all classes"),
    "vector": Method(partial(_scaling, "vector"), "a slope and a bias per class"),
    "matrix": Method(partial(_scaling, "matrix"), "each class by the scores of all"),
    "platt": Method(platt, "a sigmoid per class"),
    "isotonic": Method(isotonic, "a rising curve per class"),
    "beta": Method(beta, "a curve of three parameters per class"),
}
LEARNING: tuple[Family, ...] = ("temperature", "vector", "matrix")  # those whose prior other tasks can teach


def calibrator(
    method: str,
    log_scores: Float64[Array, "shots classes"],
    truth: Int64[Array, "shots"],
    *,
    weights: Float64[Array, "shots"] | None = None,
    prior: Prior | Gaussian | None = None,
) -> Calibrator:
    """A calibrator fitted on examples whose truth is known, by the name of its method.

    log_scores: logits where they are known, else log scores (`logits.log_scores`). Raises SettingError for an unknown
    method, for no example, and where a learned prior is given to a method that takes none.

    >>> calibrator("temperature", np.log([[0.99, 0.01]] * 20), np.repeat([0, 1], [15, 5])).scale < 0.6
    True
    """
    if method not in METHODS:
        raise SettingError(f"there is no method {method!r}; use one of {', '.join(METHODS)}")
    if isinstance(prior, Gaussian) and method not in LEARNING:
        raise SettingError(f"only {', '.join(LEARNING)} take a prior learned from other tasks, not {method}")
    return METHODS[method].fit(log_scores, truth, weights=weights, prior=prior)
