"""What a label costs: one price for all, prices of tasks, prices of annotators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from quorate.data.encode import Coded
from quorate.errors import SettingError

Array = np.ndarray


@dataclass(frozen=True)
class Prices:
    """The price of one label by a person, in the user's currency: its annotator's, else its task's, else `label`.

    Raises SettingError for a price that is negative or no number.

    >>> Prices(0.08, of_task={"safe": 0.2})
    Prices(label=0.08, of_task={'safe': 0.2}, of_annotator={})
    """

    label: float = 1.0
    of_task: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)
    of_annotator: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)

    def __post_init__(self) -> None:
        _check("a label", self.label)
        for kind, prices in (("task", self.of_task), ("annotator", self.of_annotator)):
            for name, price in prices.items():
                _check(f"{kind} {name!r}", price)

    def of_labels(self, coded: Coded) -> Float64[Array, "labels"]:
        """The price of every label, in the order of `coded.labels`, in the currency of the prices.

        Raises SettingError for the price of a task or an annotator that the data does not have.
        """
        by_task = self._table("task", self.of_task, [task.name for task in coded.schema.tasks])
        by_annotator = self._table("annotator", self.of_annotator, coded.annotators)
        of_task = by_task[coded.cell_of_label() % max(coded.n_tasks, 1)]
        of_annotator = np.append(by_annotator, np.nan)[coded.labels.annotator]  # the last: whom no model ever saw
        price = np.where(np.isnan(of_annotator), of_task, of_annotator)
        return np.where(np.isnan(price), float(self.label), price)

    def of_first_labels(self, coded: Coded) -> Float64[Array, "steps items tasks"]:
        """What the first 0, 1, 2, ... labels of every item and task cost together, in the currency of the prices.

        Raises SettingError as `of_labels`.
        """
        start, cell = coded.labels.start, coded.cell_of_label()
        rank = np.arange(len(cell)) - start[cell]
        paid = np.zeros((int(np.diff(start).max(initial=0)) + 1, len(start) - 1))
        paid[rank + 1, cell] = self.of_labels(coded)
        return np.cumsum(paid, axis=0).reshape(-1, coded.n_items, coded.n_tasks)

    def _table(self, kind: str, prices: Mapping[str, float], names: Sequence[str]) -> Float64[Array, "names"]:
        """The price of every name, NaN where it has none of its own."""
        strange = sorted(set(prices) - set(names))
        if strange:
            known = ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
            raise SettingError(
                f"there is a price for {kind} {strange[0]!r}, which the data does not have; it has {known}"
            )
        return np.array([prices.get(name, np.nan) for name in names], float)


def _check(what: str, price: float) -> None:
    if not 0 <= price < float("inf"):
        raise SettingError(f"the price of {what} is a number of 0 or more, not {price}")
