"""Criticisms as they are kept: those of several runs and critics in one table, and what each critic came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from quorate.act.critic import Critic
from quorate.act.criticize import Criticized, requests
from quorate.act.folder import CRITICISMS, ActFolder
from quorate.act.ground import Ground
from quorate.llm.annotate import likely_usd
from quorate.llm.chat import most_usage
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger
from quorate.llm.settings import is_local

OF_CRITIC = ("model", "criticizer", "strategy")


class CriticFigures(NamedTuple):
    """What one critic came to."""

    criticizer: str
    strategy: str
    criticized: int
    mean_error: float  # of those that are sure; an order, not a share, for levels and perplexity
    unsure: int
    cost_usd: float


class CriticForecast(NamedTuple):
    """What a criticism will take, by model."""

    model: str
    calls: int
    known: int  # answered already, in the journal
    likely_usd: float
    most_usd: float  # without further tries


def keep(folder: ActFolder, done: Criticized, annotator: str) -> pa.Table:
    """Write the criticisms beside those of other critics, and note the step; the whole table."""
    new = done.table()
    whole = new
    if folder.file(CRITICISMS).is_file():
        before = folder.table(CRITICISMS)
        again = set(zip(*(new[name].to_pylist() for name in OF_CRITIC), strict=True))
        rows = zip(*(before[name].to_pylist() for name in OF_CRITIC), strict=True)
        whole = pa.concat_tables([before.filter(pa.array([row not in again for row in rows], pa.bool_())), new])
    folder.write(CRITICISMS, whole)
    critics = sorted(set(zip(whole["criticizer"].to_pylist(), whole["strategy"].to_pylist(), strict=True)))
    told = f"{len(done.labels):,} labels of {annotator}, by {'; '.join(', '.join(each) for each in critics)}"
    folder.note(
        "criticize", annotator=annotator, critics=[list(each) for each in critics], stopped=done.stopped,
        missing=done.missing, flags=dict(done.flags), spent_usd=done.spent_usd, told=told,
    )  # fmt: skip
    return whole


def by_critic(done: Criticized) -> list[CriticFigures]:
    """What each critic of a run came to."""
    found: list[CriticFigures] = []
    for number, critic in enumerate(done.critics):
        said = [verdict for place, verdict in done.verdicts.items() if place.critic == number]
        sure = [verdict.error for verdict in said if not verdict.flag]
        found.append(
            CriticFigures(
                critic.model,
                critic.strategy.name,
                len(said),
                sum(sure) / len(sure) if sure else 0.5,
                len(said) - len(sure),
                sum(verdict.cost_usd for verdict in said),
            )
        )
    return found


def forecast(ground: Ground, critics: Sequence[Critic], journal: Journal, ledger: Ledger) -> list[CriticForecast]:
    """How many calls a criticism takes and what they cost, model by model, without a call."""
    found: dict[str, list[float]] = {}
    for request in requests(ground.labels, ground.items, critics, near=True):
        each = found.setdefault(request.model, [0, 0, 0.0, 0.0])
        each[0] += 1
        if journal.find(request.key()) is not None:
            each[1] += 1
        elif not is_local(request.model):
            each[2] += likely_usd(request, ledger)
            each[3] += ledger.cost_usd(request.model, most_usage(request))
    return [CriticForecast(name, int(n), int(known), likely, most) for name, (n, known, likely, most) in found.items()]
