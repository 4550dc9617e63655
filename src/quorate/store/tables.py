"""The tables. `labels`, `events`, `decisions` and `audit` only grow; items' state and counters follow from them.

Times are seconds since 1970 (UTC), as the caller gives them. Turns make the live label unique without ever changing a
row: of one item, task and person, turn 0 gives a label, turn 1 takes it back, turn 2 gives the next; the label is live
while the last turn is even, and two rows of one turn cannot be.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA = MetaData(naming_convention=NAMING)
NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts rows up only in a column called INTEGER


def _id() -> Column[int]:
    return Column("id", NUMBER, primary_key=True, autoincrement=True)


def _to(column: str, name: str, *, nullable: bool = False, index: bool = False) -> Column[int]:
    return Column(name, NUMBER, ForeignKey(column), nullable=nullable, index=index)


def _one_of(name: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{name} IN ({listed})", name=name)


# ---- people ---------------------------------------------------------------------------------------------------------
users = Table(
    "users",
    METADATA,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("role", String(20), nullable=False),
    Column("password_hash", Text),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
    _one_of("role", "owner", "lead", "annotator", "reader"),
)
tokens = Table(
    "tokens",
    METADATA,
    _id(),
    _to("users.id", "user_id", index=True),
    Column("name", String(200), nullable=False),
    Column("prefix", String(20), nullable=False),  # shown in lists, so that one knows which to revoke
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
)
sessions = Table(
    "sessions",
    METADATA,
    Column("id_hash", String(64), primary_key=True),
    _to("users.id", "user_id", index=True),
    Column("csrf", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)

# ---- campaigns ------------------------------------------------------------------------------------------------------
campaigns = Table(
    "campaigns",
    METADATA,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("state", String(20), nullable=False),
    Column("schema", JSON, nullable=False),
    Column("guidelines", Text, nullable=False),
    Column("policy", JSON, nullable=False),
    Column("prices", JSON, nullable=False),
    Column("budget", Double),
    Column("spent", Double, nullable=False, server_default=text("0")),  # on labels that stand
    Column("reserved", Double, nullable=False, server_default=text("0")),  # for open leases
    Column("settings", JSON, nullable=False),
    Column("learning", JSON, nullable=False, server_default=text("'{}'")),  # how its model is fitted anew
    Column("version", Integer, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("model_version", Integer),
    Column("created_at", Double, nullable=False),
    _one_of("state", "draft", "running", "paused", "done"),
)
members = Table(
    "members",
    METADATA,
    Column("campaign_id", NUMBER, ForeignKey("campaigns.id"), primary_key=True),
    Column("user_id", NUMBER, ForeignKey("users.id"), primary_key=True),
    Column("skills", JSON, nullable=False),
)
models = Table(
    "models",
    METADATA,
    Column("campaign_id", NUMBER, ForeignKey("campaigns.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("archive", LargeBinary, nullable=False),
    Column("estimator", String(100), nullable=False),
    Column("made_at", Double, nullable=False),
    Column("through_event", NUMBER, nullable=False),
    Column("note", JSON, nullable=False),
)

# ---- items and the queue --------------------------------------------------------------------------------------------
items = Table(
    "items",
    METADATA,
    _id(),
    _to("campaigns.id", "campaign_id"),
    Column("external_id", String(500), nullable=False),
    Column("content", JSON, nullable=False),
    Column("restricted", Boolean, nullable=False, server_default=false()),
    Column("gold", JSON(none_as_null=True)),
    Column("anchor", Boolean, nullable=False, server_default=false()),
    Column("state", JSON, nullable=False),
    Column("room", Integer, nullable=False),  # people who may be let in now: the queue's one admission condition
    Column("priority", Double, nullable=False),
    Column("scored", Integer, nullable=False, server_default=text("0")),  # times that scores were written over
    Column("leased", Integer, nullable=False, server_default=text("0")),  # open leases
    Column("fence", Integer, nullable=False, server_default=text("0")),  # leases of this item so far
    Column("version", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("campaign_id", "external_id"),
    CheckConstraint("room >= 0", name="room"),
    CheckConstraint("leased >= 0", name="leased"),
)
Index(
    "ix_items_queue",
    items.c.campaign_id,
    items.c.priority.desc(),
    items.c.id,
    sqlite_where=items.c.room > 0,
    postgresql_where=items.c.room > 0,
)
IS_GOLD = items.c.gold.is_not(None)
Index("ix_items_gold", items.c.campaign_id, sqlite_where=IS_GOLD, postgresql_where=IS_GOLD)
IS_NEW = items.c.version == 0  # never judged, asked about or changed
Index("ix_items_new", items.c.campaign_id, sqlite_where=IS_NEW, postgresql_where=IS_NEW)
scores = Table(
    "scores",
    METADATA,
    Column("item_id", NUMBER, ForeignKey("items.id"), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("task", String(200), primary_key=True),
    Column("probs", JSON, nullable=False),  # one number per class, in the schema's order
)
leases = Table(
    "leases",
    METADATA,
    Column("id", String(64), primary_key=True),  # unguessable, new with every grant
    _to("items.id", "item_id"),
    _to("users.id", "user_id"),
    Column("tasks", JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("granted_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("price", Double, nullable=False, server_default=text("0")),  # what it reserves of the budget
    UniqueConstraint("item_id", "user_id"),
    _one_of("state", "open", "expired", "answered", "skipped", "withdrawn"),
)
OPEN = leases.c.state == "open"
Index("ix_leases_open_user", leases.c.user_id, sqlite_where=OPEN, postgresql_where=OPEN)
Index("ix_leases_open_expiry", leases.c.expires_at, sqlite_where=OPEN, postgresql_where=OPEN)
labels = Table(
    "labels",
    METADATA,
    _id(),
    _to("campaigns.id", "campaign_id", index=True),
    _to("items.id", "item_id"),
    Column("task", String(200), nullable=False),
    _to("users.id", "user_id", index=True),
    Column("turn", Integer, nullable=False),
    Column("label", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("seconds", Double),
    Column("assisted", Boolean, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("cost", Double, nullable=False, server_default=text("0")),  # what was paid for it
    _to("labels.id", "withdraws", nullable=True),
    UniqueConstraint("item_id", "task", "user_id", "turn"),
    UniqueConstraint("withdraws"),  # a label is taken back once
    CheckConstraint("(turn % 2 = 1) = (withdraws IS NOT NULL)", name="turn"),
)
imported = Table(  # what is known of annotations that were made in another tool, by the tool's own names for them
    "imported",
    METADATA,
    Column("campaign_id", NUMBER, ForeignKey("campaigns.id"), primary_key=True),
    Column("source", String(200), primary_key=True),
    _to("items.id", "item_id", index=True),
    _to("users.id", "user_id"),
    Column("version", String(100), nullable=False),  # later is larger
    Column("answers", JSON(none_as_null=True)),  # by task; nothing where the tool deleted it
)
idempotency = Table(
    "idempotency",
    METADATA,
    Column("user_id", NUMBER, ForeignKey("users.id"), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    Column("at", Double, nullable=False),
)

# ---- the log --------------------------------------------------------------------------------------------------------
events = Table(
    "events",
    METADATA,
    _id(),
    _to("campaigns.id", "campaign_id", index=True),
    Column("kind", String(50), nullable=False),
    _to("items.id", "item_id", nullable=True),
    _to("users.id", "user_id", nullable=True),
    Column("body", JSON, nullable=False),
    Column("at", Double, nullable=False),
)
decisions = Table(
    "decisions",
    METADATA,
    _id(),
    _to("campaigns.id", "campaign_id", index=True),
    _to("items.id", "item_id", index=True),
    Column("task", String(200), nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("label", Text),
    Column("confidence", Double),
    Column("labels_used", JSON, nullable=False),
    Column("model_version", Integer),
    Column("policy_version", Integer, nullable=False),
    Column("calibrator", Text),
    Column("cost", Double, nullable=False),
    Column("at", Double, nullable=False),
)
audit = Table(
    "audit",
    METADATA,
    _id(),
    Column("at", Double, nullable=False),
    _to("users.id", "user_id", nullable=True),
    Column("action", String(100), nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", JSON, nullable=False),
)
hooks = Table(
    "hooks",
    METADATA,
    _id(),
    _to("campaigns.id", "campaign_id", index=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("events", JSON, nullable=False),  # kinds; none are all
    Column("through_event", NUMBER, nullable=False),  # what came up to it is in the outbox, or was before the hook
    Column("stopped_at", Double),  # after a week without success
)
outbox = Table(
    "outbox",
    METADATA,
    _id(),
    _to("hooks.id", "hook_id"),
    _to("events.id", "event_id"),
    Column("body", JSON, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("done_at", Double),
    Column("error", Text),  # of the last try
    UniqueConstraint("hook_id", "event_id"),
)
WAITS = outbox.c.done_at.is_(None)
Index("ix_outbox_waits", outbox.c.hook_id, outbox.c.event_id, sqlite_where=WAITS, postgresql_where=WAITS)
chores = Table(
    "chores",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("holder", String(64)),  # the process that is at it, until then
    Column("until", Double, nullable=False),
    Column("note", JSON, nullable=False),  # how far it got
)
