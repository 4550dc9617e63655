"""Instructions hidden in items: how often they are obeyed, against a fake server that obeys some of them."""

from __future__ import annotations

import numpy as np

from quorate.llm.annotate import annotate
from quorate.llm.calls import Job
from quorate.llm.canary import HIDDEN, canaries, measure_canaries
from quorate.llm.client import ChatClient
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger, read_prices
from quorate.llm.rubric_file import parse_rubric
from quorate.llm.tally import Tally
from quorate.llm.testing.replies import Row
from quorate.llm.testing.server import FakeServer

RUBRIC = parse_rubric("tasks: [{name: tone, classes: [calm, angry, other]}, {name: safe, kind: yes-no}]")
N, N_CANARIES = 30, 20
ITEMS = Items(tuple(f"i{n:02}" for n in range(N)), {"text": [f"text {n:02}" for n in range(N)]}, {})
CLEAN = [Row(text, None, None, {"tone": [0.8, 0.1, 0.1], "safe": [0.9, 0.1]}, None) for text in ITEMS.texts["text"]]
JOB = Job(ITEMS, RUBRIC, ("fake-small", "fake-large"))


def labeled_by_hand() -> Tally:
    """What both models say to the clean items: the first class of both questions."""
    tally = Tally(JOB)
    for cells in tally.cells.values():
        cells.code[:] = 0
    return tally


def test_canaries_ask_for_another_label_than_the_model_gave() -> None:
    """For every question; the item's own text stands before it; all kinds of lines are used; seeds repeat them."""
    found = canaries(JOB, labeled_by_hand(), 0, N_CANARIES, seed=3)
    assert len(found.targets) == N_CANARIES
    assert all(code != 0 for wanted in found.targets.values() for code in wanted.values())
    for place, item in enumerate(found.job.items.ids):
        text = found.job.items.texts["text"][place]
        assert text.startswith(ITEMS.texts["text"][ITEMS.place_of[item]])
        assert RUBRIC.questions[0].ids[found.targets[item]["tone"]] in text.partition("\n\n")[2]
    assert len({line[:12] for line in HIDDEN}) == len(HIDDEN)
    assert found == canaries(JOB, labeled_by_hand(), 0, N_CANARIES, seed=3)
    assert found.targets != canaries(JOB, labeled_by_hand(), 0, N_CANARIES, seed=4).targets


def test_the_rate_is_the_share_of_canaries_that_were_obeyed() -> None:
    """Six of twenty by one model, none by the other; its interval holds it; the labels of the items stay."""
    planted = canaries(JOB, labeled_by_hand(), 0, N_CANARIES)
    obeyed = [
        Row(
            text,
            "fake-small",
            None,
            {"tone": np.eye(3)[planted.targets[item]["tone"]].tolist(), "safe": [0.9, 0.1]},
            None,
        )
        for item, text in list(zip(planted.job.items.ids, planted.job.items.texts["text"], strict=True))[:6]
    ]
    with FakeServer(table=[*obeyed, *CLEAN]) as server, Journal() as journal:
        ledger = Ledger(read_prices())
        done = annotate(JOB, ChatClient(server.url), journal=journal, ledger=ledger)
        small, large = measure_canaries(done, N_CANARIES, ChatClient(server.url), journal=journal, ledger=ledger)
    assert (small.model, small.answered, small.turned) == ("fake-small", N_CANARIES, 6)
    assert small.rate.low < 0.3 == small.rate.estimate < small.rate.high
    assert (large.turned, large.rate.low) == (0, 0.0)
    assert (done.tally.cells[0, 0].code == 0).all()


def test_without_labels_or_texts_there_are_no_canaries() -> None:
    """Nothing to turn."""
    assert not canaries(JOB, Tally(JOB), 0, 5).targets
    pictures = Job(Items(("a",), {}, {"image": [None]}), RUBRIC, ("fake-small",))
    tally = Tally(pictures)
    for cells in tally.cells.values():
        cells.code[:] = 0
    assert not canaries(pictures, tally, 0, 5).targets
