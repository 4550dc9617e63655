"""How well the text of a document matches its query, in numbers, column by column.

    bm25      Σ_t idf_t · n_t (k1 + 1) / (n_t + k1 (1 - b + b · length / mean length)),
              idf_t = ln(1 + (N - d_t + 1/2) / (d_t + 1/2))                              [robertson2009]
    cosine    of the vectors (1 + ln n_t) · idf_t                                        [salton1988]
    covered   the share of the query's idf that stands in the document
    phrase    1 where the query stands in the document word for word
    length    ln(1 + words of the document); beside all columns ln(1 + words of the query)

N documents, of which d_t hold the term, are those that taught: a term that none of them held counts as one that one of
them held, so a match on a new name still counts for much.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.sparse import csr_array

from quorate.errors import SchemaError

Array = np.ndarray
WORD = re.compile(r"\w+")
SATURATION, LENGTHS = 1.2, 0.75  # k1 and b of BM25, at their usual values
KINDS = ("bm25", "cosine", "covered", "phrase", "length")


@dataclass(frozen=True)
class Field:
    """What was learned of one column of the documents."""

    column: str
    n_documents: int
    mean_length: float  # words
    held: Mapping[str, int]  # documents that hold a term; those that fewer than two hold are left out

    def idf(self, terms: Sequence[str]) -> Float64[Array, "terms"]:
        """How much a match on each of the terms says, in nats."""
        held = np.array([self.held.get(term, 1) for term in terms], np.float64)
        return np.log1p((max(self.n_documents, 1) - held + 0.5).clip(0.5) / (held + 0.5))


@dataclass(frozen=True)
class Matches:
    """The columns of the documents that are held against the query."""

    fields: tuple[Field, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The numbers in their order, as `bm25(title)`."""
        each = tuple(f"{kind}({field.column})" for field in self.fields for kind in KINDS)
        return (*each, "query length") if self.fields else ()

    def numbers(self, texts: Mapping[str, Sequence[str]], queries: Sequence[str]) -> Float64[Array, "items numbers"]:
        """A row per document, beside the query that it stands under. Raises SchemaError for a missing column."""
        if not self.fields:
            return np.zeros((len(queries), 0))
        asked = [words(query) for query in queries]
        parts = [_of_field(field, _column(texts, field.column), asked) for field in self.fields]
        return np.column_stack([*parts, np.log1p([len(each) for each in asked])])


def words(text: str) -> list[str]:
    """The words of a text in lower case.

    >>> words("Ranking: BM25, again")
    ['ranking', 'bm25', 'again']
    """
    return WORD.findall(text.lower())


def learned(texts: Mapping[str, Sequence[str]]) -> Matches:
    """The statistics of these documents, each counted once however many queries it stands under."""
    return Matches(tuple(_field(column, list(dict.fromkeys(given))) for column, given in texts.items()))


def _field(column: str, texts: Sequence[str]) -> Field:
    held, total = Counter[str](), 0
    for text in texts:
        found = words(text)
        total += len(found)
        held.update(set(found))
    kept = {term: n for term, n in sorted(held.items()) if n > 1}
    return Field(column, len(texts), total / max(len(texts), 1), kept)


def _column(texts: Mapping[str, Sequence[str]], column: str) -> Sequence[str]:
    if column not in texts:
        there = ", ".join(texts) or "no text"
        mend = f"give the documents a column {column!r}, or name it among those that are read"
        raise SchemaError(f"the ranker reads column {column!r}; here there is {there}", mend=mend, column=column)
    return texts[column]


def _of_field(field: Field, texts: Sequence[str], asked: Sequence[Sequence[str]]) -> Float64[Array, "items kinds"]:
    place = {term: at for at, term in enumerate(sorted({term for query in asked for term in query}))}
    idf = field.idf(list(place))
    query = _counts(asked, place)
    found = [words(text) for text in texts]
    known = _counts(found, place)  # of the queries' terms only: others match nothing
    lengths = np.array([len(each) for each in found], np.float64)
    both = csr_array(known.multiply(query > 0))
    row, term, n = _entries(both)
    spread = SATURATION * (1 - LENGTHS + LENGTHS * lengths[row] / max(field.mean_length, 1e-9))
    bm25 = np.bincount(row, idf[term] * n * (SATURATION + 1) / (n + spread), len(texts))
    asked_row, asked_term, asked_n = _entries(query)
    in_all = np.bincount(asked_row, idf[asked_term], len(texts))
    covered = np.bincount(row, idf[term], len(texts)) / np.maximum(in_all, 1e-9)
    norm = np.bincount(asked_row, ((1 + np.log(asked_n)) * idf[asked_term]) ** 2, len(texts)) ** 0.5
    in_query = np.asarray(query[row, term]).ravel() if len(row) else np.zeros(0)
    inner = np.bincount(row, (1 + np.log(n)) * (1 + np.log(np.maximum(in_query, 1))) * idf[term] ** 2, len(texts))
    cosine = inner / np.maximum(norm * _norms(field, found), 1e-9)
    phrase = [bool(q) and f" {' '.join(q)} " in f" {' '.join(t)} " for q, t in zip(asked, found, strict=True)]
    return np.column_stack([bm25, cosine, covered, np.array(phrase, float), np.log1p(lengths)])


def _counts(texts: Sequence[Sequence[str]], place: Mapping[str, int]) -> csr_array:
    """How often each of the terms stands in each text."""
    rows = [Counter(place[term] for term in text if term in place) for text in texts]
    columns = [sorted(row) for row in rows]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    flat = np.array([term for row in columns for term in row], np.int64)
    n = np.array([row[term] for row, terms in zip(rows, columns, strict=True) for term in terms], np.float64)
    return csr_array((n, flat, starts), shape=(len(texts), max(len(place), 1)))


def _entries(of: csr_array) -> tuple[Any, Any, Any]:
    """Rows, columns and values of what is not zero."""
    coo = of.tocoo()
    return coo.row.astype(np.int64), coo.col.astype(np.int64), coo.data


def _norms(field: Field, texts: Sequence[Sequence[str]]) -> Float64[Array, "items"]:
    """The length of every document's whole vector."""
    known = dict[str, float]()
    found = np.zeros(len(texts))
    for at, text in enumerate(texts):
        counts = Counter(text)
        new = [term for term in counts if term not in known]
        known.update(zip(new, field.idf(new).tolist(), strict=True))
        found[at] = sum(((1 + np.log(n)) * known[term]) ** 2 for term, n in counts.items()) ** 0.5
    return found
