"""What the optimizer found, as a value that can be kept, sent and read out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from quorate.policy.optimize.choice import Choice
from quorate.policy.optimize.constraints import Aim, Constraints
from quorate.policy.optimize.ground import Margin
from quorate.policy.optimize.prove import Proof
from quorate.policy.stopping import Policy


@dataclass(frozen=True)
class Optimized:
    """The policy that keeps to the constraints, or none, with the reasons and what would do.

    Figures are of validation items that neither fit nor search saw, for a campaign of `n_items`.
    """

    policy: Policy | None  # None: none keeps to the constraints
    chosen: Choice | None  # the policy's figures
    proofs: tuple[Proof, ...]  # of the chosen, or of the nearest; one per floor
    choices: tuple[Choice, ...]  # what every other choice would cost; the best of each family, and fixed overlaps
    nearest: Choice | None  # where there is no policy: what comes nearest
    binding: tuple[str, ...]  # constraints that decide, by name
    advice: tuple[str, ...]  # what would do, or what one should know; one sentence each
    constraints: Constraints
    aim: Aim
    margin: Margin
    delta: float
    n_items: int  # of the campaign
    n_searched: int  # validation items
    n_proved: int
    notes: tuple[str, ...] = ()

    def figures(self) -> dict[str, Any]:
        """Everything, as JSON holds it."""
        return {
            "policy": None if self.policy is None else json.loads(self.policy.to_json()),
            "chosen": self.chosen and self.chosen.figures(),
            "proofs": [asdict(proof) | {"sentence": proof.sentence()} for proof in self.proofs],
            "choices": [choice.figures() for choice in self.choices],
            "nearest": self.nearest and self.nearest.figures(),
            "binding": list(self.binding),
            "advice": list(self.advice),
            "constraints": self.constraints.figures(),
            "aim": self.aim,
            "margin": self.margin,
            "delta": self.delta,
            "items": self.n_items,
            "searched_items": self.n_searched,
            "proved_items": self.n_proved,
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """As `quorate policy --json` writes it."""
        return json.dumps(self.figures(), indent=2, allow_nan=False) + "\n"
