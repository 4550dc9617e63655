"""Numbers, times and events as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quorate.service.pages.charts import Number, span
from quorate.store.log import Event

STATES = {"draft": "Draft", "running": "Running", "paused": "Paused", "done": "Done"}
ROLES = {"owner": "Owner", "lead": "Lead", "annotator": "Annotator", "reader": "Reader"}


def percent(share: Number | None, digits: int = 0) -> str:
    """A share in percent; a dash where it is unknown.

    >>> percent(0.934, 1), percent(None)
    ('93.4 %', '–')
    """
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def count(n: int, one: str, many: str | None = None) -> str:
    """So many of them.

    >>> count(1, "item"), count(1200, "person", "people")
    ('1 item', '1,200 people')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def number(n: int) -> str:
    """With its thousands apart."""
    return f"{n:,}"


def money(amount: Number | None) -> str:
    """In the campaign's own currency, of which nothing is known.

    >>> money(1234.5), money(0.004), money(0)
    ('1,234.50', '0.0040', '0.00')
    """
    if amount is None:
        return "–"
    return f"{amount:,.4f}" if 0 < abs(amount) < 0.01 else f"{amount:,.2f}"


def seconds(value: float | None) -> str:
    """A time at work."""
    return "–" if value is None else f"{value:.1f} s" if value < 100 else span(value)


def ago(now: float, then: float | None) -> str:
    """How long ago."""
    if then is None:
        return "never"
    return "just now" if now - then < 5 else f"{span(now - then)} ago"


def soon(now: float, then: float | None) -> str:
    """In how long.

    >>> soon(0.0, 90.0)
    'in 2 min'
    """
    return "" if then is None else "now" if then - now < 5 else f"in {span(then - now)}"


def sentence(text: str) -> str:
    """With a capital and a full stop.

    >>> sentence("there is no campaign 7")
    'There is no campaign 7.'
    """
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def happened(event: Event) -> str:
    """An event in a few words."""
    body = event.body
    told = {
        "labels": lambda: _labels(body),
        "withdrawn": lambda: f"took {count(len(body.get('withdrawn', ())), 'answer')} back",
        "skipped": lambda: "skipped an item",
        "items added": lambda: f"{count(body.get('added', 0), 'item')} added",
        "scores added": lambda: f"scores of {count(body.get('items', 0), 'item')} added",
        "campaign state": lambda: f"{body.get('from')} → {body.get('to')}",
        "models not asked": lambda: (
            f"models are not asked: {body['reason']}" if body.get("reason") else "models are asked"
        ),
        "refit asked": lambda: "asked for a new fit",
        "refit put off": lambda: f"fit put off: {body.get('reason')}",
        "refit failed": lambda: f"fit failed: {body.get('reason')}",
        "campaign changed": lambda: f"changed {', '.join(body.get('what', ()))}",
        "policy changed": lambda: f"policy {body.get('policy_version')} begins",
        "model fitted": lambda: f"model {body.get('version')} fitted ({body.get('estimator')})",
        "campaign made": lambda: "campaign made",
        "annotator flagged": lambda: f"flagged: {body.get('why') or body.get('reason') or body.get('flag') or 'look'}",
    }
    return told[event.kind]() if event.kind in told else event.kind


def _labels(body: Mapping[str, Any]) -> str:
    said = f"answered {count(len(body.get('labels', ())), 'question')}"
    closed, late = body.get("closed") or (), body.get("late") or ()
    return said + (f", closed {len(closed)}" if closed else "") + (", late" if late else "")
