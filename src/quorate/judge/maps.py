"""Score maps: from what a judge says to what people would say.

Of an ordered task a map is a curve over grades, with cut points where its grades become classes. Of unordered classes
it is a table of rows (people's classes given the judge's) or a slope and a bias per class. `map_grades` and
`map_classes` fit them, `map_choice` chooses by cross-validation. All of it is frozen and has a spelling in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Float64, Int64

from quorate.calibrate.calibrators import centred
from quorate.calibrate.logits import log_softmax
from quorate.errors import ArchiveError
from quorate.judge.graded import grade_values
from quorate.judge.tilt import tilted
from quorate.schema import Schema, Task

Array = np.ndarray
FLOOR = 1e-6  # least probability that is read from a judge's scores, so that one sure error costs no infinite loss


class Mapped(NamedTuple):
    """What a judge says once it is read through its map; of an item on which it said nothing: -1, 0 and zeros."""

    said: Int64[Array, "items"]
    grades: Float64[Array, "items"]  # real-valued; of an unordered task all 0
    probs: Float64[Array, "items classes"]  # of a random person's class


class Curve(NamedTuple):
    """A grade as a function of the judge's, straight between knots and level beyond them."""

    expects: bool  # whether it reads the expected grade of the judge's probabilities, or the grade of its answer
    x: tuple[float, ...]  # grades said, rising
    y: tuple[float, ...]  # grades meant
    cuts: tuple[float, ...]  # a grade from the n-th cut point on is class n + 1
    base: tuple[float, ...]  # people's classes over all items; empty: the judge's own probabilities stand


class Rows(NamedTuple):
    """Probabilities of people's classes (columns) given the judge's (rows)."""

    rows: tuple[tuple[float, ...], ...]


class Slopes(NamedTuple):
    """softmax(slope_k x_k + bias_k), x the log probabilities less their mean."""

    slope: tuple[float, ...]
    bias: tuple[float, ...]


SHAPES: Mapping[str, type[Curve | Rows | Slopes]] = {"curve": Curve, "rows": Rows, "slopes": Slopes}


@dataclass(frozen=True)
class ScoreMap:
    """A fitted map of one task.

    >>> task = Task("care", ("1", "2", "3"), ordered=True)
    >>> a_half_less = ScoreMap(task, "shift", Curve(False, (1.0, 3.0), (0.5, 2.5), (1.5, 2.5), (0.3, 0.4, 0.3)))
    >>> a_half_less.apply(np.array([2, 1, -1]), np.array([[0.0, 0, 1], [0, 1, 0], [0, 0, 0]])).grades.tolist()
    [2.5, 1.5, 0.0]
    """

    task: Task
    kind: str
    shape: Curve | Rows | Slopes

    def apply(self, said: Int64[Array, "items"], probs: Float64[Array, "items classes"]) -> Mapped:
        """Classes, grades and probabilities that people would give, from a judge's answers and probabilities."""
        known = said >= 0
        found = _curved(self, said, probs) if isinstance(self.shape, Curve) else _classed(self.shape, probs)
        return Mapped(
            np.where(known, found.said, -1),
            np.where(known, found.grades, 0.0),
            np.where(known[:, None], found.probs, 0.0),
        )

    def to_dict(self) -> dict[str, Any]:
        """As `to_json` spells it."""
        name = next(name for name, shape in SHAPES.items() if isinstance(self.shape, shape))
        task = json.loads(Schema((self.task,)).to_json())["tasks"][0]
        return {"task": task, "kind": self.kind, "shape": name, **self.shape._asdict()}

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ScoreMap:
        """Read back. Raises ArchiveError where it is no score map."""
        try:
            task = Schema.from_json(json.dumps({"tasks": [fields["task"]]})).tasks[0]
            shape = SHAPES[fields["shape"]]
            read = cls(task, str(fields["kind"]), shape(**{name: _tuples(fields[name]) for name in shape._fields}))
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"this is no score map ({type(error).__name__}: {error}): calibrate again") from None
        _check(read)
        return read

    @classmethod
    def from_json(cls, text: str) -> ScoreMap:
        """Read back. Raises ArchiveError where it is no score map."""
        try:
            fields: Any = json.loads(text)
        except ValueError as error:
            raise ArchiveError(f"this is no score map (no JSON: {error}): calibrate again") from None
        if not isinstance(fields, dict):
            raise ArchiveError("this is no score map (no JSON object): calibrate again")
        return cls.from_dict(cast("dict[str, Any]", fields))


def rounding(values: Float64[Array, "classes"]) -> tuple[float, ...]:
    """The cut points that give every grade its nearest class.

    >>> rounding(np.array([1.0, 2.0, 4.0]))
    (1.5, 3.0)
    """
    return tuple(((values[1:] + values[:-1]) / 2).tolist())


def _curved(score_map: ScoreMap, said: Int64[Array, "items"], probs: Float64[Array, "items classes"]) -> Mapped:
    curve, values = score_map.shape, grade_values(score_map.task)
    assert isinstance(curve, Curve)
    signal = probs @ values if curve.expects else values[said]
    grades = np.clip(np.interp(signal, curve.x, curve.y), values[0], values[-1])
    codes = np.searchsorted(np.array(curve.cuts), grades, side="right").astype(np.int64)
    return Mapped(codes, grades, tilted(np.array(curve.base), values, grades) if curve.base else probs)


def _classed(shape: Rows | Slopes, probs: Float64[Array, "items classes"]) -> Mapped:
    if isinstance(shape, Rows):
        found = probs @ np.array(shape.rows)
    else:
        logs = centred(np.log(np.maximum(probs, FLOOR)))
        found = np.exp(log_softmax(logs * np.array(shape.slope) + np.array(shape.bias)))
    return Mapped(np.argmax(found, axis=1).astype(np.int64), np.zeros(len(probs)), found)


def _check(score_map: ScoreMap) -> None:
    """Raises ArchiveError where the parts of a map do not fit together."""
    n, shape = len(score_map.task.classes), score_map.shape
    if isinstance(shape, Curve):
        fits = len(shape.x) == len(shape.y) > 0 and len(shape.cuts) == n - 1 and len(shape.base) in {0, n}
        fits = fits and all(a < b for a, b in zip(shape.x, shape.x[1:], strict=False))
    elif isinstance(shape, Rows):
        fits = len(shape.rows) == n and all(len(row) == n for row in shape.rows)
    else:
        fits = len(shape.slope) == len(shape.bias) == n
    if not fits:
        raise ArchiveError(f"the score map of task {score_map.task.name!r} does not fit its classes: calibrate again")


def _tuples(value: Any) -> Any:
    """Lists as tuples, all the way down; numbers as float."""
    if isinstance(value, list):
        return tuple(map(_tuples, cast("list[Any]", value)))
    return value if isinstance(value, bool) else float(value)
