"""What a gate asks of a judge, and at which level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from quorate.errors import SettingError
from quorate.judge.bounds import Proof
from quorate.judge.losses import Loss

Figure = Literal["mse", "mae", "kappa", "agreement"]

LOSS: dict[Figure, Loss] = {"mse": "squared", "mae": "absolute", "kappa": "kappa", "agreement": "differs"}
FAIR = 0.2  # people's kappa below which agreement is slight [landis1977]: the rubric is the problem, not the judge


@dataclass(frozen=True)
class Rule:
    """What opens a gate: a figure at least this good, or as good as people's less a margin, shown at a level."""

    figure: Figure = "kappa"  # quadratic on ordered tasks
    threshold: float | None = None  # in the figure's unit; of mse and mae the largest that passes
    margin: float = 0.0  # without a threshold: by how much, in the figure's unit, people may agree better
    level: float = 0.05  # the largest probability that a judge that should not pass is let through
    people: float | None = FAIR  # the least kappa between people; None where people are not asked
    proof: Proof = "weights"  # how a bound is shown; see `bounds` for the other two

    def __post_init__(self) -> None:
        if self.figure not in LOSS:
            raise SettingError(f"a gate's figure is one of {', '.join(LOSS)}, not {self.figure!r}")
        if not 0 < self.level < 1:
            raise SettingError(f"a gate's level must lie between 0 and 1, not {self.level}")
        if not math.isfinite(self.margin) or self.margin < 0:
            raise SettingError(f"a gate's margin must be a number from 0 up, not {self.margin}")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise SettingError(f"a gate's threshold must be a number, not {self.threshold}")
        if self.proof not in ("weights", "exact", "student"):
            raise SettingError(f"a gate's proof is weights, exact or student, not {self.proof!r}")
        if self.people is not None and not -1 <= self.people < 1:
            raise SettingError(f"the least kappa between people must lie between -1 and 1, not {self.people}")


def spent(level: float, tries: int) -> float:
    """The level of this try on the same items; over endless tries they add to `level`. Σ 1/(k (k + 1)) = 1.

    >>> spent(0.05, 1), round(spent(0.05, 4), 4)
    (0.025, 0.0025)
    """
    if tries < 1:
        raise SettingError(f"the tries on a gate's items count from 1, not {tries}")
    return level / (tries * (tries + 1))
