"""Fitted calibrators: from log scores (logits where they are known) to scores that can be trusted.

`apply` takes log scores, up to any constant per row, and gives scores that sum to 1. JSON keeps every digit.
Softmax scaling acts on all classes at once; Platt, beta and isotonic map the score of each class by itself
(one against the rest) and share out what results, so that they may change the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64
from scipy.special import expit

from quorate.calibrate.logits import log_softmax
from quorate.errors import DataError

Array = np.ndarray
TINY = 1e-12  # of a score, so that its logarithm is finite


@runtime_checkable
class Calibrator(Protocol):
    """What all calibrators can do."""

    name: ClassVar[str]

    def apply(self, log_scores: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
        """Calibrated scores of these log scores."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Everything, for `from_json`."""
        ...


# ---- softmax scaling ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Identity:
    """Scores as they are.

    >>> Identity().apply(np.log([[0.7, 0.3]])).round(2).tolist()
    [[0.7, 0.3]]
    """

    name: ClassVar[str] = "identity"

    def apply(self, log_scores: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
        """The scores themselves."""
        return np.exp(log_softmax(log_scores))

    def to_json(self) -> dict[str, Any]:
        """Nothing but its name."""
        return _kept(self)


@dataclass(frozen=True)
class Temperature:
    """softmax(scale · x); scale is 1 / temperature, below 1 for a model that is too sure [guo2017].

    >>> Temperature(0.5).apply(np.log([[0.8, 0.2]])).round(3).tolist()
    [[0.667, 0.333]]
    """

    name: ClassVar[str] = "temperature"
    scale: float

    def apply(self, log_scores: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
        """Flatter or sharper, in the same order."""
        return np.exp(log_softmax(self.scale * log_scores))

    def to_json(self) -> dict[str, Any]:
        """The scale."""
        return _kept(self)


@dataclass(frozen=True)
class Vector:
    """softmax(slopes ∘ x + bias), x the log scores less their mean [guo2017]."""

    name: ClassVar[str] = "vector"
    slopes: Float64[Array, "classes"]
    bias: Float64[Array, "classes"]  # nats

    def apply(self, log_scores: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
        """Each class by its own slope and bias."""
        return np.exp(log_softmax(centred(log_scores) * self.slopes + self.bias))

    def to_json(self) -> dict[str, Any]:
        """Slopes and biases."""
        return _kept(self)


@dataclass(frozen=True)
class Matrix:
    """softmax(weights x + bias), x the log scores less their mean [kull2019]."""

    name: ClassVar[str] = "matrix"
    weights: Float64[Array, "classes classes"]
    bias: Float64[Array, "classes"]  # nats

    def apply(self, log_scores: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
        """Each class by the scores of all."""
        return np.exp(log_softmax(centred(log_scores) @ self.weights.T + self.bias))

    def to_json(self) -> dict[str, Any]:
        """Weights and biases."""
        return _kept(self)


# ---- one class against the rest -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Platt:
    """Per class a sigmoid of slope · log odds + bias, shared out over classes [platt1999]."""

    name: ClassVar[str] = "platt"
    slopes: Float64[Array, "classes"]
    bias: Float64[Array, "classes"]  # nats

    def apply(self, log_scores: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
        """Each class by its own sigmoid."""
        log_p, log_rest = log_odds_parts(log_scores)
        return shared_out(expit(self.slopes * (log_p - log_rest) + self.bias), log_scores)

    def to_json(self) -> dict[str, Any]:
        """Slopes and biases."""
        return _kept(self)


@dataclass(frozen=True)
class Beta:
    """Per class a sigmoid of yes · log s - no · log(1 - s) + bias, shared out over classes [kull2017]."""

    name: ClassVar[str] = "beta"
    yes: Float64[Array, "classes"]
    no: Float64[Array, "classes"]
    bias: Float64[Array, "classes"]  # nats

    def apply(self, log_scores: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
        """Each class by its own curve."""
        log_p, log_rest = log_odds_parts(log_scores)
        return shared_out(expit(self.yes * log_p - self.no * log_rest + self.bias), log_scores)

    def to_json(self) -> dict[str, Any]:
        """Two slopes and a bias per class."""
        return _kept(self)


@dataclass(frozen=True)
class Isotonic:
    """Per class a rising curve through knots, straight between them, shared out over classes [zadrozny2002]."""

    name: ClassVar[str] = "isotonic"
    scores: tuple[Float64[Array, "_knots"], ...]
    shares: tuple[Float64[Array, "_knots"], ...]

    def apply(self, log_scores: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
        """Each class by its own curve, flat beyond its ends."""
        p = np.exp(log_softmax(log_scores))
        curves = zip(p.T, self.scores, self.shares, strict=True)
        return shared_out(np.column_stack([np.interp(of, at, share) for of, at, share in curves]), log_scores)

    def to_json(self) -> dict[str, Any]:
        """The knots of every class."""
        return _kept(self)


# ---- what they share ------------------------------------------------------------------------------------------------
def centred(log_scores: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
    """Log scores less their mean over classes: what is known of logits, whose level means nothing."""
    return log_scores - log_scores.mean(axis=1, keepdims=True)


def log_odds_parts(
    log_scores: Float64[Array, "rows classes"],
) -> tuple[Float64[Array, "rows classes"], Float64[Array, "rows classes"]]:
    """Logarithms of s and 1 - s of every class, exact for scores near 0 and 1 too, in nats."""
    log_p = log_softmax(log_scores)
    p = np.exp(log_p)
    others = p.sum(axis=1, keepdims=True) - p
    top = p.argmax(axis=1)[:, None]
    rest = np.where(np.arange(p.shape[1]) == top, 0.0, p).sum(axis=1, keepdims=True)  # no 1 - .999...
    np.put_along_axis(others, top, rest, axis=1)
    return log_p, np.log(np.maximum(others, TINY**3))


def shared_out(
    claims: Float64[Array, "rows classes"], log_scores: Float64[Array, "rows classes"]
) -> Float64[Array, "rows classes"]:
    """Claims of the classes made to sum to 1; a row that no class claims keeps its scores."""
    nobody = claims.sum(axis=1) <= TINY
    claims[nobody] = np.exp(log_softmax(log_scores[nobody]))
    return claims / claims.sum(axis=1, keepdims=True)


# ---- JSON -----------------------------------------------------------------------------------------------------------
KINDS: Mapping[str, Callable[..., Calibrator]] = {
    kind.name: kind for kind in (Identity, Temperature, Vector, Matrix, Platt, Beta, Isotonic)
}


def from_json(value: Mapping[str, Any]) -> Calibrator:
    """The calibrator that was kept. Raises DataError for what is none.

    >>> from_json(Temperature(0.5).to_json())
    Temperature(scale=0.5)
    """
    given = dict(value)
    kind = KINDS.get(str(given.pop("method", None)))
    if kind is None:
        raise DataError("this is no calibrator", mend=f"give a 'method' of {', '.join(KINDS)}", column="method")
    try:
        return kind(**{key: _arrays(each, ragged=kind is Isotonic) for key, each in given.items()})
    except (TypeError, ValueError):
        raise DataError("this calibrator is incomplete or altered", mend="write it again with to_json()") from None


def _kept(calibrator: Any) -> dict[str, Any]:
    return {"method": calibrator.name, **{key: _plain(each) for key, each in asdict(calibrator).items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _arrays(value: Any, *, ragged: bool) -> Any:
    """Lists as arrays; knots, of which each class has its own number, as a tuple of them."""
    if ragged:
        return tuple(np.array(each, np.float64) for each in value)
    return np.array(value, np.float64) if isinstance(value, list) else float(value)
