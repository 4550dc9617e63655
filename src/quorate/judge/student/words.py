"""Texts as numbers: TF-IDF of words and of runs of letters, column by column, how long a text is, and given numbers.

    tf-idf   (1 + ln n) · (1 + ln((1 + items) / (1 + items with the term))), a row of each block at length 1
             [sparckjones1972, salton1988], by scikit-learn
    length   ln(1 + characters) of every column; this and given numbers less their mean, over their deviation

Every column has terms of its own, so that a word in the first of two answers is not the same word in the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float32
from scipy.sparse import csr_array, hstack

from quorate.errors import DataError, MissingExtraError, SchemaError
from quorate.judge.student.contents import Contents

Array = np.ndarray
Analyzer = Literal["word", "char_wb"]
RUNS: dict[Analyzer, tuple[int, int]] = {"word": (1, 2), "char_wb": (3, 5)}  # terms of so many words, of letters
FEWEST_ITEMS = 2  # that hold a term
EXTRA = "student"


class Terms(NamedTuple):
    """The terms of one column."""

    column: str
    analyzer: Analyzer
    terms: tuple[str, ...]
    idf: Float32[Array, "terms"]


@dataclass(frozen=True)
class Words:
    """How items become rows of numbers, as it was learned from the items that taught."""

    columns: tuple[str, ...]
    blocks: tuple[Terms, ...]
    names: tuple[str, ...]  # of the given numbers
    mean: Float32[Array, "dense"]  # of the lengths of the columns, then of the given numbers
    deviation: Float32[Array, "dense"]

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return sum(len(block.terms) for block in self.blocks) + len(self.mean)

    def matrix(self, contents: Contents) -> csr_array:
        """A row per item. Raises SchemaError where a column or a number that was learned is missing."""
        parts = [_vectorizer(block).transform(_texts(contents, block.column)) for block in self.blocks]
        dense = (_dense(contents, self.columns, self.names) - self.mean) / self.deviation
        dense[:, len(self.columns) :] *= _known(contents)[:, None]
        scaled = dense / max(dense.shape[1], 1) ** 0.5  # the block is as long as those of the terms
        return csr_array(hstack([*parts, csr_array(scaled)], format="csr", dtype=np.float32))


def learned(contents: Contents, *, letters: bool = True, most_terms: int = 50_000) -> Words:
    """The terms of these items, and the scale of their numbers; `most_terms` of a block, the most frequent.

    Raises DataError where there is nothing to read, MissingExtraError without scikit-learn.
    """
    columns = tuple(contents.texts)
    analyzers: tuple[Analyzer, ...] = ("word", "char_wb") if letters else ("word",)
    found = [_terms(contents, column, analyzer, most_terms) for column in columns for analyzer in analyzers]
    blocks = tuple(block for block in found if block is not None)
    if not blocks and not contents.names:
        mend = "name the columns that hold the texts, or give embeddings"
        raise DataError(f"no term stands in {FEWEST_ITEMS} items, and there are no numbers", mend=mend)
    dense = _dense(contents, columns, contents.names)
    known = np.column_stack([*[np.ones(len(contents))] * len(columns), *[_known(contents)] * len(contents.names)])
    weight = known.reshape(dense.shape) / np.maximum(known.reshape(dense.shape).sum(axis=0), 1)
    mean = (weight * dense).sum(axis=0)
    deviation = np.sqrt((weight * (dense - mean) ** 2).sum(axis=0))
    deviation[deviation < 1e-6] = 1.0
    return Words(columns, blocks, contents.names, mean.astype(np.float32), deviation.astype(np.float32))


def _terms(contents: Contents, column: str, analyzer: Analyzer, most_terms: int) -> Terms | None:
    """The terms of a column; None where no term stands in enough items."""
    texts = contents.texts[column]
    if len(texts) < FEWEST_ITEMS:
        return None
    vectorizer = _sklearn()(**_settings(analyzer), min_df=FEWEST_ITEMS, max_features=most_terms)
    try:
        vectorizer.fit(texts)
    except ValueError:  # no term is left
        return None
    terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    return Terms(column, analyzer, tuple(terms), np.asarray(vectorizer.idf_, np.float32))


def _vectorizer(block: Terms) -> Any:
    vectorizer = _sklearn()(
        **_settings(block.analyzer), vocabulary={term: place for place, term in enumerate(block.terms)}
    )
    vectorizer.idf_ = block.idf
    return vectorizer


def _settings(analyzer: Analyzer) -> dict[str, Any]:
    return {"analyzer": analyzer, "ngram_range": RUNS[analyzer], "sublinear_tf": True, "dtype": np.float32}


def _sklearn() -> Any:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        raise MissingExtraError("scikit-learn", EXTRA) from error
    return TfidfVectorizer


def _texts(contents: Contents, column: str) -> Sequence[str]:
    if column not in contents.texts:
        there = ", ".join(contents.texts) or "no text"
        mend = f"give the items a column {column!r}, or name it among those that are read"
        raise SchemaError(f"the student reads column {column!r}; here there is {there}", mend=mend, column=column)
    return contents.texts[column]


def _dense(contents: Contents, columns: Sequence[str], names: Sequence[str]) -> Float32[Array, "items dense"]:
    """Lengths, then given numbers, in the order in which they were learned."""
    parts = [*_lengths(contents, columns), *_numbers(contents, names)]
    return np.column_stack(parts) if parts else np.zeros((len(contents), 0), np.float32)


def _lengths(contents: Contents, columns: Sequence[str]) -> Iterator[Float32[Array, "items"]]:
    for column in columns:
        yield np.log1p([len(text) for text in _texts(contents, column)]).astype(np.float32)


def _numbers(contents: Contents, names: Sequence[str]) -> Iterator[Float32[Array, "items"]]:
    place = {name: at for at, name in enumerate(contents.names)}
    for name in names:
        if name not in place:
            mend = "give the items the numbers (x_* columns, embeddings) that those had that taught it"
            raise SchemaError(f"the student reads the number {name!r}, which these items lack", mend=mend)
        yield contents.numbers[:, place[name]]


def _known(contents: Contents) -> Float32[Array, "items"]:
    return contents.known if contents.names else np.ones(len(contents), np.float32)
