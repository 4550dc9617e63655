"""The campaign that `quorate serve --demo` opens with: real images, real classifiers, simulated teachers.

Some images are labeled by simulated people and teach the model; the others are the campaign's items, with the
classifiers' scores and without a label. What is sure by the scores alone closes before anybody is asked.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float64
from sqlalchemy import Connection

from quorate.consensus.archive import save
from quorate.consensus.registry import estimator
from quorate.data.dataset import Dataset
from quorate.service.engine import Engine
from quorate.simulate.digits import SCHEMA, Digits, digit_images, digits
from quorate.store.campaigns import add_campaign, add_model, change_state
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.people import add_member
from quorate.store.reading import list_campaigns
from quorate.store.records import Settings
from quorate.store.submit import rejudge

Array = np.ndarray
NAME = "Digits"
N_TAUGHT, N_ITEMS, N_ANCHORS = 300, 400, 60
SIDE = 20  # pixels of the picture for one of the image
ESTIMATOR = "hybrid"
GUIDELINES = """# Which digit is it?

Each picture is a handwritten digit, scanned at 8 x 8 points.

- **digit**: the digit you read
- **parity**: whether it is even or odd
- **above_four**: whether it is 5 or more

Only the questions that the models leave open are asked. If you cannot read a digit, skip it.
"""


def demo_campaign(database: Database, *, owner: int, now: float) -> int:
    """The id of the demonstration's campaign, made if it is not there, and running; the owner works in it.

    Raises MissingExtraError without scikit-learn.
    """
    with database.reading() as connection:
        there = [page.campaign.id for page in list_campaigns(connection, None) if page.campaign.name == NAME]
    if there:
        return there[0]
    made = digits(N_TAUGHT + N_ITEMS)
    archive, new = _taught(made), list(_items(made))
    campaign_id = database.write(lambda connection: _made(connection, archive, new, owner, now))
    engine, last = Engine(), 0
    while (last := rejudge(database, engine, campaign_id, now=now, after=last)) is not None:
        pass  # what the scores alone make sure closes here
    return campaign_id


def _made(connection: Connection, archive: bytes, new: Iterable[NewItem], owner: int, now: float) -> int:
    settings = Settings(overlap=3, together=3, gold_rate=0.05)
    campaign = add_campaign(connection, NAME, SCHEMA, settings=settings, guidelines=GUIDELINES, now=now)
    add_member(connection, campaign.id, owner)
    add_items(connection, campaign, new, now=now)
    add_model(connection, campaign.id, archive, ESTIMATOR, through_event=0, now=now)
    change_state(connection, campaign.id, "running", version=campaign.version, now=now)
    return campaign.id


def _taught(made: Digits) -> bytes:
    """A model fitted on the images that simulated people labeled."""
    model = estimator(ESTIMATOR).fit(made.data.select(_names(made.data)[:N_TAUGHT]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.quorate"
        save(model, path)
        return path.read_bytes()


def _items(made: Digits) -> Iterator[NewItem]:
    """The other images, with what the models say; of the first of them the truth is known."""
    images, scores = digit_images(), _scores(made.data)
    rows = made.data.items["digits_row"].to_pylist() if made.data.items else []
    for place, name in enumerate(_names(made.data)[N_TAUGHT:], N_TAUGHT):
        known = place < N_TAUGHT + N_ANCHORS
        truth = {task.name: task.classes[made.truth[place, t]] for t, task in enumerate(SCHEMA.tasks)}
        content = {"image": png_uri(images[rows[place]])}
        yield NewItem(name, content, gold=truth if known else None, anchor=known, scores=scores[name])


def _names(data: Dataset) -> list[str]:
    return data.items["item"].to_pylist() if data.items else []


def _scores(data: Dataset) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Item, task, model, class to score."""
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    columns = (
        [data.scores[name].to_pylist() for name in ("item", "task", "model", "label", "score")] if data.scores else []
    )
    for item, task, model, label, score in zip(*columns, strict=True):
        found.setdefault(item, {}).setdefault(task, {}).setdefault(model, {})[label] = score
    return found


# ---- pictures -------------------------------------------------------------------------------------------------------
def png_uri(image: Float64[Array, "rows columns"]) -> str:
    """The image as a grey PNG in a data URI, dark on light; values from 0 to 16."""
    points = np.kron(255 - (image * (255 / 16)).astype(np.uint8), np.ones((SIDE, SIDE), np.uint8))
    rows = np.hstack([np.zeros((len(points), 1), np.uint8), points])  # each begins with its filter, none
    head = struct.pack(">IIBBBBB", points.shape[1], points.shape[0], 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
