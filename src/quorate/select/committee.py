"""How much several models disagree about an item; larger is more, 0 is one opinion [dagan1995, mccallum1998]."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from quorate.select.uncertainty import nats

Array = np.ndarray


def vote_entropy(votes: Int[Array, "members items"], n_classes: int) -> Float[Array, "items"]:
    """Entropy (nats) of the shares of votes; a member that says nothing of an item (-1) does not count there.

    >>> vote_entropy(np.array([[0, 0], [0, 1]]), 2).round(3).tolist()
    [0.0, 0.693]
    """
    counts = np.stack([(votes == code).sum(axis=0) for code in range(n_classes)], axis=1)
    total = counts.sum(axis=1, keepdims=True)
    return nats(counts / np.maximum(total, 1))


def jensen_shannon(probs: Float[Array, "members items classes"]) -> Float[Array, "items"]:
    """Mean divergence (nats) of the members from their mean: entropy of the mean less the mean entropy [lin1991].

    Where members are draws of one model it is the information that a label has about the model [houlsby2011].

    >>> jensen_shannon(np.array([[[1.0, 0.0]], [[0.0, 1.0]]])).round(3).tolist()
    [0.693]
    """
    return np.maximum(nats(probs.mean(axis=0)) - nats(probs).mean(axis=0), 0.0)
