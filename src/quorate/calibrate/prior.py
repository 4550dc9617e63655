"""What a calibrator believes before it has seen a label: that the scores are right as they are.

Gaussian: normal priors around the identity, or around what other tasks taught (`transfer.learned`).
Dirichlet: every example counts as a label and a share of a pseudo-label spread as the scores say; together they
weigh as much as `examples` labels. Both fade as labels come in, so that ten examples do no harm and a thousand decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.errors import SettingError

Array = np.ndarray


class Gaussian(NamedTuple):
    """A normal prior on the parameters of a calibrator, and the Dirichlet's pseudo-examples beside it."""

    mean: Float64[Array, "parameters"]
    precision: Float64[Array, "parameters parameters"]
    examples: float = 0.0


@dataclass(frozen=True)
class Prior:
    """Standard deviations around the identity: log of the common slope, log of each class's own, biases, cross terms.

    The defaults were chosen on simulated scores (`benchmarks/calibration.py --choose`), not on recorded ones. Raises
    SettingError for one that is not positive, or for a negative number of pseudo-examples.
    """

    scale_sd: float = 0.3
    slope_sd: float = 0.05
    bias_sd: float = 0.3  # nats
    cross_sd: float = 0.02  # off the diagonal [kull2019]
    examples: float | None = None  # pseudo-examples; None: what suits the method

    def __post_init__(self) -> None:
        sds = self.scale_sd, self.slope_sd, self.bias_sd, self.cross_sd
        if not all(sd > 0 for sd in sds) or (self.examples is not None and not self.examples >= 0):
            raise SettingError(f"a prior needs positive standard deviations and examples of at least 0, not {self}")


WEAK = Prior(scale_sd=10.0, slope_sd=10.0, bias_sd=10.0, cross_sd=10.0, examples=0.0)  # all but maximum likelihood


def softened(
    truth: Float64[Array, "shots classes"], scores: Float64[Array, "shots classes"], examples: float, n: float
) -> tuple[Float64[Array, "shots classes"], float]:
    """Truth and pseudo-labels mixed, and by how much each example counts more; n: what the labels weigh together.

    >>> softened(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), examples=1.0, n=1.0)
    (array([[0.75, 0.25]]), 2.0)
    """
    share = examples / n
    return (truth + share * scores) / (1.0 + share), 1.0 + share
