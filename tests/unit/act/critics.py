"""Reviews with labels of a machine, and what a pretended critic says of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from quorate.act.critic import Critic
from quorate.act.criticize import Criticized, criticize
from quorate.act.labels import MachineLabel
from quorate.act.strategies import strategy
from quorate.llm.boundary import Boundary
from quorate.llm.client import ChatClient
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger, Price
from quorate.llm.rubric_file import parse_rubric
from quorate.llm.testing.replies import Row
from quorate.llm.testing.server import FakeServer

RUBRIC = parse_rubric(
    "about: Notes.\ntasks:\n  - {name: tone, classes: {calm: no heat, angry: heat}}\n  - {name: safe, kind: yes-no}\n"
)
TEXTS = ("the lid fits", "the handle broke", "it is blue", "I burned my hand")
ITEMS = Items(tuple(f"n{place}" for place in range(4)), {"text": TEXTS}, {})
LABELS = [
    MachineLabel(f"n{place}", "tone", "writer", label, confidence, f"It speaks of note {place}.")
    for place, (label, confidence) in enumerate((("calm", 0.9), ("calm", 0.6), ("calm", 0.8), ("angry", 0.7)))
]
LOCAL = "local:tiny"


def critic(way: str, model: str = "judge", **more: Any) -> Critic:
    return Critic(model, strategy(way), RUBRIC, **more)


def says(place: int, answer: str, **more: Any) -> Row:
    return Row(TEXTS[place], None, None, {}, answer, **more)


def asked(
    critics: Sequence[Critic],
    table: Sequence[Row],
    *,
    labels: Sequence[MachineLabel] = LABELS,
    items: Items = ITEMS,
    journal: Journal | None = None,
    server: FakeServer | None = None,
    cap: float | None = None,
    boundary: Boundary = Boundary(),  # noqa: B008 - frozen
    **more: Any,
) -> Criticized:
    """A criticism over a real socket."""
    with server or FakeServer(table=table) as at:
        client = ChatClient(at.url, api_key="k", boundary=boundary)
        prices = {name.model: Price(1.0, 10.0, "", "") for name in critics}
        ledger = Ledger(prices, cap_usd=cap)
        return criticize(labels, items, critics, client, journal=journal or Journal(), ledger=ledger, **more)


def body(text: bytes) -> dict[str, Any]:
    return json.loads(text[text.index(b"{") :])
