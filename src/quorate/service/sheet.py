"""What models are shown of an item: what people are shown, as texts and pictures.

A picture goes to a model by content. One that an item names by address is fetched here, guarded; the models' server is
never handed an address that an item chose.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from aiohttp import ClientError

from quorate.errors import DataError, SettingError
from quorate.llm.items import MOST_IMAGE_BYTES, Items, mime_of
from quorate.llm.rubric import Question, Rubric
from quorate.schema import Schema, Task
from quorate.service.guard import Guard
from quorate.service.pages.content import Block, blocks_of, is_outside
from quorate.store.asking import Labeler

NO_PICTURE = "its picture cannot be shown to a model: {why}"


class Shown(NamedTuple):
    """An item's texts, and the files of its pictures, by field."""

    texts: Mapping[str, str]
    pictures: Mapping[str, Path]


def rubric_of(schema: Schema, guidelines: str, labeler: Labeler) -> Rubric:
    """What models are told: the tasks with their classes, and the guidelines that people read."""
    questions = tuple(Question(task, labeler.questions.get(task.name) or _wording(task)) for task in schema.tasks)
    return Rubric(questions, guidelines=guidelines)


async def shown_of(content: Mapping[str, Any], guard: Guard, folder: Path) -> Shown:
    """The texts, and the pictures as files in that folder. Raises DataError for a picture that models cannot read."""
    texts: dict[str, str] = {}
    pictures: dict[str, Path] = {}
    for name, value in content.items():
        block = blocks_of({name: value})[0]
        if block.kind == "picture":
            pictures[name] = _kept(await _read(block.text, guard), folder)
        else:
            texts[name] = _words(block)
    return Shown(texts, pictures)


def items_of(shown: Mapping[str, Shown]) -> list[Items]:
    """Items for a job, apart by which fields they have: what an item's prompt says depends on no other item."""
    alike: dict[tuple[Sequence[str], Sequence[str]], dict[str, Shown]] = {}
    for item, each in shown.items():
        alike.setdefault((tuple(each.texts), tuple(each.pictures)), {})[item] = each
    return [
        Items(
            tuple(of),
            {name: [each.texts[name] for each in of.values()] for name in texts},
            {name: [each.pictures[name] for each in of.values()] for name in pictures},
        )
        for (texts, pictures), of in alike.items()
    ]


# ---- parts ----------------------------------------------------------------------------------------------------------
def _wording(task: Task) -> str:
    option = task.option_of
    return f"{option.question} Does {option.label!r} apply?" if option else task.name


def _words(block: Block) -> str:
    if block.kind == "chat":
        return "\n\n".join(f"{turn.who}: {turn.said}" for turn in block.turns)
    return block.text if block.kind == "text" else block.rows[0][1]


async def _read(address: str, guard: Guard) -> bytes:
    if not is_outside(address):
        return _inline(address)
    try:
        found = await guard.fetch(address, most=MOST_IMAGE_BYTES)
    except (OSError, ClientError, SettingError, ValueError):  # of an address that no resolver takes, too
        raise _no_picture("it could not be fetched") from None
    if found.status != 200:
        raise _no_picture("it could not be fetched")
    return found.body


def _inline(address: str) -> bytes:
    head, _, data = address.partition(",")
    try:
        return base64.b64decode(data) if head.lower().endswith(";base64") else unquote_to_bytes(data)
    except (binascii.Error, ValueError):
        raise _no_picture("its data is damaged") from None


def _kept(data: bytes, folder: Path) -> Path:
    if len(data) > MOST_IMAGE_BYTES:
        raise _no_picture("it is too large")
    if mime_of(data) is None:
        raise _no_picture("models read PNG, JPEG, GIF and WebP")
    path = folder / hashlib.sha256(data).hexdigest()
    path.write_bytes(data)
    return path


def _no_picture(why: str) -> DataError:
    return DataError(NO_PICTURE.format(why=why), mend="give it as PNG, JPEG, GIF or WebP")
