"""Decisions before any model is fitted: every question is asked of as many people as the overlap cap says."""

from __future__ import annotations

from collections import Counter

from quorate.schema import Task
from quorate.store.records import Campaign, Evidence, TaskVerdict, Verdict


class Overlap:
    """Closes a task at its last permitted label; its answer is the largest class, its confidence that class's share."""

    def decide(self, campaign: Campaign, evidence: Evidence) -> Verdict:
        """The verdict on the item; items that were begun come first, so that work in hand is finished."""
        tasks = {task.name: _count(campaign, evidence, task) for task in campaign.schema.tasks}
        return Verdict(tasks, float(len(evidence.labels)))


def _count(campaign: Campaign, evidence: Evidence, task: Task) -> TaskVerdict:
    votes = Counter(row.label for row in evidence.labels if row.task == task.name)
    total = votes.total()
    if not total:
        return TaskVerdict(open=True, label=None, confidence=None, probs=())
    probs = tuple(votes[name] / total for name in task.classes)
    best = max(range(len(probs)), key=probs.__getitem__)  # a tie goes to the class that the schema names first
    return TaskVerdict(total < campaign.settings.overlap, task.classes[best], probs[best], probs)
