"""The next label: which question to send to whom, by what it is worth per unit of price.

`acquire` looks at a consensus and ranks (item, task, annotator). It looks several labels ahead (`acquire_rates`): its
worth is what the best plan of asking and stopping gains per unit of price, so that an item which nothing can turn any
more is worth nothing, however doubtful it is. One label ahead was measured to be no better than asking about the least
confident item and task.

A batch is filled from the top. A question already in it counts as answered, in expectation: the next label on the same
item and task is worth the mean over the answers that may come, and never more than the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from quorate.consensus.door import coded_of
from quorate.consensus.posterior import Consensus
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.policy.acquire_batch import Board, filled
from quorate.policy.acquire_doubt import Doubt, doubts, farthest
from quorate.policy.acquire_rates import Choice, Terms, informed, rates_of
from quorate.policy.acquire_rows import Rows, price_table
from quorate.policy.prices import Prices
from quorate.policy.stopping import Minimum, PerTaskConfidence, Policy
from quorate.policy.value import Value

Array = np.ndarray
Loads = int | Mapping[str, int]
Queue = Int64[Array, "items seats"] | Int64[Array, "items tasks seats"]
Available = Bool[Array, "items annotators"] | Bool[Array, "items tasks annotators"]
BY_LABEL = Prices()  # every label costs 1
NOBODY = -1  # an empty seat of a queue

_RANKING = pa.schema(
    [("item", pa.string()), ("task", pa.string()), ("annotator", pa.string()), ("worth_per_price", pa.float64())]
)


class Ask(NamedTuple):
    """One question to one person, as places: in the consensus' items, the schema's tasks, the rows' annotators."""

    item: int
    task: int
    annotator: int
    worth: float  # per unit of price


def acquire(
    consensus: Consensus,
    rows: Rows,
    *,
    prices: Prices = BY_LABEL,
    available: Available | None = None,
    taken: Dataset | Coded | None = None,
    loads: Loads | None = None,
    queue: Queue | None = None,
    most: int | None = None,
    batch: int = 100,
    bar: float | Policy | None = None,
    horizon: int | None = None,
    value: tuple[Value, ...] | None = None,
) -> pa.Table:
    """The next labels to buy, best first: item, task, annotator, worth_per_price (P(right) per unit of price).

    available: who may see which item (or which task of it); all may by default. taken: the labels there are, on the
    same items; nobody is asked twice. loads: labels that each may still give, for all or by name. queue: per item (and
    task) who comes next, where that is not ours to choose (-1: nobody; the number of annotators: a stranger, who is
    named null). most: labels per item and task, those there are included. bar: confidence at which an answer is closed,
    or the policy that holds it: then worth is in answers closed per unit of price. horizon: labels to look ahead
    (default: as far as a tree of 1,000 answers goes). value: what going on is worth beyond that, from `learn_value`.

    Questions that are worth nothing come last; do not pay for them. Source: the index of [gittins1979].
    Raises SettingError for what does not fit the consensus.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.policy.acquire_rows import rows_of
    >>> from quorate.simulate.world import world
    >>> data = world("paper", 60).coded()
    >>> model = estimator("dawid-skene").fit(data)
    >>> consensus = model.predict(data).latent()
    >>> acquire(consensus, rows_of(model, consensus), taken=data, batch=3).num_rows
    3
    """
    _check(consensus, rows, batch)
    terms = terms_of(consensus, rows, prices=prices, bar=bar, horizon=horizon, value=value)
    choices = choices_of(consensus, rows, available=available, taken=taken, queue=queue, most=most)
    asks = ranked(consensus, terms, choices, _loads(loads, rows), batch)
    return _table(consensus, rows, asks)


def rates(
    consensus: Consensus,
    rows: Rows,
    *,
    prices: Prices = BY_LABEL,
    available: Available | None = None,
    taken: Dataset | Coded | None = None,
    loads: Loads | None = None,
    queue: Queue | None = None,
    most: int | None = None,
    bar: float | Policy | None = None,
    horizon: int | None = None,
    value: tuple[Value, ...] | None = None,
) -> Float64[Array, "items tasks"]:
    """The worth per unit of price of the best label on every item and task; arguments as in `acquire`.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.policy.acquire_rows import rows_of
    >>> from quorate.simulate.world import world
    >>> data = world("paper", 60).coded()
    >>> model = estimator("dawid-skene").fit(data)
    >>> consensus = model.predict(data).latent()
    >>> rates(consensus, rows_of(model, consensus), taken=data).shape
    (60, 10)
    """
    _check(consensus, rows, 1)
    terms = terms_of(consensus, rows, prices=prices, bar=bar, horizon=horizon, value=value)
    choices = choices_of(consensus, rows, available=available, taken=taken, queue=queue, most=most)
    free = _loads(loads, rows) > 0
    return np.column_stack([of.rate for of in _boards(consensus, terms, choices, free)])


# ---- what the caller says, as arrays --------------------------------------------------------------------------------
def terms_of(
    consensus: Consensus,
    rows: Rows,
    *,
    prices: Prices = BY_LABEL,
    bar: float | Policy | None = None,
    horizon: int | None = None,
    value: tuple[Value, ...] | None = None,
) -> tuple[Terms, ...]:
    """Rows, prices, bar and horizon of every task."""
    if horizon is not None and horizon < 1:
        raise SettingError(f"horizon is a whole number of 1 or more, not {horizon}")
    if value is not None and bar is not None:
        raise SettingError("a learned value counts right answers, not closed ones: give value or bar, not both")
    schema, price = consensus.schema, price_table(prices, consensus.schema, rows.annotators)
    reach = [farthest(len(task.classes)) for task in schema.tasks]
    ahead = [far if horizon is None else min(far, horizon) for far in reach]
    bars = _bars(consensus, bar)
    values = (None,) * len(schema) if value is None else value
    parts = zip(rows.of_task, price, ahead, bars, values, strict=True)
    return tuple(Terms(of_task, paid, far, float(held), learned) for of_task, paid, far, held, learned in parts)


def choices_of(
    consensus: Consensus,
    rows: Rows,
    *,
    available: Available | None = None,
    taken: Dataset | Coded | None = None,
    queue: Queue | None = None,
    most: int | None = None,
) -> tuple[Choice, ...]:
    """Who may be asked about every task."""
    n_items, n_tasks, n_people = len(consensus.items), len(consensus.schema), len(rows.annotators)
    _check_shapes(available, queue, (n_items, n_tasks, n_people))
    may = np.ones((1, 1, n_people), bool) if available is None else available.reshape(n_items, -1, n_people)
    had = _taken(taken, consensus, rows)
    out: list[Choice] = []
    for t in range(n_tasks):
        allowed = np.broadcast_to(may[:, min(t, may.shape[1] - 1)], (n_items, n_people)) & ~had[:, t]
        left = np.full(n_items, np.iinfo(np.int64).max)
        if most is not None:
            left = np.maximum(most - consensus.counts[t].sum(axis=1).astype(np.int64), 0)
        out.append(
            Choice(
                allowed, None if queue is None else _waiting(queue if queue.ndim == 2 else queue[:, t], allowed), left
            )
        )
    return tuple(out)


def _bars(consensus: Consensus, bar: float | Policy | None) -> Float64[Array, "tasks"]:
    if isinstance(bar, Policy):
        if not isinstance(bar, PerTaskConfidence | Minimum):
            raise SettingError(f"a bar on the confidence of a task cannot be read from the policy {bar.name!r}")
        return bar.bar(consensus.schema)
    if bar is not None and not 0 < bar <= 1:
        raise SettingError(f"bar lies above 0, up to 1, not at {bar}")
    return np.full(len(consensus.schema), 0.0 if bar is None else bar)


def _loads(loads: Loads | None, rows: Rows) -> Int64[Array, "annotators"]:
    everybody = np.full(len(rows.annotators), np.iinfo(np.int64).max)
    if isinstance(loads, Mapping):
        place = {name: a for a, name in enumerate(rows.annotators)}
        for name, load in loads.items():
            if name not in place:
                raise SettingError(f"there is a load for {name!r}, who cannot be asked")
            everybody[place[name]] = load
    elif loads is not None:
        everybody[:] = loads
    if everybody.min(initial=0) < 0:
        raise SettingError("a load is a number of labels, 0 or more")
    return everybody


def _taken(taken: Dataset | Coded | None, consensus: Consensus, rows: Rows) -> Bool[Array, "items tasks annotators"]:
    had = np.zeros((len(consensus.items), len(consensus.schema), len(rows.annotators)), bool)
    if taken is None:
        return had
    coded = coded_of(taken)
    if coded.items != consensus.items:
        raise SettingError("taken must hold the same items as the consensus, in the same order")
    coded = coded.aligned(consensus.schema, rows.annotators, coded.models)
    item, task = np.divmod(coded.cell_of_label(), max(coded.n_tasks, 1))
    known = coded.labels.annotator >= 0
    had[item[known], task[known], coded.labels.annotator[known]] = True
    return had


def _waiting(
    queue: Int64[Array, "items seats"], allowed: Bool[Array, "items annotators"]
) -> Int64[Array, "items seats"]:
    """Who is still to come, moved up; a stranger is always to come."""
    seat = np.asarray(queue, np.int64)
    padded = np.column_stack([allowed, np.ones(len(allowed), bool), np.zeros(len(allowed), bool)])  # the last: nobody
    waits = np.take_along_axis(padded, np.where(seat < 0, padded.shape[1] - 1, seat), axis=1)
    order = np.argsort(~waits, axis=1, kind="stable")
    return np.take_along_axis(np.where(waits, seat, NOBODY), order, axis=1)


# ---- the ranking ----------------------------------------------------------------------------------------------------
def ranked(
    consensus: Consensus,
    terms: tuple[Terms, ...],
    choices: tuple[Choice, ...],
    loads: Int64[Array, "annotators"],
    batch: int,
) -> list[Ask]:
    """The best labels of a batch, as places, best first."""
    boards = _boards(consensus, terms, choices, loads > 0)
    return [Ask(*each) for each in filled(consensus, boards, loads, batch)]


def _boards(
    consensus: Consensus, terms: tuple[Terms, ...], choices: tuple[Choice, ...], free: Bool[Array, "annotators"]
) -> list[Board]:
    found = doubts(consensus, tuple(each.ahead for each in terms))
    return [_board(*each, free) for each in zip(terms, found, choices, strict=True)]


def _board(terms: Terms, of: Doubt, who: Choice, free: Bool[Array, "annotators"]) -> Board:
    who = who._replace(allowed=who.allowed & free)
    nats = None if who.queue is not None else informed(terms, of, who)
    return Board(terms, of, who, nats, rates_of(terms, of, who, nats))


def _table(consensus: Consensus, rows: Rows, asks: list[Ask]) -> pa.Table:
    names = (*rows.annotators, None)
    return pa.table(
        {
            "item": [consensus.items[ask.item] for ask in asks],
            "task": [consensus.schema.tasks[ask.task].name for ask in asks],
            "annotator": [names[ask.annotator] for ask in asks],
            "worth_per_price": [ask.worth for ask in asks],
        },
        schema=_RANKING,
    )


def _check(consensus: Consensus, rows: Rows, batch: int) -> None:
    if batch < 1:
        raise SettingError(f"batch is a whole number of 1 or more, not {batch}")
    if len(rows.of_task) != len(consensus.schema):
        raise SettingError(f"rows of {len(rows.of_task)} tasks do not fit a consensus of {len(consensus.schema)}")


def _check_shapes(available: Available | None, queue: Queue | None, sizes: tuple[int, int, int]) -> None:
    n_items, n_tasks, n_people = sizes
    if available is not None and available.shape not in {(n_items, n_people), sizes}:
        raise SettingError(
            f"available must be {n_items} items x {n_people} annotators, or items x {n_tasks} tasks x annotators, "
            f"not {available.shape}"
        )
    if queue is None:
        return
    if queue.shape[:-1] not in {(n_items,), (n_items, n_tasks)}:
        raise SettingError(f"queue must have {n_items} items (x {n_tasks} tasks) x seats, not {queue.shape}")
    if queue.size and not NOBODY <= queue.min() <= queue.max() <= n_people:
        raise SettingError(
            f"queue holds places of annotators, {NOBODY} to {n_people}, not {queue.min()} to {queue.max()}"
        )
