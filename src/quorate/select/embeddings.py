"""Texts as places in a space where distance means something: latent semantic analysis [deerwester1990].

TF-IDF rows of words, column by column (scikit-learn), turned to their first singular directions and to length 1. It
needs no model and no server; who has embeddings of a model gives them as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32
from scipy.sparse import hstack

from quorate.errors import DataError, MissingExtraError

Array = np.ndarray
DIMENSIONS = 128
FEWEST_ITEMS = 2  # that hold a term
EXTRA = "student"


def embedded(
    columns: Mapping[str, Sequence[str]], dimensions: int = DIMENSIONS, *, seed: int = 0
) -> Float32[Array, "items dimensions"]:
    """A row per item, of length 1, or 0 for an item without a known word; fewer dimensions where there are fewer terms.

    Raises DataError where no word stands in two items, MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        raise MissingExtraError("scikit-learn", EXTRA) from None
    blocks = list[Any]()
    for texts in columns.values():
        try:
            reader: Any = TfidfVectorizer(min_df=FEWEST_ITEMS, sublinear_tf=True)
            blocks.append(reader.fit_transform(texts))
        except ValueError:  # no word is left in this column
            continue
    if not blocks:
        raise DataError("no word stands in two items", mend="name columns with texts by --show, or give --embeddings")
    matrix: Any = hstack(blocks, format="csr")
    if min(matrix.shape) > dimensions + 1:
        rows: Any = TruncatedSVD(dimensions, random_state=seed).fit_transform(matrix)
    else:
        rows = matrix.toarray()
    length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return (rows / np.where(length > 1e-9, length, 1.0)).astype(np.float32)
