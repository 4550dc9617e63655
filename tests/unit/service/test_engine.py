"""The engine: the verdict of a batch prediction, whatever it remembers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest

from quorate.consensus.archive import save
from quorate.consensus.estimator import Model
from quorate.consensus.registry import estimator
from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.schema import Schema, Task
from quorate.service.engine import Engine, Shelf
from quorate.simulate.world import world
from quorate.store.overlap import Overlap
from quorate.store.records import Campaign, Evidence, LabelRow, Settings

pytestmark = pytest.mark.slow  # a model is fitted first
SETTINGS = Settings(overlap=20, together=20)
POLICY = {"policy": "per-task-confidence", "threshold": 0.9}


class Ground(NamedTuple):
    """A fitted model, and items that it never saw."""

    data: Dataset
    model: Model
    campaign: Campaign
    of_item: Callable[[str], Evidence]


@pytest.fixture(scope="module")
def ground() -> Ground:
    """60 items to learn from, 12 to judge."""
    data = world("coupled", 72, 0).dataset()
    names = data.encode().items
    model = estimator("hybrid").fit(data.select(names[:60]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.quorate"
        save(model, path)
        archive = path.read_bytes()
    rows, scores = defaultdict(list), defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for i, row in enumerate(data.labels.to_pylist()):
        rows[row["item"]].append(LabelRow(i, row["task"], row["annotator"], row["label"], False, 0, i))
    for row in data.scores.to_pylist():
        scores[row["item"]][row["task"]][row["model"]][row["label"]] = row["score"]

    def evidence(item: str) -> Evidence:
        return Evidence(int(names.index(item)), item, 0, tuple(rows[item]), lambda: scores[item], lambda _: archive)

    campaign = Campaign(1, "c", "running", data.schema, POLICY, {}, SETTINGS, 1, 1, 1)
    return Ground(data.select(names[60:]), model, campaign, evidence)


def test_the_verdict_label_by_label_is_that_of_a_batch_prediction(ground: Ground):
    """One engine fed one label at a time ends where `predict` ends; so does one that remembers nothing."""
    engine = Engine()
    consensus = ground.model.predict(ground.data)
    for i, item in enumerate(consensus.items):
        evidence = ground.of_item(item)
        for n in range(len(evidence.labels) + 1):
            verdict = engine.decide(ground.campaign, evidence._replace(labels=evidence.labels[:n]))
        for task in ground.campaign.schema.tasks:
            probs = consensus.probs(task.name)[i]
            found = verdict.tasks[task.name]
            np.testing.assert_allclose(found.probs, probs, atol=1e-9)
            assert found.open == (found.confidence < 0.9)
        assert Engine().decide(ground.campaign, evidence).priority == pytest.approx(verdict.priority, abs=1e-9)


def test_what_was_withdrawn_or_undone_is_forgotten(ground: Ground):
    """Labels that are no longer there leave no trace, though the engine had taken them in."""
    engine = Engine()
    evidence = ground.of_item(ground.data.encode().items[0])
    first, *rest = evidence.labels
    engine.decide(ground.campaign, evidence)
    without = evidence._replace(labels=tuple(rest))
    again = engine.decide(ground.campaign, without)
    fresh = Engine().decide(ground.campaign, without)
    for task in ground.campaign.schema.tasks:
        np.testing.assert_allclose(again.tasks[task.name].probs, fresh.tasks[task.name].probs, atol=1e-12)
    # the same id with another label, as SQLite gives it after a transaction that was undone
    other = next(name for name in ground.campaign.schema.task(first.task).classes if name != first.label)
    changed = evidence._replace(labels=(first._replace(label=other), *rest))
    engine.decide(ground.campaign, evidence)
    assert engine.decide(ground.campaign, changed) == Engine().decide(ground.campaign, changed)


def test_the_overlap_ends_what_the_policy_would_ask(ground: Ground):
    """No task is open with as many labels as the cap, however unsure it is."""
    never = ground.campaign._replace(policy={"policy": "per-task-confidence", "threshold": 1.0})
    evidence = ground.of_item(ground.data.encode().items[0])
    capped = never._replace(settings=Settings(overlap=1, together=1))
    given = {row.task for row in evidence.labels}
    verdict = Engine().decide(capped, evidence)
    assert {name for name, task in verdict.tasks.items() if not task.open} >= given
    assert verdict.priority == max((1 - t.confidence for t in verdict.tasks.values() if t.open), default=0.0)


def test_without_a_model_peoples_votes_decide(ground: Ground):
    """The bootstrap is the overlap rule itself."""
    evidence = ground.of_item(ground.data.encode().items[0])
    young = ground.campaign._replace(model_version=None)
    assert Engine().decide(young, evidence) == Overlap().decide(young, evidence)


def test_a_model_of_other_tasks_is_refused(ground: Ground):
    """It could only answer questions that nobody asks."""
    other = ground.campaign._replace(schema=Schema((Task("else", ("a", "b")),)))
    with pytest.raises(SettingError, match="other tasks"):
        Engine().decide(other, ground.of_item(ground.data.encode().items[0]))


def test_a_shelf_forgets_what_was_not_asked_for_longest():
    """At most so many, and the one just asked for stays."""
    shelf = Shelf[int, str](2)
    shelf.put(1, "a")
    shelf.put(2, "b")
    assert shelf.get(1) == "a"
    shelf.put(3, "c")
    assert (shelf.get(1), shelf.get(2), shelf.take(3), shelf.get(3)) == ("a", None, "c", None)
