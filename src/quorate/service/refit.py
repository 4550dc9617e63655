"""A campaign's model is fitted anew, in a process of its own, while people go on working.

The process reads the campaign in one snapshot, fits, and hands a file and a few figures back; it has no other way to
change anything. It is started by command, not forked; it ends when the service ends, however that ends; and whatever
becomes of it, killed in the midst or out of memory, the service goes on with the model it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection

from quorate.errors import ConflictError, QuorateError
from quorate.store import chores
from quorate.store.chores import Chore
from quorate.store.database import Database
from quorate.store.fitting import Fitted, Why, keep_fit, note_failure, put_off, read_ground, why_refit

T = TypeVar("T")
HOLD_S = 60.0  # a process that died in the midst is replaced after so long
RENEW_S = 15.0
LIMIT_S = 4 * 3600.0  # of one fit
NICENESS = 10  # people's requests go first
MOST_AGENTS = 2000  # whose reliabilities are kept with a model
MOST_PAIRS = 100  # of models whose shared errors are kept with it, the most alike first

log = logging.getLogger(__name__)
REFIT_ENDED = "refit ended"


class Ended(NamedTuple):
    """What became of a fit."""

    outcome: str  # fitted, put off, failed, taken over
    version: int | None = None
    reason: str | None = None


class Refitter:
    """Has models fitted; of one campaign only one process of all is at it."""

    def __init__(self, database: Database, url: str, *, holder: str, clock: Callable[[], float]) -> None:
        self._database = database
        self._url = url
        self._holder = holder
        self._clock = clock
        self.running: dict[int, int] = {}  # campaign to process id

    async def consider(self, campaign_id: int) -> Ended | None:
        """Fit the campaign's model if it is time and nobody else is at it; None when nothing was to be done."""
        begun = await asyncio.to_thread(self._begin, campaign_id)
        if begun is None:
            return None
        chore, why = begun
        try:
            ended = await self._fit(chore, why)
        except ConflictError as error:
            ended = Ended("taken over", reason=str(error))
        finally:
            await asyncio.shield(self._later(lambda c: chores.leave(c, chore)))
        log.info("%s campaign=%d outcome=%s reason=%s", REFIT_ENDED, campaign_id, ended.outcome, ended.reason)
        return ended

    # ---- begin and end ----------------------------------------------------------------------------------------
    def _begin(self, campaign_id: int) -> tuple[Chore, Why] | None:
        name, now = f"refit {campaign_id}", self._clock()
        with self._database.reading() as connection:
            if why_refit(connection, campaign_id, chores.read_note(connection, name), now=now) is None:
                return None

        def work(connection: Connection) -> tuple[Chore, Why] | None:
            chore = chores.take(connection, name, self._holder, now=now, for_s=HOLD_S)
            if chore is None:
                return None
            why = why_refit(connection, campaign_id, chore.note, now=now)  # another may have ended it meanwhile
            if why is None:
                chores.leave(connection, chore)
                return None
            return chores.note_down(connection, chore, asked=why.asked, tried_at=now), why

        return self._database.write(work)

    async def _fit(self, chore: Chore, why: Why) -> Ended:
        learning = why.learning
        if why.labels < learning.least_labels:
            return Ended("put off", reason=await self._later(lambda c: put_off(c, why, now=self._clock())))
        with TemporaryDirectory(prefix="quorate-refit-") as folder:
            path = Path(folder) / "model.quorate"
            job = {
                "database": self._url,
                "campaign": why.campaign.id,
                "estimator": learning.estimator,
                "path": str(path),
            }
            status, said = await self._run(job, chore)
            if status == 0:
                fitted = Fitted(path.read_bytes(), learning.estimator, said.pop("through_event"), said)
                version = await self._later(lambda c: keep_fit(c, chore, why, fitted, now=self._clock()))
                return Ended("fitted", version)
        reason = said.get("error") or f"the process that fitted it ended with status {status}"
        await self._later(lambda c: note_failure(c, chore, why, reason, now=self._clock()))
        return Ended("failed", reason=reason)

    async def _later(self, work: Callable[[Connection], T]) -> T:
        """What the transaction gives, beside the event loop."""
        return await asyncio.to_thread(self._database.write, work)

    # ---- the process ------------------------------------------------------------------------------------------
    async def _run(self, job: dict[str, Any], chore: Chore) -> tuple[int, dict[str, Any]]:
        """The process's status and what it said; it is ended with whatever ends us."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "quorate.service.refit"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self.running[job["campaign"]] = process.pid
        holding = asyncio.create_task(self._hold(chore))
        try:
            with contextlib.suppress(ConnectionError):  # it may have died already: its status says so
                process.stdin.write(json.dumps(job).encode() + b"\n")
                await process.stdin.drain()
            said = await asyncio.wait_for(process.stdout.read(), LIMIT_S)
            return await process.wait(), _said(said)
        except TimeoutError:
            return -1, {"error": f"it took longer than {LIMIT_S:.0f} seconds"}
        finally:
            holding.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
            process.stdin.close()
            del self.running[job["campaign"]]

    async def _hold(self, chore: Chore) -> None:
        """Say again and again that we are at it."""
        while True:
            await asyncio.sleep(RENEW_S)
            now = self._clock()
            await self._later(lambda c, now=now: chores.take(c, chore.name, self._holder, now=now, for_s=HOLD_S))


def _said(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}


def _environment() -> dict[str, str]:
    """As ours, but with one thread of computing, and quorate found where we found it."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return {**one, **os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


# ---- in the process -------------------------------------------------------------------------------------------------
def main() -> None:
    """Read a job from the first line of the input, fit, write the model's file, and say how it went."""
    os.nice(NICENESS)
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_service, daemon=True).start()
    try:
        said = fit(job["database"], job["campaign"], job["estimator"], Path(job["path"]))
        status = 0
    except QuorateError as error:
        said, status = {"error": str(error)}, 1
    sys.stdout.write(json.dumps(said, allow_nan=False) + "\n")
    sys.stdout.flush()
    os._exit(status)  # the reading thread would hold an orderly end up


def fit(url: str, campaign_id: int, name: str, path: Path) -> dict[str, Any]:
    """Fit the estimator of that name on the campaign as it stands and save the model; what is to be known of it.

    Raises QuorateError for data on which it cannot be fitted.
    """
    from quorate.consensus.archive import save
    from quorate.consensus.registry import estimator

    database = Database.open(url, pool=1, migrate=False)
    try:
        with database.snapshot() as connection:
            ground = read_ground(connection, campaign_id)
    finally:
        database.close()
    if ground.data is None:
        raise QuorateError("there are neither labels nor scores to fit a model on")
    model = estimator(name).fit(ground.data)
    save(model, path)
    return {
        "through_event": ground.through_event,
        "labels": ground.n_labels,
        "status": model.fit.status,
        "notes": list(model.fit.notes),
        **_agents(model, ground.data),
    }


def _agents(model: Any, data: Any) -> dict[str, Any]:
    """How reliable everybody is and which models err together, by the new model; nobody where too little is known."""
    from quorate.consensus.agents import agents_report

    try:
        found = agents_report(model, data)
    except QuorateError:
        return {"agents": [], "pairs": [], "effective_models": None}
    pairs = [pair._asdict() for pair in found.shared.pairs if pair.kind == "model" and pair.task is None]
    return {
        "agents": [figure._asdict() for figure in found.agents[:MOST_AGENTS]],
        "pairs": sorted(pairs, key=lambda pair: -(pair["correlation"] or -1.0))[:MOST_PAIRS],
        "effective_models": None if found.effective is None else found.effective._asdict(),
    }


def _end_with_the_service() -> None:
    """The input is closed when the service ends, or is killed: nobody waits for the model then."""
    sys.stdin.buffer.read()
    os._exit(3)


if __name__ == "__main__":
    main()
