"""The judge that passed labels a large set, chunk by chunk, in one process or several.

Items are cut into chunks in their order, and a chunk's labels become a file at once or not at all. Chunks go to a fixed
number of drawers, each with a journal of its own, so that processes never share one, and a run that was killed goes on
with any number of processes. Money is granted chunk by chunk from what is left of the cap, so that all together never
pass it. Between chunks `look` is called: where it says stop, no further item is labeled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quorate.data.write import whole
from quorate.errors import FormatError, SettingError
from quorate.judge.asked import Judge
from quorate.judge.asking import chosen_items
from quorate.judge.parts import join, numbers, table_of, write_part
from quorate.llm.annotate import annotate
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Booked, Ledger, Price
from quorate.llm.limits import Limits
from quorate.llm.progress import Progress
from quorate.llm.wire import Transport

Array = np.ndarray
DRAWERS = 16  # journals; the most processes
CHUNK = 1_000  # items
PICO = 10**12  # a US dollar in the ledger's units
RUN, JOURNALS = "run.json", "journals"
Connect = Callable[[], Transport]  # makes the way to the server, in the process that uses it
Look = Callable[[int, int], bool]  # chunks done now, chunks in all: whether to stop


class Purse(NamedTuple):
    """Prices, and what all may spend together."""

    prices: Mapping[str, Price]
    cap_usd: float | None = None
    allow_unknown: bool = False


class Amplified(NamedTuple):
    """What came of a run."""

    labels: int  # rows in the folder, earlier runs included
    chunks: int  # done, of `of`
    of: int
    spent_usd: float  # by all runs
    lost_usd: float  # at most, for calls that broke off
    stopped: str | None  # "cap": money, account or key; "look": whoever looked said stop


class _Grant(NamedTuple):
    """A chunk, and what it may spend beside what its drawer has booked."""

    number: int
    limit_usd: float | None


class _Done(NamedTuple):
    """A chunk after its calls: what its drawer has booked by now, and whether it is whole."""

    number: int
    booked: Booked
    whole: bool


class _Work(NamedTuple):
    """All that a process needs to label a chunk."""

    judge: Judge
    tasks: tuple[str, ...]
    out: Path
    connect: Connect
    purse: Purse
    limits: dict[str, Any]
    local: Connect | None


def amplify(
    judge: Judge,
    items: Items,
    out: Path,
    connect: Connect,
    purse: Purse,
    *,
    tasks: Sequence[str] | None = None,
    chunk: int = CHUNK,
    processes: int = 1,
    limits: Mapping[str, Any] | None = None,
    local: Connect | None = None,
    look: Look | None = None,
    progress: Progress | None = None,
) -> Amplified:
    """Label the items into the folder `out`; run again, it does what is missing.

    `tasks`: those that the gate lets through; all are asked, as the judge that passed was, but others are not written.
    `limits`: keywords of `Limits`, for each process. Raises SettingError for a judge that nobody can ask, for items or
    a chunk that are not those of the run that is in the folder, and before anything is sent for an unknown price.
    """
    _check(judge, items, chunk, processes)
    Ledger(purse.prices, cap_usd=purse.cap_usd, allow_unknown=purse.allow_unknown).price(judge.model)
    n_chunks = -(-len(items) // chunk)
    _same_run(out, items, chunk)
    bank = _Bank(out, purse.cap_usd)
    missing = [number for number in range(n_chunks) if number not in set(numbers(out))]
    work = _Work(judge, tuple(judge.maps if tasks is None else tasks), out, connect, purse, dict(limits or {}), local)
    stopped: str | None = None
    cut = _cut(items, chunk)
    with _pool(processes) as pool:
        running: dict[Future[_Done], int] = {}
        queue = list(missing)
        while queue or running:
            for number in _startable(queue, running.values(), processes):
                grant = bank.grant(number, min(processes, len(running) + len(queue)) - len(running))
                queue.remove(number)
                running[_begin(pool, work, cut(number), grant, progress)] = number
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                done = future.result()
                bank.settle(done, running.pop(future))
                if not done.whole and processes > 1 and stopped is None:  # others had money too: once more, alone
                    queue.insert(0, done.number)
                    processes = 1
                elif not done.whole:
                    stopped = stopped or "cap"
            n_done = n_chunks - len(queue) - len(running)
            if progress is not None:
                progress(n_done / max(n_chunks, 1), f"{n_done:,} of {n_chunks:,} chunks, {bank.spent_usd:.2f} USD")
            if stopped is None and look is not None and look(len(numbers(out)), n_chunks):
                stopped = "look"
            if stopped is not None:
                queue.clear()
    n_labels = join(out, judge.job(Items((), {}, {})).rubric.schema)
    return Amplified(n_labels, len(numbers(out)), n_chunks, bank.spent_usd, bank.lost_usd, stopped)


# ---- one chunk ------------------------------------------------------------------------------------------------------
def label_chunk(work: _Work, items: Items, grant: _Grant, progress: Progress | None = None) -> _Done:
    """The calls of one chunk, and its part where all were made."""
    drawer = work.out / JOURNALS / f"{grant.number % DRAWERS:02d}.sqlite"
    drawer.parent.mkdir(parents=True, exist_ok=True)
    with Journal(drawer) as journal:
        before = journal.booked()
        cap = None if grant.limit_usd is None else (before.spent + before.lost) / PICO + grant.limit_usd
        ledger = Ledger(work.purse.prices, cap_usd=cap, allow_unknown=work.purse.allow_unknown)
        done = annotate(
            work.judge.job(items),
            work.connect(),
            journal=journal,
            ledger=ledger,
            limits=Limits(**work.limits),
            local=work.local() if work.local else None,
            progress=progress,
        )
        if not done.stopped:
            failures = [{**failed._asdict(), "tasks": list(failed.tasks)} for failed in done.failures]
            write_part(work.out, grant.number, table_of(work.judge, work.tasks, done), failures)
        return _Done(grant.number, journal.booked(), not done.stopped)


# ---- money ----------------------------------------------------------------------------------------------------------
class _Bank:
    """What is left of the cap: what the drawers have booked and what is granted to running chunks is gone."""

    def __init__(self, out: Path, cap_usd: float | None) -> None:
        self._cap = cap_usd
        self._booked: dict[int, Booked] = {}
        self._granted: dict[int, float] = {}
        for path in (out / JOURNALS).glob("*.sqlite"):
            with Journal(path) as journal:
                self._booked[int(path.stem)] = journal.booked()

    @property
    def spent_usd(self) -> float:
        """By all chunks so far."""
        return sum(each.spent for each in self._booked.values()) / PICO

    @property
    def lost_usd(self) -> float:
        """At most, by calls that broke off."""
        return sum(each.lost for each in self._booked.values()) / PICO

    def grant(self, number: int, sharers: int) -> _Grant:
        """A fair share of what is left, for one of so many that are yet to have one."""
        if self._cap is None:
            return _Grant(number, None)
        left = max(self._cap - self.spent_usd - self.lost_usd - sum(self._granted.values()), 0.0)
        share = left / sharers
        self._granted[number] = share
        return _Grant(number, share)

    def settle(self, done: _Done, number: int) -> None:
        """What the chunk did not spend is free again."""
        self._granted.pop(number, None)
        self._booked[number % DRAWERS] = done.booked


# ---- processes ------------------------------------------------------------------------------------------------------
class _Here(Executor):
    """Runs at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result, or the error, when this returns."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever asks for the result is told
            future.set_exception(error)
        return future


def _pool(processes: int) -> Executor:
    if processes == 1:
        return _Here()
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))


def _begin(pool: Executor, work: _Work, items: Items, grant: _Grant, progress: Progress | None) -> Future[_Done]:
    if isinstance(pool, _Here):
        return pool.submit(label_chunk, work, items, grant, progress)
    return pool.submit(label_chunk, work, items, grant)


def _startable(queue: Sequence[int], running: Iterator[int] | Any, processes: int) -> list[int]:
    """The next chunks whose drawers nobody has open, as many as there are free processes."""
    taken = {number % DRAWERS for number in running}
    free, found = processes - len(taken), list[int]()
    for number in queue:
        if len(found) >= free:
            break
        if number % DRAWERS not in taken:
            taken.add(number % DRAWERS)
            found.append(number)
    return found


# ---- parts ----------------------------------------------------------------------------------------------------------
def _check(judge: Judge, items: Items, chunk: int, processes: int) -> None:
    if not judge.may_be_asked:
        raise SettingError("this judge was chosen among recorded answers; calibrate with a rubric and models to ask it")
    if not len(items):
        raise SettingError("there is no item to label")
    if chunk < 1 or not 1 <= processes <= DRAWERS:
        raise SettingError(f"a chunk has 1 item or more, and there are 1 to {DRAWERS} processes")


def _cut(items: Items, chunk: int) -> Callable[[int], Items]:
    """Chunk by number; what is known of the items beside their contents stays here."""
    bare = replace(items, data=None)

    def of(number: int) -> Items:
        return chosen_items(bare, np.arange(number * chunk, min((number + 1) * chunk, len(items))))

    return of


def _same_run(out: Path, items: Items, chunk: int) -> None:
    """Raises SettingError where the folder holds the labels of other items, or in other chunks."""
    wanted = {"items": len(items), "first": items.ids[0], "last": items.ids[-1], "chunk": chunk}
    path = out / RUN
    if not path.is_file():
        with whole(path) as part:
            part.write_text(json.dumps(wanted) + "\n", "utf-8")
        return
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise FormatError(f"no run ({error})", mend="restore it, or name an empty folder", source=str(path)) from None
    if found != wanted:
        raise SettingError(f"{out} holds labels of {found}, not of {wanted}: name another folder")
