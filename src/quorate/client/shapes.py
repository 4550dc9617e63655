"""What a service answers, as the client gives it: a field that this version does not know is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar


class User(NamedTuple):
    """A person who may come in; times are seconds since 1970."""

    id: int
    name: str
    role: str
    created_at: float | None = None
    disabled_at: float | None = None


class Token(NamedTuple):
    """A token, without its text."""

    id: int
    name: str
    prefix: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None


class NewToken(NamedTuple):
    """A token at its making, the only time its text is known."""

    id: int
    token: str


class Campaign(NamedTuple):
    """A labeling project; what one may not see is None."""

    id: int
    name: str
    state: str
    schema: Mapping[str, Any]
    guidelines: str
    version: int
    settings: Mapping[str, Any] | None = None
    policy: Mapping[str, Any] | None = None
    policy_version: int | None = None
    model_version: int | None = None
    prices: Mapping[str, Any] | None = None
    budget: float | None = None
    spent: float | None = None
    reserved: float | None = None
    created_at: float | None = None
    scoring: Mapping[str, Any] | None = None  # how far models have scored the items; only of one campaign by itself


class Member(NamedTuple):
    """A user who works in a campaign."""

    user_id: int
    name: str
    role: str
    skills: tuple[str, ...]


class Uploaded(NamedTuple):
    """What an upload of items came to."""

    added: int
    unchanged: int


class Item(NamedTuple):
    """An item as it stands; labels and scores only where it was asked for by itself."""

    id: int
    item: str
    content: Mapping[str, Any]
    gold: Mapping[str, str] | None
    anchor: bool
    restricted: bool
    tasks: Mapping[str, Mapping[str, Any]]
    labels: tuple[Mapping[str, Any], ...] | None = None
    scores: tuple[Mapping[str, Any], ...] | None = None


class Lease(NamedTuple):
    """A seat at an item: what is asked, and until when."""

    id: str
    campaign: int
    item: str
    content: Mapping[str, Any]
    tasks: tuple[str, ...]
    expires_at: float
    suggestions: Mapping[str, Any] | None = None


class Receipt(NamedTuple):
    """What was kept of an answer, and the next seat where one was asked for and there is one."""

    labels: Mapping[str, int]
    late: tuple[str, ...]
    closed: tuple[str, ...]
    next: Lease | None = None


class Withdrawal(NamedTuple):
    """What was taken back, and the lease under which it may be answered anew."""

    withdrawn: tuple[str, ...]
    lease: str | None


class Answered(NamedTuple):
    """The consensus on one task of one item."""

    item: str
    task: str
    label: str | None
    confidence: float | None
    n_labels: int
    open: bool


class Overview(NamedTuple):
    """A campaign in figures."""

    items: int
    closed_items: int
    labels: int
    saved: float | None
    expected_accuracy: float | None
    spent: float
    reserved: float
    budget: float | None
    people: int
    model_version: int | None
    tasks: Mapping[str, Mapping[str, Any]]
    scoring: Mapping[str, Any] | None = None


class Dispute(NamedTuple):
    """A task of an item about which people say different things."""

    item: str
    task: str
    label: str | None
    confidence: float | None
    open: bool
    votes: Mapping[str, int]


class Certificate(NamedTuple):
    """What is proven of the answers that a confidence closes."""

    threshold: float | None
    floor: float
    delta: float
    n: int
    closed: int
    accuracy: float | None
    lower: float | None
    share_closed: float
    reason: str | None
    sentence: str


class FittedModel(NamedTuple):
    """A version of a campaign's model."""

    version: int
    estimator: str
    made_at: float
    through_event: int
    note: Mapping[str, Any]


class Learning(NamedTuple):
    """How a campaign's model is fitted anew; `every_s` of None is only on demand."""

    estimator: str = "hybrid"
    least_labels: int = 200
    growth: float = 0.2
    every_s: float | None = 600.0


class Event(NamedTuple):
    """One thing that happened in a campaign."""

    id: int
    kind: str
    item: str | None
    user: str | None
    body: Mapping[str, Any]
    at: float


class Hook(NamedTuple):
    """A webhook, and how it stands with its receiver."""

    id: int
    url: str
    events: tuple[str, ...]
    waiting: int
    error: str | None
    next_at: float | None
    stopped_at: float | None


class NewHook(NamedTuple):
    """A webhook at its making, the only time its secret is told."""

    id: int
    secret: str


class AuditEntry(NamedTuple):
    """Who did what to what."""

    id: int
    at: float
    user_id: int | None
    action: str
    target: str
    detail: Mapping[str, Any]


Shape = TypeVar("Shape")


def shaped(kind: Callable[..., Shape], given: Mapping[str, Any]) -> Shape:
    """The answer in the shape of that named tuple; lists become tuples.

    >>> shaped(Withdrawal, {"withdrawn": ["tone"], "lease": None, "new": 1})
    Withdrawal(withdrawn=('tone',), lease=None)
    """
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    known = {name: given[name] for name in names if name in given}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})
