"""What several models said of one task, beside what is true: the ground on which annotator and criticizer are chosen.

Prompt variants of one model (`|` in its name) are one model: its score is the mean of theirs, which for hard answers is
the share of variants that say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.act.choose import criticisms
from quorate.data.encode import Coded
from quorate.evaluate.protocol import truth_of

Array = np.ndarray
COVERAGE = 0.9  # of the items with a truth; models that answered less are left out


class Case(NamedTuple):
    """What the models said of one task, and what is true."""

    task: str
    models: tuple[str, ...]
    scores: Float64[Array, "items models classes"]
    truth: Int64[Array, "items"]

    @property
    def answers(self) -> Int64[Array, "items models"]:
        """The likeliest class of every model, the first of equals."""
        return self.scores.argmax(axis=2)

    def of(self, index: Int64[Array, "kept"]) -> Case:
        """These items only."""
        return self._replace(scores=self.scores[index], truth=self.truth[index])

    def errors(self, annotator: int) -> Float64[Array, "items models"]:
        """Everybody's criticism of one model's answers."""
        return criticisms(self.scores, self.answers[:, annotator])

    def wrong(self, annotator: int) -> Bool[Array, "items"]:
        """Where that model is wrong."""
        return self.answers[:, annotator] != self.truth


def cases_of(coded: Coded, least: int = 2) -> Iterator[Case]:
    """The tasks with two models or more, and at least so many items that these answered and whose truth is known."""
    truth = truth_of(coded).code.astype(np.int64)
    for place, task in enumerate(coded.schema.tasks):
        known = truth[:, place] >= 0
        said = coded.outputs[place].kind > 0
        variants = np.flatnonzero(said[known].mean(axis=0) >= COVERAGE) if known.any() else np.zeros(0, np.int64)
        names = [coded.models[at].split("|")[0] for at in variants]
        families = list(dict.fromkeys(names))
        rows = np.flatnonzero(known & said[:, variants].all(axis=1))
        if len(families) >= 2 and len(rows) >= least:
            vectors = coded.outputs[place].scores[rows][:, variants].astype(np.float64)[..., : len(task.classes)]
            yield Case(task.name, tuple(families), _pooled(vectors, names, families), truth[rows, place])


def _pooled(
    vectors: Float64[Array, "items variants classes"], names: Sequence[str], families: Sequence[str]
) -> Float64[Array, "items models classes"]:
    return np.stack(
        [vectors[:, [at for at, name in enumerate(names) if name == family]].mean(axis=1) for family in families],
        axis=1,
    )
