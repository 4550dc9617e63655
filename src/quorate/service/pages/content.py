"""An item's content as blocks that a person can read: pictures, conversations, texts, and the rest as a table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

PICTURE_NAMES = frozenset({"image", "image_url", "img", "picture", "photo"})
PICTURE_ENDS = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".bmp", ".svg")
PICTURE_DATA = re.compile(r"^data:image/(png|jpe?g|gif|webp|avif|bmp|svg\+xml)[;,]", re.IGNORECASE)
TEXT_NAMES = frozenset(
    {"text", "content", "body", "sentence", "passage", "question", "prompt", "answer", "response", "review", "comment"}
)
LONG = 80  # characters; a longer text stands by itself
SPEAKS, SAID = ("role", "speaker", "author", "from"), ("content", "text", "value", "message")


class Turn(NamedTuple):
    """One turn of a conversation."""

    who: str
    said: str


class Block(NamedTuple):
    """A part of an item's content."""

    kind: Literal["picture", "chat", "text", "rows"]
    name: str
    text: str = ""  # or where a picture is
    turns: Sequence[Turn] = ()
    rows: Sequence[tuple[str, str]] = ()


def blocks_of(content: Mapping[str, Any]) -> list[Block]:
    """The content in the order of its fields, short fields together at the end.

    >>> [block.kind for block in blocks_of({"text": "Good.", "stars": 5, "image": "https://example.org/a.png"})]
    ['text', 'picture', 'rows']
    """
    blocks: list[Block] = []
    rows: list[tuple[str, str]] = []
    for name, value in content.items():
        block = _block(name, value)
        if block is None:
            rows.append((name, _plain(value)))
        else:
            blocks.append(block)
    if not blocks and len(rows) == 1:
        return [Block("text", rows[0][0], rows[0][1])]
    return [*blocks, *([Block("rows", "", rows=rows)] if rows else [])]


def is_outside(address: str) -> bool:
    """Whether a picture lies elsewhere, so that it must be fetched."""
    return address.startswith(("https://", "http://"))


# ---- parts ----------------------------------------------------------------------------------------------------------
def _block(name: str, value: Any) -> Block | None:
    if isinstance(value, str):
        if _is_picture(name, value):
            return Block("picture", name, value)
        return Block("text", name, value) if name.lower() in TEXT_NAMES or len(value) > LONG else None
    turns = _turns(value)
    return Block("chat", name, turns=turns) if turns else None


def _is_picture(name: str, value: str) -> bool:
    if value[:5].lower() == "data:":
        return PICTURE_DATA.match(value) is not None
    try:
        path = urlsplit(value).path.lower() if is_outside(value) else ""
    except ValueError:
        return False
    return bool(path) and " " not in value and (name.lower() in PICTURE_NAMES or path.endswith(PICTURE_ENDS))


def _turns(value: Any) -> list[Turn]:
    """The turns, where every element says who speaks and what."""
    if not isinstance(value, list) or not value:
        return []
    turns: list[Turn] = []
    for each in value:
        if not isinstance(each, Mapping):
            return []
        who = next((each[key] for key in SPEAKS if isinstance(each.get(key), str)), None)
        said = next((each[key] for key in SAID if isinstance(each.get(key), str)), None)
        if who is None or said is None:
            return []
        turns.append(Turn(who, said))
    return turns


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=None if not isinstance(value, (dict, list)) else 1)
