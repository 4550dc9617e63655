"""Who may sit where: people who ask for work, the seats they hold already, and the items that are free for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, bindparam, exists, or_, select

from quorate.store.among import among
from quorate.store.records import admitted
from quorate.store.rows import ITEM, Held, Purse, held_of, pricing
from quorate.store.tables import campaigns, items, leases, members, users

SPARE = 8  # candidates more than people: those of them who sat at the most urgent items need others
PAGE = 200  # items looked through at a time for who may not be asked everything
CENT = 1e-9  # sums of prices are exact to this part of the currency
SAT = ("open", "answered", "skipped")
Who = tuple[int, int]  # campaign, user


class Seeker(NamedTuple):
    """A member who asks for work."""

    campaign_id: int
    user_id: int
    name: str
    skills: frozenset[str]
    state: str  # of the campaign
    gold: bool


class Offer(NamedTuple):
    """A seat found: who, where, for which tasks."""

    seeker: Seeker
    held: Held
    tasks: tuple[str, ...]


MEMBERS = (
    select(members.c.campaign_id, members.c.user_id, members.c.skills, users.c.name, campaigns.c.state)
    .join(campaigns, campaigns.c.id == members.c.campaign_id)
    .join(users, users.c.id == members.c.user_id)
    .where(among(members.c.campaign_id, "campaigns"), among(members.c.user_id, "people"))
    .order_by(members.c.campaign_id, members.c.user_id)
    .with_for_update(of=members)
)
LEASE = [leases.c[name] for name in ("id", "item_id", "user_id", "tasks", "granted_at", "expires_at", "fence")]
IN_HAND = (
    select(*LEASE, items.c.external_id, items.c.campaign_id)
    .join(items, items.c.id == leases.c.item_id)
    .where(among(items.c.campaign_id, "campaigns"), among(leases.c.user_id, "people"))
    .where(leases.c.state == "open", leases.c.expires_at > bindparam("at"))
    .order_by(leases.c.granted_at)
)
SEATS = select(leases.c.item_id, leases.c.user_id).where(
    among(leases.c.item_id, "ids"), among(leases.c.user_id, "people"), leases.c.state.in_(SAT)
)


# ---- people ---------------------------------------------------------------------------------------------------------
def read_seekers(connection: Connection, asks: Mapping[Who, bool]) -> dict[Who, Seeker]:
    """Those of the askers who are members; their rows are held, so that a person's requests follow each other."""
    of = {"campaigns": sorted({c for c, _ in asks}), "people": sorted({u for _, u in asks})}
    return {
        (row.campaign_id, row.user_id): Seeker(
            row.campaign_id,
            row.user_id,
            row.name,
            frozenset(row.skills),
            row.state,
            asks[row.campaign_id, row.user_id],
        )
        for row in connection.execute(MEMBERS, of)
        if (row.campaign_id, row.user_id) in asks
    }


def in_hand(connection: Connection, seekers: Mapping[Who, Seeker], *, now: float) -> dict[Who, Any]:
    """The seats that they hold; of several (one was taken up again by an undo) the last."""
    running = [who for who, seeker in seekers.items() if seeker.state == "running"]
    if not running:
        return {}
    of = {"campaigns": sorted({c for c, _ in running}), "people": sorted({u for _, u in running}), "at": now}
    found = {(row.campaign_id, row.user_id): row for row in connection.execute(IN_HAND, of)}
    return {who: row for who, row in found.items() if who in seekers}


# ---- seats ----------------------------------------------------------------------------------------------------------
def seats_for(
    connection: Connection, seekers: Sequence[Seeker], purses: Mapping[int, Purse], *, waits: bool
) -> Iterator[Offer]:
    """A seat for each of the people for whom there is one; the item is held, and counted as taken before the next."""
    for campaign_id in sorted({seeker.campaign_id for seeker in seekers}):
        people = [seeker for seeker in seekers if seeker.campaign_id == campaign_id]
        hall = _Hall(connection, campaign_id, purses.get(campaign_id, Purse(None, 0.0, 0.0)).left(), waits)
        yield from hall.seat(people)


class _Hall:
    """The free items of one campaign while a batch of its people is seated."""

    def __init__(self, connection: Connection, campaign_id: int, left: float, waits: bool) -> None:
        self._connection = connection
        self._campaign_id = campaign_id
        self._left = left
        self._waits = waits
        self._held: dict[int, Held] = {}
        self._sat: set[tuple[int, int]] = set()  # item, user

    def seat(self, people: Sequence[Seeker]) -> Iterator[Offer]:
        """Offers, the people in the order in which they asked."""
        order = list[int]()
        if len(people) > 1:  # one person's own query finds their item at once
            rows = self._rows(_free(self._waits), limit=len(people) + SPARE)
            order = self._take(rows, [seeker.user_id for seeker in people])
        for seeker in people:
            offer = self._gold(seeker) if seeker.gold else None
            offer = offer or self._among(order, seeker) or self._search(seeker)
            if offer:
                yield offer

    def _take(self, rows: Sequence[Any], people: Sequence[int]) -> list[int]:
        """Hold the rows; their ids in the order of urgency."""
        new = {item_id: held for item_id, held in held_of(self._connection, rows).items() if item_id not in self._held}
        self._held |= new
        if rows:
            of = {"ids": [row.id for row in rows], "people": list(people)}
            self._sat |= {(row.item_id, row.user_id) for row in self._connection.execute(SEATS, of)}
        return [row.id for row in rows]

    def _among(self, order: Iterable[int], seeker: Seeker) -> Offer | None:
        for item_id in order:
            held = self._held[item_id]
            if (item_id, seeker.user_id) in self._sat or not held.room():
                continue
            tasks = self._affordable(held, seeker, admitted(held.state, held.campaign.settings, seeker.skills))
            if tasks:
                return self._offer(seeker, held, tasks)
        return None

    def _search(self, seeker: Seeker) -> Offer | None:
        """Page by page; who may be asked everything is served by the first row."""
        after: Any | None = None
        limit = 1
        while True:
            of = {"person": seeker.user_id}
            if after is not None:
                of |= {"priority": after.priority, "item": after.id}
            rows = self._rows(_free_for_one(self._waits, after is not None), limit=limit, **of)
            if not rows or self._left <= 0:
                return None
            offer = self._among(self._take(rows, [seeker.user_id]), seeker)
            if offer:
                return offer
            after, limit = rows[-1], min(8 * limit, PAGE)

    def _gold(self, seeker: Seeker) -> Offer | None:
        """A question of known truth that this person has not seen, the least asked first."""
        rows = self._rows(_gold_for_one(), limit=1, person=seeker.user_id)
        for item_id in self._take(rows, [seeker.user_id]):
            held = self._held[item_id]
            skills = held.campaign.settings.skills
            fit = [task for task in held.gold or {} if task not in skills or skills[task] in seeker.skills]
            tasks = self._affordable(held, seeker, [task for task in held.state if task in fit])
            if tasks:
                return self._offer(seeker, held, tasks)
        return None

    def _affordable(self, held: Held, seeker: Seeker, tasks: Sequence[str]) -> tuple[str, ...]:
        """The first of the tasks that what is left pays for."""
        price_of, left, fit = pricing(held.campaign), self._left + CENT, list[str]()
        for task in tasks:
            left -= price_of(task, seeker.name)
            if left < 0:
                break
            fit.append(task)
        return tuple(fit)

    def _offer(self, seeker: Seeker, held: Held, tasks: tuple[str, ...]) -> Offer:
        price_of = pricing(held.campaign)
        self._left -= sum(price_of(task, seeker.name) for task in tasks)
        self._sat.add((held.id, seeker.user_id))
        self._held[held.id] = held.seat(tasks)
        return Offer(seeker, held, tasks)

    def _rows(self, query: Select[Any], limit: int, **of: Any) -> Sequence[Any]:
        return self._connection.execute(query, {"campaign": self._campaign_id, "most": limit, **of}).all()


@cache
def _free(waits: bool) -> Select[Any]:
    """The most urgent items with room."""
    chosen = select(*ITEM).where(items.c.campaign_id == bindparam("campaign"), items.c.room > 0)
    ordered = chosen.order_by(items.c.priority.desc(), items.c.id).limit(bindparam("most"))
    return ordered.with_for_update(skip_locked=not waits)


@cache
def _free_for_one(waits: bool, onward: bool) -> Select[Any]:
    """The most urgent items with room at which this person neither sits nor sat, perhaps after a given one."""
    chosen = _free(waits).where(~_sat_here())
    if onward:
        less = items.c.priority < bindparam("priority")
        chosen = chosen.where(
            or_(less, and_(items.c.priority == bindparam("priority"), items.c.id > bindparam("item")))
        )
    return chosen


@cache
def _gold_for_one() -> Select[Any]:
    chosen = select(*ITEM).where(items.c.campaign_id == bindparam("campaign"), items.c.gold.is_not(None), ~_sat_here())
    return chosen.order_by(items.c.fence, items.c.id).limit(bindparam("most")).with_for_update(skip_locked=True)


def _sat_here() -> Any:
    mine = (leases.c.item_id == items.c.id, leases.c.user_id == bindparam("person"), leases.c.state.in_(SAT))
    return exists().where(*mine)
