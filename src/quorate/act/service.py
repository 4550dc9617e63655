"""The review queue in a service: a campaign for every task of the queue, and the answers that people gave there."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from quorate.act.answers import COLUMNS, Key
from quorate.client.client import Client
from quorate.llm.items import Content, Items
from quorate.llm.rubric import Rubric

BATCH = 200  # items that are held in memory with their pictures


def send_queue(
    service: Client, name: str, queue: Sequence[Key], items: Items, rubric: Rubric, *, people: int = 1
) -> dict[str, int]:
    """Make a campaign for every task of the queue, or go on with those of these names; task to campaign, by number.

    Sent again, what is there already is left alone. People see the item and the question, not what machines said.
    """
    there = {each.name: each for each in service.campaigns()}
    tasks = [question for question in rubric.questions if any(task == question.task.name for _, task in queue)]
    found: dict[str, int] = {}
    for question in tasks:
        title = name if len(rubric.questions) == 1 else f"{name}: {question.task.name}"
        campaign = there.get(title)
        if campaign is None:
            task = question.task
            schema = {"tasks": [{"name": task.name, "classes": list(task.classes), "ordered": task.ordered}]}
            guidelines = "\n\n".join(
                filter(None, (rubric.about, question.wording, rubric.guidelines, question.guidelines))
            )
            settings = {"overlap": people, "together": people}
            campaign = service.add_campaign(title, schema, guidelines=guidelines, settings=settings)
        asked = [item for item, of in queue if of == question.task.name]
        for start in range(0, len(asked), BATCH):
            service.upload_items(campaign.id, list(_rows(asked[start : start + BATCH], items)))
        if campaign.state == "draft":
            service.set_state(campaign.id, "running")
        found[question.task.name] = campaign.id
    return found


def fetch_answers(service: Client, campaigns: Mapping[str, int]) -> Iterator[dict[str, str]]:
    """Rows of item, task, annotator and label that people gave in these campaigns."""
    with tempfile.TemporaryDirectory() as place:
        for campaign in campaigns.values():
            path = service.export(campaign, Path(place) / f"{campaign}.jsonl", table="labels", format="jsonl")
            for line in path.read_text("utf-8").splitlines():
                row: dict[str, Any] = json.loads(line)
                yield {column: str(row.get(column) or "") for column in COLUMNS}


def _rows(asked: Sequence[str], items: Items) -> Iterator[dict[str, Any]]:
    for item in asked:
        yield {"item": item, "content": _shown(items.content(items.place_of[item]))}


def _shown(content: Content) -> dict[str, str]:
    """What a person sees: texts by name, images as data URIs."""
    pictures = {f"image {n}" if n else "image": image.url() for n, image in enumerate(content.images)}
    return {**content.texts, **pictures}
