"""From a small test set to a plan: who annotates, who criticizes, how many labels to have reviewed, and the price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from quorate.act.advice import BUFFER, Advice, Price, advised, price
from quorate.act.cases import Case
from quorate.act.choose import Choice, Way, choose

LEVEL = 0.95  # of all intervals


class Prices(NamedTuple):
    """US dollars of one answer: of each model, and of a person; None where a person's is not known."""

    models: Mapping[str, float] = {}
    person_usd: float | None = None


class Proposal(NamedTuple):
    """The plan for one task, with the test set that it rests on."""

    task: str
    n_test: int
    n_items: int
    choice: Choice
    advice: Advice
    price: Price | None  # None without a person's price
    unpriced: tuple[str, ...]  # of the two, those whose price is not known and was taken for 0


def propose(
    case: Case, prices: Prices, *, n_items: int | None = None, way: Way = "measured", buffer: float = BUFFER
) -> Proposal:
    """The plan for `n_items` items, those of the test set among them; by default for these alone.

    Raises SettingError for fewer items than were tested, and for what `choose` and `price` refuse.
    """
    n_test = len(case.truth)
    n_items = n_test if n_items is None else n_items
    choice = choose(case.scores, case.truth, case.models, way=way, level=LEVEL)
    wrong = int(case.wrong(case.models.index(choice.annotator)).sum())
    advice = advised(wrong, n_test, n_items, buffer=buffer, level=LEVEL)
    pair = (choice.annotator, choice.criticizer)
    unpriced = tuple(dict.fromkeys(name for name in pair if name not in prices.models))
    annotate, criticize = (prices.models.get(name, 0.0) for name in pair)
    if prices.person_usd is None:
        return Proposal(case.task, n_test, n_items, choice, advice, None, unpriced)
    cost = price(n_items, advice.budget, human_usd=prices.person_usd, annotate_usd=annotate, criticize_usd=criticize)
    return Proposal(case.task, n_test, n_items, choice, advice, cost, unpriced)
