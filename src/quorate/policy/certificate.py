"""What was proven of the answers that a threshold closes, as a value that can be kept, sent and read out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from quorate.errors import SettingError
from quorate.policy.floor import Rule, Tail


@dataclass(frozen=True)
class Certificate:
    """What was proven, of what, on how many; threshold is None where nothing was, and `reason` says why."""

    threshold: float | None  # close where sureness is at least this
    floor: float
    delta: float  # the risk that the accuracy of what is closed is below the floor all the same
    n: int  # item-tasks tested
    n_items: int  # independent items among them
    closed: int  # of the n, at the threshold
    accuracy: float | None  # of the closed
    lower: float | None  # of it, at 1 - delta, for this threshold alone: not corrected for having chosen it
    p_value: float | None  # of this threshold alone
    share_closed: float
    method: Rule
    tail: Tail
    target: str  # what "right" means: gold, or a panel of so many
    fit_checked: bool  # that none of the items was in the fit
    reason: str | None = None

    def to_json(self) -> str:
        """As `certificate_from_json` reads it."""
        return json.dumps(asdict(self))

    def sentence(self) -> str:
        """What a lead may say of it, in plain words; names the target and the size of the validation.

        >>> sizes = {"n": 900, "n_items": 900, "closed": 450, "accuracy": 0.97, "lower": 0.957, "share_closed": 0.5}
        >>> ways = {"method": "fixed-sequence", "tail": "binomial", "target": "gold", "fit_checked": True}
        >>> Certificate(0.9, 0.95, 0.1, p_value=0.02, **sizes, **ways).sentence()[:83]
        'Answers closed at a sureness of 0.9 or more agree with gold in at least 95 % of all'
        """
        if self.threshold is None:
            return (
                f"No threshold is proven to close answers that agree with {self.target} in at least "
                f"{_percent(self.floor)} of all cases, on {self._sample()}: {self.reason}."
            )
        return (
            f"Answers closed at a sureness of {self.threshold:.6g} or more agree with {self.target} in at least "
            f"{_percent(self.floor)} of all cases; the risk that this is wrong is at most {_percent(self.delta)}. "
            f"Shown on {self._sample()}: {self.closed} of them close ({_percent(self.share_closed)}), and of these "
            f"{_percent(self.accuracy or 0.0)} agree."
        )

    def _sample(self) -> str:
        fit = "none of which was used in the fit" if self.fit_checked else "not checked against those of the fit"
        return f"{self.n} validation answers from {self.n_items} items, {fit}"


def certificate_from_json(text: str) -> Certificate:
    """The certificate that `to_json` wrote. Raises SettingError where the text is none.

    >>> certificate_from_json("[]")
    Traceback (most recent call last):
    quorate.errors.SettingError: a certificate is a JSON object as `to_json` writes it, not '[]'
    """
    try:
        return Certificate(**dict(json.loads(text)))
    except (ValueError, TypeError):
        raise SettingError(f"a certificate is a JSON object as `to_json` writes it, not {text[:80]!r}") from None


def _percent(share: float) -> str:
    return f"{round(100 * share, 2):g} %"
