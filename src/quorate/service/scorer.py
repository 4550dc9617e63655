"""Models score a campaign's items in the background: some items at a time, and what they say closes what it can.

Calls go through `quorate.llm`: each is written to a file before it is sent, and its answer before it is used, so a kill
pays for nothing twice, and the cap holds over all starts. Scores come in by the same door as uploads. What stops it,
the cap, an account, a server that is down, is told and tried again where it may mend itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection

from quorate.errors import ConflictError, DataError, QuorateError
from quorate.llm.annotate import Annotated, annotating
from quorate.llm.calls import Job
from quorate.llm.journal import Journal
from quorate.llm.ledger import PICO
from quorate.llm.settings import Settings as HowAsked
from quorate.llm.tally import Failed as Miss
from quorate.service.guard import Guard
from quorate.service.holding import apart, held
from quorate.service.offer import NotOfferedError, check_labeler
from quorate.service.outages import Outage, outage_of, why_of
from quorate.service.sheet import Shown, items_of, rubric_of, shown_of
from quorate.service.state import Service
from quorate.store import chores, scoring
from quorate.store.asking import Labeler
from quorate.store.campaigns import read_campaign
from quorate.store.chores import Chore
from quorate.store.reading import CampaignPage, read_campaign_page
from quorate.store.records import Campaign
from quorate.store.scoring import FINAL, MOST_FAILED, MOST_TRIES, Failed, Note, Wanted
from quorate.store.submit import rejudge

T = TypeVar("T")
ITEMS_AT_ONCE = 100
HOLD_S, RENEW_S = 60.0, 15.0
FIRST_WAIT_S, MOST_WAIT_S = 15.0, 3600.0  # after an outage; it doubles with each in a row

log = logging.getLogger(__name__)
NOT_ASKED = "models could not be asked"


class Turn(NamedTuple):
    """What is to be done now: the items that come next, or those whose next try is due."""

    page: CampaignPage
    labeler: Labeler
    chore: Chore
    before: Note
    wanted: Sequence[Wanted]
    again: bool

    @property
    def campaign(self) -> Campaign:
        """The campaign."""
        return self.page.campaign


class Done(NamedTuple):
    """Items that are done with, for now or for good, and those of them that have new scores."""

    looked_at: int
    scored: int


class Came(NamedTuple):
    """What came of asking: scores by item, why others have none, and the money of all runs."""

    scores: Mapping[str, dict[str, dict[str, dict[str, float]]]]
    misses: Mapping[str, Miss]
    spent_usd: float
    lost_usd: float


class Scorer:
    """Has models asked; of one campaign only one process of all is at it."""

    def __init__(
        self,
        service: Service,
        decider: Any,
        guard: Guard,
        *,
        holder: str,
        environment: Mapping[str, str] | None = None,
        renew_s: float = RENEW_S,
    ) -> None:
        self._database, self._clock = service.database, service.clock
        self._url, self._offer = service.settings.database, service.settings.offer
        self._decider, self._guard, self._holder = decider, guard, holder
        self._environment = os.environ if environment is None else environment
        self._met: set[int] = set()  # campaigns; a service that was started anew may reach what the last could not
        self._limits = self._offer.limits() if self._offer else None
        self._renew_s = renew_s

    async def consider(self, campaign_id: int) -> Done:
        """What was done; nothing where there is nothing to do now, or another process is at it."""
        turn = await asyncio.to_thread(self._begin, campaign_id)
        if turn is None:
            return Done(0, 0)
        self._met.add(campaign_id)
        try:
            done = await held(
                self._do(turn), lambda: self._still(turn), lambda: self._leave(turn.chore), every_s=self._renew_s
            )
        except ConflictError:
            return Done(0, 0)  # another process has taken over
        return done or Done(0, 0)  # called off, calls in flight have landed: whoever goes on has them from the record

    # ---- begin ------------------------------------------------------------------------------------------------
    def _begin(self, campaign_id: int) -> Turn | None:
        with self._database.reading() as connection:
            if self._turn(connection, campaign_id, None) is None:
                return None

        def work(connection: Connection) -> Turn | None:
            name, now = scoring.chore_name(campaign_id), self._clock()
            chore = chores.take(connection, name, self._holder, now=now, for_s=HOLD_S)
            turn = None if chore is None else self._turn(connection, campaign_id, chore)
            if chore is not None and turn is None:  # another has done it meanwhile
                chores.leave(connection, chore)
            return turn

        return self._database.write(work)

    def _turn(self, connection: Connection, campaign_id: int, chore: Chore | None) -> Turn | None:
        """What is to be done, read again once the chore is held."""
        page, now = read_campaign_page(connection, campaign_id), self._clock()
        campaign, labeler = page.campaign, page.campaign.settings.labeler
        if labeler is None or campaign.state != "running":
            return None
        note = scoring.read_progress(connection, campaign_id, labeler)
        if note.stopped and (note.next_at is None or (now < note.next_at and campaign_id in self._met)):
            return None
        held = chore or Chore(scoring.chore_name(campaign_id), self._holder, {})
        wanted = scoring.items_again(connection, campaign, labeler, note, now=now, most=ITEMS_AT_ONCE)
        if wanted:
            return Turn(page, labeler, held, note, wanted, again=True)
        wanted = scoring.next_items(connection, campaign, labeler, after=note.after, most=ITEMS_AT_ONCE)
        return Turn(page, labeler, held, note, wanted, again=False) if wanted else None

    # ---- ask --------------------------------------------------------------------------------------------------
    async def _do(self, turn: Turn) -> Done:
        await asyncio.to_thread(self._judge, turn.campaign, turn.before.judging)  # kept by a process that is gone
        hidden = {each.external_id: "it is restricted" for each in turn.wanted if each.hidden and each.models}
        asked = [each for each in turn.wanted if each.models and not each.hidden]
        try:
            check_labeler(self._offer, turn.labeler)
            came, unseen = await self._ask(turn, asked) if asked else (_nothing(turn.before), {})
        except (QuorateError, OSError, sqlite3.Error) as error:  # a full disk, a folder that is gone
            await self._stop(turn, turn.before, self._told(error))
            return Done(0, 0)
        note = turn.before._replace(spent_usd=came.spent_usd, lost_usd=came.lost_usd, judging=())
        if came.scores:
            await self._keep(turn, came, note)
        outage = outage_of(
            list(came.misses.values()),
            nothing=not came.scores and not turn.again,  # items that fail by themselves must not stop all the others
            ever=note.looked_at > len(note.failed),
        )
        if outage is not None:
            await self._stop(turn, note, outage)
            return Done(0, len(came.scores))
        final = {item: Failed(MOST_TRIES, self._clock(), FINAL, why) for item, why in (hidden | unseen).items()}
        await self._note(turn, self._after(turn, note, came, final))
        return Done(len(turn.wanted), len(came.scores))

    async def _keep(self, turn: Turn, came: Came, note: Note) -> None:
        """Scores and money in one transaction; then the verdicts, and only then the note that goes on."""
        ids = [each.id for each in turn.wanted if each.external_id in came.scores]
        kept = note._replace(judging=ids)
        await self._later(
            lambda c: scoring.keep_scores(c, turn.chore, turn.campaign, came.scores, ids, kept, now=self._clock())
        )
        await asyncio.to_thread(self._judge, turn.campaign, ids)

    def _told(self, error: Exception) -> Outage:
        """What a lead is told; all else is the operator's affair, and may name files of this machine."""
        if isinstance(error, NotOfferedError):
            return Outage(str(error), mends=True)
        log.warning("%s: %s", NOT_ASKED, error)
        return Outage("the models could not be asked; the service's log says why", mends=True)

    async def _ask(self, turn: Turn, asked: Sequence[Wanted]) -> tuple[Came, dict[str, str]]:
        """What models say, and of which items they cannot be shown everything."""
        assert self._offer is not None
        unseen: dict[str, str] = {}
        with TemporaryDirectory(prefix="quorate-pictures-") as folder:
            shown: dict[str, Shown] = {}
            for each in asked:
                try:
                    shown[each.external_id] = await shown_of(each.content, self._guard, Path(folder))
                except DataError as error:
                    unseen[each.external_id] = error.problem
            jobs = self._jobs(turn, [each for each in asked if each.external_id in shown], shown)
            return await apart(lambda: self._answered(turn, jobs)), unseen

    def _jobs(self, turn: Turn, asked: Sequence[Wanted], shown: Mapping[str, Shown]) -> list[Job]:
        rubric = rubric_of(turn.campaign.schema, turn.page.guidelines, turn.labeler)
        by_models: dict[tuple[str, ...], dict[str, Shown]] = defaultdict(dict)
        for each in asked:
            by_models[each.models][each.external_id] = shown[each.external_id]
        how = HowAsked(turn.labeler.confidence)
        return [Job(items, rubric, models, how) for models, of in by_models.items() for items in items_of(of)]

    async def _answered(self, turn: Turn, jobs: Sequence[Job]) -> Came:
        """In a thread of its own: one job after the other, until one is stopped."""
        assert self._offer is not None
        scores: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
        misses: dict[str, Miss] = {}
        path = self._offer.folder_of(self._url) / _file_of(turn.page)
        path.parent.mkdir(parents=True, exist_ok=True)
        with Journal(path) as journal:
            booked = journal.booked()
            # a file that was lost, or lies on another machine, does not give the money back
            elsewhere_usd = max(0.0, turn.before.spent_usd - booked.spent / PICO)
            lost_usd = max(0.0, turn.before.lost_usd - booked.lost / PICO)
            ledger = self._offer.ledger(max(0.0, turn.labeler.cap_usd - elsewhere_usd - lost_usd))
            ledger.carry(booked)
            for job in jobs:
                done = await annotating(
                    job, self._offer.client(self._environment), journal=journal, ledger=ledger, limits=self._limits
                )
                _gather(done, scores)
                misses |= {miss.item: miss for miss in done.failures}
                if done.stopped:
                    break
        return Came(scores, misses, ledger.spent_usd + elsewhere_usd, ledger.lost_usd + lost_usd)

    # ---- and then ---------------------------------------------------------------------------------------------
    def _after(self, turn: Turn, note: Note, came: Came, final: Mapping[str, Failed]) -> Note:
        """The note once these items are done with, for now or for good."""
        now, failed = self._clock(), dict(note.failed)
        for each in turn.wanted:
            before = failed.pop(each.external_id, None)
            miss = came.misses.get(each.external_id)
            if each.external_id in final:
                failed[each.external_id] = final[each.external_id]
            elif miss is not None:
                tries = before.tries + 1 if before else 1
                failed[each.external_id] = Failed(tries, now, miss.model, why_of(miss))
        note = note._replace(failed=failed, stopped=None, stops=0, next_at=0.0)
        if len(failed) > MOST_FAILED:
            why = f"{len(failed)} items have failed; look at them, and change the labeler to go on"
            note = note._replace(stopped=why, next_at=None)
        if turn.again:
            return note
        return note._replace(after=turn.wanted[-1].id, looked_at=note.looked_at + len(turn.wanted))

    def _judge(self, campaign: Campaign, ids: Sequence[int]) -> None:
        """What the scores close, closes; before a model is fitted they change no verdict."""
        if ids and campaign.model_version is not None:
            rejudge(self._database, self._decider, campaign.id, now=self._clock(), only=ids)

    async def _stop(self, turn: Turn, note: Note, outage: Outage) -> None:
        wait_s = min(FIRST_WAIT_S * 2.0 ** min(note.stops, 20), MOST_WAIT_S)
        next_at = self._clock() + wait_s if outage.mends else None
        await self._note(turn, note._replace(stopped=outage.why, stops=note.stops + 1, next_at=next_at, judging=()))

    async def _note(self, turn: Turn, after: Note) -> None:
        await self._later(
            lambda c: scoring.go_on(c, turn.chore, turn.campaign.id, turn.before, after, now=self._clock())
        )

    def _still(self, turn: Turn) -> bool:
        """Whether the chore is ours for longer, and the campaign runs with the same labeler."""

        def work(connection: Connection) -> bool:
            mine = chores.take(connection, turn.chore.name, self._holder, now=self._clock(), for_s=HOLD_S)
            after = read_campaign(connection, turn.campaign.id)
            return mine is not None and after.state == "running" and after.settings.labeler == turn.labeler

        return self._database.write(work)

    def _leave(self, chore: Chore) -> None:
        self._database.write(lambda c: chores.leave(c, chore))

    async def _later(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(self._database.write, work)


# ---- parts ----------------------------------------------------------------------------------------------------------
def _file_of(page: CampaignPage) -> str:
    """Of this campaign alone: in a database that was made anew, another campaign has its number."""
    return f"campaign-{page.campaign.id}-{page.created_at * 1000:.0f}.sqlite"


def _nothing(note: Note) -> Came:
    return Came({}, {}, note.spent_usd, note.lost_usd)


def _gather(done: Annotated, scores: dict[str, dict[str, dict[str, dict[str, float]]]]) -> None:
    """Item, task, model, class to score, of whatever has a probability for every class."""
    for (model, task), cells in done.tally.cells.items():
        name, question = done.job.models[model], done.job.rubric.questions[task].task
        for place in cells.scored.nonzero()[0].tolist():
            probs = cells.probs[place] / cells.probs[place].sum()
            of_task = scores.setdefault(done.job.items.ids[place], {}).setdefault(question.name, {})
            of_task[name] = dict(zip(question.classes, probs.tolist(), strict=True))
