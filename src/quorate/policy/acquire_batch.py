"""A batch, filled from the top: loads are kept, and a question that is in the batch counts as answered.

To wait for an answer costs nothing, and after it a second label is bought only if it is still worth the going price m.
So a second label in the same batch is worth sum_answers P(answer) min(rate after it, m), with m the worth of the last
label in the batch: never more than a new question, which therefore goes first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from quorate.consensus.posterior import Consensus
from quorate.policy.acquire_doubt import Doubt, doubt
from quorate.policy.acquire_rates import Choice, Terms, informed, rates_of

Array = np.ndarray
MOST_ANSWERS = 64  # that labels of one batch on one question may give together; more are not sent at once


class Board(NamedTuple):
    """One task of every item, with what asking is worth."""

    terms: Terms
    doubt: Doubt
    who: Choice
    nats: Float64[Array, "items annotators"] | None  # per unit of price; None: the queue says who
    rate: Float64[Array, "items"]


class _Entry(NamedTuple):
    """In the order of the heap: highest worth first, then the least confident, then as the items come."""

    less: float  # minus the worth
    confidence: float
    cell: int
    annotator: int


def filled(
    consensus: Consensus, boards: list[Board], loads: Int64[Array, "annotators"], batch: int
) -> Iterator[tuple[int, int, int, float]]:
    """Item, task, annotator, worth per unit of price, of every label of the batch, best first."""
    filler = _Filler(consensus, boards, loads)
    for _ in range(batch):
        entry = filler.next()
        if entry is None:
            return
        item, task = divmod(entry.cell, len(boards))
        yield item, task, entry.annotator, -entry.less


class _Filler:
    """The heap of offers. Cells enter it when they could be the best: questions worth something, then questions that
    are in the batch already, then hopeless ones.
    """

    def __init__(self, consensus: Consensus, boards: list[Board], loads: Int64[Array, "annotators"]) -> None:
        self._consensus, self._boards = consensus, boards
        self._loads = np.append(loads, np.iinfo(np.int64).max)  # the last: strangers, of whom there are enough
        self._asked: dict[int, list[int]] = {}
        self._heap: list[_Entry] = []
        self._rate = np.column_stack([board.rate for board in boards]).ravel()
        tasks = consensus.schema.tasks
        self._confidence = np.column_stack([consensus.confidence(task.name) for task in tasks]).ravel()
        someone = np.column_stack([_someone(board.who) for board in boards]).ravel()
        order = np.lexsort((self._confidence, -self._rate))
        self._order = order[someone[order]]
        self._entered, self._hopeful = 0, int((self._rate[self._order] > 0).sum())
        self._again = False  # whether questions may be repeated
        self._going = np.inf  # the worth of the last label

    def next(self) -> _Entry | None:
        """The best label now, taken out of the loads."""
        while True:
            self._enter()
            if not self._heap:
                return None
            entry = heapq.heappop(self._heap)
            if self._loads[entry.annotator] > 0:
                self._take(entry)
                return entry
            self._offer(entry.cell, bound=-entry.less)

    def _enter(self) -> None:
        """Every cell that could be worth more than the best offer; repeated questions when no hopeful one is left."""
        until = len(self._order) if self._again else self._hopeful
        while self._entered < until and not self._surpassed(int(self._order[self._entered])):
            cell = int(self._order[self._entered])
            self._entered += 1
            self._offer(cell, bound=float(self._rate[cell]))
        if not self._heap and not self._again:
            self._again = True
            for cell in self._asked:
                self._offer(cell, bound=self._going)
            self._enter()

    def _surpassed(self, cell: int) -> bool:
        return bool(self._heap and -self._heap[0].less >= self._rate[cell])

    def _take(self, entry: _Entry) -> None:
        self._loads[entry.annotator] -= 1
        self._going = -entry.less
        self._asked.setdefault(entry.cell, []).append(entry.annotator)
        if self._again:
            self._offer(entry.cell, bound=self._going)

    def _offer(self, cell: int, bound: float) -> None:
        """Put the best label on a cell into the heap, worth no more than the bound; nothing where nobody is left."""
        item, task = divmod(cell, len(self._boards))
        board, asked = self._boards[task], self._asked.get(cell, [])
        if board.doubt.counts.shape[1] ** len(asked) > MOST_ANSWERS:
            return
        rate, nats = expected(board, self._consensus, item, task, asked, bound)
        best = float(nats.max(initial=0.0))
        nats = np.where(self._loads[: len(nats)] > 0, nats, -1.0)
        if nats.max(initial=-1.0) < 0:
            return
        annotator = int(nats.argmax())
        worth = rate * float(nats[annotator]) / best if best > 0 else 0.0
        heapq.heappush(self._heap, _Entry(-min(worth, bound), float(self._confidence[cell]), cell, annotator))


def expected(
    board: Board, consensus: Consensus, item: int, task: int, asked: list[int], going: float
) -> tuple[float, Float64[Array, "people"]]:
    """The rate of a cell, and everyone's nats per unit of price, over the answers of those asked already.

    -1 nats: may not be asked. In a queue the next one has 1, all others have -1.
    """
    who = _without(board.who, item, asked)
    if who.left[0] < 1:
        return 0.0, np.zeros(0)
    if not asked:
        rate, nats = float(board.rate[item]), None if board.nats is None else board.nats[item]
    else:
        rate, nats = _over_answers(board, consensus, item, task, asked, who, going)
    if who.queue is not None:
        return rate, _only(int(who.queue[0, 0]) if who.queue.shape[1] else -1, len(board.terms.rows))
    assert nats is not None
    return rate, np.where(who.allowed[0], nats, -1.0)


def _over_answers(
    board: Board, consensus: Consensus, item: int, task: int, asked: list[int], who: Choice, going: float
) -> tuple[float, Float64[Array, "annotators"] | None]:
    latent, counts, chance = _answered(board, item, asked)
    target = consensus.targets[task]
    if target.kind == "panel":
        target = target._replace(n=np.full(len(counts), board.doubt.size[item], np.int32))
    of = doubt(latent, counts, consensus.people[task], target, board.terms.ahead)
    everywhere = Choice(
        np.repeat(who.allowed, len(counts), axis=0),
        None if who.queue is None else np.repeat(who.queue, len(counts), axis=0),
        np.repeat(who.left, len(counts)),
    )
    nats = None if who.queue is not None else informed(board.terms, of, everywhere)
    rate = float(chance @ np.minimum(rates_of(board.terms, of, everywhere, nats), going))
    return rate, None if nats is None else chance @ nats


def _answered(
    board: Board, item: int, asked: list[int]
) -> tuple[Float64[Array, "answers latent"], Int32[Array, "answers classes"], Float64[Array, "answers"]]:
    """Posterior and votes after every sequence of answers, and its probability."""
    weight, counts = board.doubt.latent[item][None], board.doubt.counts[item][None]
    n_classes = counts.shape[1]
    for annotator in asked:
        row = board.terms.rows[annotator]
        weight = (weight[:, None, :] * row.T[None]).reshape(-1, weight.shape[1])
        counts = (counts[:, None, :] + np.eye(n_classes, dtype=np.int32)).reshape(-1, n_classes)
    chance = weight.sum(axis=1)
    possible = chance > 0
    return weight[possible] / chance[possible, None], counts[possible], chance[possible]


def _someone(who: Choice) -> Bool[Array, "items"]:
    """Where anybody may be asked at all."""
    if who.queue is not None:
        return (who.left > 0) & (who.queue >= 0).any(axis=1)
    return (who.left > 0) & who.allowed.any(axis=1)


def _without(who: Choice, item: int, asked: list[int]) -> Choice:
    """The choice for one item when these are already in the batch."""
    allowed = who.allowed[item][None].copy()
    allowed[0, [a for a in asked if a < allowed.shape[1]]] = False
    queue = None if who.queue is None else who.queue[item][None, len(asked) :]
    return Choice(allowed, queue, who.left[item][None] - len(asked))


def _only(annotator: int, n_people: int) -> Float64[Array, "people"]:
    nats = np.full(n_people, -1.0)
    if annotator >= 0:
        nats[annotator] = 1.0
    return nats
