"""Verdicts with the perplexity of their thoughts, put in the order in which people should look [lin2025act], eq. 7.

First the labels that a criticizer calls wrong and is least surprised by its own thoughts, then those that it calls
wrong with doubt, then those that it calls right with doubt, and last those that it calls right without.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.stats import rankdata

Array = np.ndarray


def by_perplexity(verdicts: Sequence[str], perplexities: Float64[Array, "labels"]) -> Float64[Array, "labels"]:
    """Places in (0, 1), higher for labels to be looked at sooner: above .5 called wrong, below .5 called right.

    Yes by falling surprise over (.5, 1), no by rising surprise over (0, .5); equals share their mean place, so that an
    unsure criticism at .5 stands between the two. An order, not probabilities [lin2025act], equation 7.

    >>> by_perplexity(["yes", "yes", "no", "no"], np.array([1.5, 4.0, 4.0, 1.5]))
    array([0.875, 0.625, 0.375, 0.125])
    """
    wrong = np.array([verdict == "yes" for verdict in verdicts], bool)
    place = np.empty(len(wrong))
    place[wrong] = 0.5 + 0.5 * _shares(-perplexities[wrong])
    place[~wrong] = 0.5 * _shares(perplexities[~wrong])
    return place


def _shares(values: Float64[Array, "some"]) -> Float64[Array, "some"]:
    """Mid-ranks in (0, 1), the largest value last."""
    return (rankdata(values) - 0.5) / max(len(values), 1)
