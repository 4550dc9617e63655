"""What the dashboard shows of a campaign, worked out of the store's sums; kept for as long as nothing happens there."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection

from quorate.measure.coefficients import krippendorff_alpha, raw_agreement
from quorate.service.state import Service
from quorate.store import overview as read
from quorate.store.over_time import Step, open_over_time
from quorate.store.overview import Certainty, Hand, ModelRow, TaskCount, Votes
from quorate.store.reading import CampaignPage, read_campaign_page
from quorate.store.records import Campaign
from quorate.store.scoring import Scoring, read_scoring

MOST_SHOWN = 8  # disagreements
RESTS = 10  # times as long as it took, a board is shown before it is worked out anew
MOST_KEPT = 200  # campaigns whose figures are remembered


class Agreement(NamedTuple):
    """How far two people agree on a task: the share of pairs, and Krippendorff's alpha, above chance."""

    task: str
    cells: int
    share: float | None
    alpha: float | None


class Person(NamedTuple):
    """One person: their work, and how reliable they are by peers or, where a model is fitted, by that."""

    hand: Hand
    peers: float | None  # share of pairs with a peer that say the same
    accuracy: float | None  # by the fitted model, over the tasks they answered
    low: float | None
    high: float | None
    flags: Sequence[str]


class Dispute(NamedTuple):
    """A cell on which people differ."""

    external_id: str
    task: str
    counts: Sequence[tuple[str, int]]
    label: str | None
    confidence: float | None
    open: bool
    content: str


class Board(NamedTuple):
    """Everything on the dashboard that the log and the model tell; money and state are read beside it."""

    items: int
    gold_items: int
    cells: int  # to be asked: tasks of items, without those that are known
    closed: int
    labels: int
    saved: int
    tasks: Sequence[TaskCount]
    certainty: Certainty
    curve: Sequence[Step]
    agreement: Sequence[Agreement]
    people: Sequence[Person]
    machines: Sequence[Mapping[str, Any]]  # models' figures, of the fitted model
    pairs: Sequence[Mapping[str, Any]]  # models that err together
    effective: Mapping[str, Any] | None
    disputes: Sequence[Dispute]
    model: ModelRow | None


class Shown(NamedTuple):
    """A board, and what is read anew each time."""

    page: CampaignPage
    board: Board
    asking: int
    events: Sequence[Any]
    at: float
    scoring: Scoring | None = None  # by models
    stamp: int = 0  # another one when the board was worked out anew


class _Kept(NamedTuple):
    """A board, what it was worked out from, when, and how long that took, in seconds of the process."""

    key: tuple[Any, ...]
    board: Board
    at: float
    took: float

    def serves(self, key: tuple[Any, ...]) -> bool:
        """Whether nothing has happened since, or too little time has passed to work it out anew."""
        return self.key == key or monotonic() - self.at < RESTS * self.took


class Boards:
    """The boards of one process; each is worked out anew when something has happened, but never most of the time."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], _Kept] = {}
        self._lock = threading.Lock()

    def show(self, service: Service, campaign_id: int) -> Shown:
        """The campaign as it stands now. Raises NotFoundError."""
        now, which = service.clock(), (service.settings.database, campaign_id)
        with service.database.reading() as connection:
            page = read_campaign_page(connection, campaign_id)
            key = (read.last_event_id(connection, campaign_id), page.campaign.version, page.campaign.model_version)
            known = self._kept.get(which)
            if known is None or not known.serves(key):
                begun = monotonic()
                board = board_of(connection, page.campaign, now=now)
                known = _Kept(key, board, monotonic(), monotonic() - begun)
            scoring = read_scoring(connection, campaign_id, page.campaign.settings)
            asking, events = read.count_asking(connection, campaign_id), read.last_events(connection, campaign_id)
        with self._lock:
            self._kept.pop(which, None)
            self._kept[which] = known
            while len(self._kept) > MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
        return Shown(page, known.board, asking, events, now, scoring, int(known.at * 1000))


def board_of(connection: Connection, campaign: Campaign, *, now: float) -> Board:
    """Everything worked out."""
    n_items, n_gold = read.count_cells(connection, campaign)
    tasks = read.count_tasks(connection, campaign)
    votes, model = read.read_votes(connection, campaign.id), read.read_model(connection, campaign)
    note = model.note if model else {}
    return Board(
        items=n_items,
        gold_items=n_gold,
        cells=sum(task.asked for task in tasks),
        closed=sum(task.closed for task in tasks),
        labels=sum(task.labels for task in tasks),
        saved=sum(task.saved for task in tasks),
        tasks=tasks,
        certainty=read.certainty(connection, campaign.id),
        curve=open_over_time(connection, campaign, now=now),
        agreement=agreement_of(campaign, votes),
        people=_people(connection, campaign.id, note),
        machines=[each for each in note.get("agents", ()) if each.get("kind") == "model"],
        pairs=note.get("pairs", ()),
        effective=note.get("effective_models"),
        disputes=_disputes(connection, votes),
        model=model,
    )


def agreement_of(campaign: Campaign, votes: Sequence[Votes]) -> list[Agreement]:
    """Of every task, over the cells with two answers or more.

    >>> from quorate.schema import Schema, Task
    >>> votes = [Votes(1, "tone", {"good": 2}), Votes(2, "tone", {"good": 1, "bad": 1})]
    >>> asks = Campaign(1, "c", "running", Schema((Task("tone", ("good", "bad")),)), {}, {}, None, 1, 1, None, None)
    >>> agreement_of(asks, votes)[0].share
    0.5
    """
    found: list[Agreement] = []
    for task in campaign.schema.tasks:
        of = [each.counts for each in votes if each.task == task.name]
        counts = np.array([[each.get(name, 0) for name in task.classes] for each in of], dtype=np.int64)
        if not of:
            found.append(Agreement(task.name, 0, None, None))
            continue
        metric = "ordinal" if task.ordered else "nominal"
        found.append(Agreement(task.name, len(of), raw_agreement(counts), krippendorff_alpha(counts, metric)))
    return found


# ---- parts ----------------------------------------------------------------------------------------------------------
def _people(connection: Connection, campaign_id: int, note: Mapping[str, Any]) -> list[Person]:
    peers = read.peers_agree(connection, campaign_id)
    figures: dict[str, list[Mapping[str, Any]]] = {}
    for each in note.get("agents", ()):
        if each.get("kind") == "annotator":
            figures.setdefault(each["agent"], []).append(each)
    people: list[Person] = []
    for hand in read.read_hands(connection, campaign_id):
        pairs, agreed = peers.get(hand.user_id, (0, 0))
        of = figures.get(hand.name, [])
        flags = list(dict.fromkeys(flag for each in of for flag in each.get("flags", ())))
        people.append(Person(hand, agreed / pairs if pairs else None, *_over_tasks(of), flags))
    return people


def _over_tasks(figures: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None, float | None]:
    """Accuracy and its interval, tasks weighed by answers and taken as independent."""
    known = [each for each in figures if each.get("accuracy") is not None and each.get("se") is not None]
    total = sum(each["n"] for each in known)
    if not total:
        return None, None, None
    if len(known) == 1:
        return known[0]["accuracy"], known[0]["low"], known[0]["high"]
    mean = sum(each["n"] * each["accuracy"] for each in known) / total
    reach = 1.96 * sum((each["n"] * each["se"] / total) ** 2 for each in known) ** 0.5
    return mean, max(mean - reach, 0.0), min(mean + reach, 1.0)


def _disputes(connection: Connection, votes: Sequence[Votes]) -> list[Dispute]:
    """The cells on which people are most divided, the most answered first."""
    split = [each for each in votes if len(each.counts) > 1]
    split.sort(key=lambda each: (-_division(each.counts), -sum(each.counts.values()), -each.item_id))
    split = split[:MOST_SHOWN]
    rows = read.read_items_named(connection, [each.item_id for each in split])
    found: list[Dispute] = []
    for each in split:
        external_id, content, state = rows[each.item_id]
        task = state[each.task]
        counts = sorted(each.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        found.append(Dispute(external_id, each.task, counts, task.label, task.confidence, task.open, preview(content)))
    return found


def _division(counts: Mapping[str, int]) -> float:
    """Probability that two of them differ."""
    n = sum(counts.values())
    return 1 - sum(k * (k - 1) for k in counts.values()) / (n * (n - 1))


def preview(content: Mapping[str, Any], most: int = 200) -> str:
    """The first words of an item's content, as one line."""
    texts = [str(value) for value in content.values() if not str(value).startswith("data:")]
    line = " · ".join(" ".join(text.split()) for text in texts if text)
    return line if len(line) <= most else line[: most - 1] + "…"
