"""A fitted model with a little of everything that an archive must keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from quorate.consensus.estimator import Fit, Model
from quorate.schema import Schema, Task

ARRAYS = {
    "rows/0": np.linspace(0, 1, 12).reshape(3, 4),
    "rows/1": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "codes": np.array([-1, 5, 32_000], np.int16),
    "flags": np.array([True, False]),
    "names": np.array(["ä", "日本"]),
    "nothing": np.zeros((0, 3)),
    "scalar": np.array(2.5),
}


@dataclass(frozen=True, eq=False)
class KeptModel(Model):
    """Says nothing; is only kept."""

    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    arrays: dict[str, np.ndarray]
    options: dict[str, Any]
    name: str = "kept"
    fit: Fit = Fit("prior only", 0, ())  # noqa: RUF009  a value, never changed

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays, and everything else as settings."""
        settings = {"schema": self.schema.to_json(), "annotators": list(self.annotators), "models": list(self.models)}
        return self.arrays, {**settings, "options": self.options}

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], settings: dict[str, Any]) -> KeptModel:
        """The model whose `state` this is."""
        schema = Schema.from_json(settings["schema"])
        return cls(schema, tuple(settings["annotators"]), tuple(settings["models"]), arrays, settings["options"])

    def predict(self, *_: object, **__: object):
        """Not asked of this model."""
        raise NotImplementedError

    held_out = session = predict


def example() -> KeptModel:
    """A model with names and arrays of every kind."""
    schema = Schema((Task("größe", ("klein", "groß"), ordered=True), Task("b", ("x",))))
    return KeptModel(
        schema, ("ann, 1", "\n"), ("m|1",), ARRAYS, {"r": 2, "list": [1.5, None, "x"], "nested": {"a": True}}
    )
