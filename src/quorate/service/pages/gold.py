"""What is known against gold: how often people and the model are right there, and what that proves."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from quorate.errors import QuorateError
from quorate.measure.intervals import wilson
from quorate.policy.certify import certify
from quorate.service.engine import model_of_bytes
from quorate.service.state import Service
from quorate.store.campaigns import read_archive
from quorate.store.overview import last_label_id, read_gold
from quorate.store.records import Campaign
from quorate.store.rows import read_labels, read_scores

FLOOR = 0.95
REST_S = 20.0  # between two looks at a campaign that goes on
LEAST = 10  # gold cells with an answer, below which nothing is worked out


class Cell(NamedTuple):
    """One task of a gold item: how sure the answer is, and whether it is right."""

    item: str
    sureness: float
    right: bool


class GoldCheck(NamedTuple):
    """What gold tells; without figures where `reason` says why."""

    cells: int
    right: int
    accuracy: float | None
    low: float | None
    high: float | None
    sentence: str | None
    proven: bool
    with_model: bool
    reason: str | None = None


class GoldChecks:
    """The checks of one process, each remembered for a while."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], tuple[tuple[int | None, int], float, GoldCheck]] = {}
        self._lock = threading.Lock()

    def show(self, service: Service, campaign: Campaign) -> GoldCheck:
        """What gold tells of this campaign now, or told a moment ago."""
        now, which = service.clock(), (campaign.id, service.settings.database)
        with service.database.reading() as connection:
            key = campaign.model_version, last_label_id(connection, campaign.id)
            known = self._kept.get(which)
            if known and (known[0] == key or 0 <= now - known[1] < REST_S):
                return known[2]
            found = check_gold(connection, campaign)
        with self._lock:
            self._kept[which] = key, now, found
        return found


def check_gold(connection: Connection, campaign: Campaign) -> GoldCheck:
    """The answers to gold items as they would be closed, held against what is known."""
    cells = _cells_by_model(connection, campaign) if campaign.model_version else _cells_by_vote(connection, campaign)
    with_model = campaign.model_version is not None
    if len(cells) < LEAST:
        why = f"{len(cells)} gold answers so far; {LEAST} or more tell something"
        return GoldCheck(len(cells), sum(cell.right for cell in cells), None, None, None, None, False, with_model, why)
    right = np.array([cell.right for cell in cells], dtype=float)
    band = wilson(right.sum(), float(len(cells))).at()
    proof = certify(np.array([cell.sureness for cell in cells]), right, FLOOR, 0.1, items=[cell.item for cell in cells])
    return GoldCheck(
        len(cells),
        int(right.sum()),
        float(right.mean()),
        float(band.low),
        float(band.high),
        proof.sentence(),
        proof.threshold is not None,
        with_model,
    )


def _cells_by_model(connection: Connection, campaign: Campaign) -> list[Cell]:
    assert campaign.model_version is not None
    try:
        model = model_of_bytes(read_archive(connection, campaign.id, campaign.model_version))
    except QuorateError:
        return _cells_by_vote(connection, campaign)
    cells: list[Cell] = []
    for item in read_gold(connection, campaign.id):
        session = model.session(read_scores(connection, campaign, item.item_id), item=item.external_id)
        for row in read_labels(connection, item.item_id).live:
            session.update(row.task, row.annotator, row.label)
        consensus = session.consensus()
        for task, truth in item.gold.items():
            probs = consensus.probs(task)[0]
            best = int(probs.argmax())
            answer = campaign.schema.task(task).classes[best]
            cells.append(Cell(item.external_id, float(probs[best]), answer == truth))
    return cells


def _cells_by_vote(connection: Connection, campaign: Campaign) -> list[Cell]:
    """Before a model is fitted: the largest class among people, as sure as its share."""
    cells: list[Cell] = []
    for item in read_gold(connection, campaign.id):
        live = read_labels(connection, item.item_id).live
        for task, truth in item.gold.items():
            said = [row.label for row in live if row.task == task]
            if said:
                best = max(campaign.schema.task(task).classes, key=said.count)
                cells.append(Cell(item.external_id, said.count(best) / len(said), best == truth))
    return cells
