"""DSPy's search against the fake server, through our journal and under our cap."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from quorate.judge.asking import Asker, Means, Space
from quorate.judge.calibrate import Calibrated
from quorate.judge.dspy_search import DspySearch
from quorate.llm.client import ChatClient
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger
from quorate.llm.testing.server import FakeServer
from unit.judge.test_tune import ITEMS, PRICES, RUBRIC, answers, people

pytestmark = [
    pytest.mark.dspy,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # warnings of DSPy's own parts
    pytest.mark.skipif(find_spec("dspy") is None, reason="DSPy is not installed (make dspy)"),
]


def searched(journal: Journal, cap_usd: float = 9.0) -> tuple[Calibrated, FakeServer]:
    with FakeServer(table=answers()) as server:
        means = Means(ChatClient(server.url), journal, Ledger(PRICES, cap_usd=cap_usd))
        asker = Asker(ITEMS, people(), RUBRIC, means)
        found = DspySearch(examples=2, programs=2, most_items=16).search(asker, Space(("weak", "strong")))
        return found, server


def test_dspy_finds_a_judge_and_every_call_stands_in_the_journal() -> None:
    """Calls of DSPy's programs are journaled: as many as the server answered; examples shown leave the figures."""
    with Journal() as journal:
        found, server = searched(journal)
        assert found.chosen.model == "strong"
        assert len(list(journal.answers())) == server.counts.answered
    shown = [each for each in found.standings if each.candidate.shown]
    assert shown
    assert all(each.items == len(ITEMS) - len(each.candidate.shown) for each in found.standings)


def test_dspy_never_spends_more_than_the_cap() -> None:
    """Wherever the cap falls, spending ends below it, and the judge is the best of whole candidates."""
    with Journal() as journal:
        whole, _ = searched(journal)
    for share in (0.5, 0.75, 0.9):
        with Journal() as journal:
            part, _ = searched(journal, share * whole.spent_usd)
        assert part.stopped
        assert part.spent_usd <= share * whole.spent_usd
