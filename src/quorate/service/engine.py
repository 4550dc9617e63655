"""The engine: what is to be thought of an item after each label. Pure: no SQL, no clock; what it needs is handed in.

With a fitted model the item's labels and scores go through the model's session, the campaign's policy says which tasks
still need a label, the overlap cap ends what the policy would go on asking, and the acquisition index of the open tasks
says how urgent the item is. Before any model is fitted, people's
votes alone decide (`store.overlap`).

Sessions are kept for the items touched last, under the very labels they have taken in: a label whose transaction was
undone, a withdrawal or a new model makes a new session, never a wrong one.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool

from quorate.consensus.archive import load
from quorate.consensus.estimator import Model, Session
from quorate.consensus.posterior import Consensus
from quorate.errors import SettingError
from quorate.policy.prices import Prices
from quorate.policy.stopping import Minimum, Policy, confidences, policy_from_json
from quorate.policy.urgency import Urgency
from quorate.schema import Task
from quorate.store.overlap import Overlap
from quorate.store.records import Campaign, Evidence, LabelRow, TaskVerdict, Verdict

Array = np.ndarray
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
DEFAULT_POLICY = Minimum(0.95)  # of a campaign that names none


class Taken(NamedTuple):
    """A session, and the labels that it has taken in."""

    session: Session
    labels: tuple[LabelRow, ...]


class Engine:
    """Decides on items; one per process, for all campaigns and threads."""

    def __init__(self, *, most_sessions: int = 4096, most_models: int = 8) -> None:
        self._sessions: Shelf[tuple[int, int, int, int], Taken] = Shelf(most_sessions)
        self._models: Shelf[tuple[int, int], Model] = Shelf(most_models)
        self._urgencies: Shelf[tuple[int, int, int, int], Urgency] = Shelf(most_models)
        self._bootstrap = Overlap()

    def decide(self, campaign: Campaign, evidence: Evidence) -> Verdict:
        """The verdict on the item. Raises SettingError when the model was fitted for other tasks."""
        if campaign.model_version is None:
            return self._bootstrap.decide(campaign, evidence)
        key = (campaign.id, campaign.model_version, evidence.item_id, evidence.scored)
        taken = self._session(key, campaign, evidence)
        consensus = taken.session.consensus()
        self._sessions.put(key, taken)
        policy = _policy(json.dumps(campaign.policy))
        open_ = policy.needs(consensus)[0] & _asks_left(campaign, evidence)
        tasks = {task.name: _task(consensus, task, bool(open_[t])) for t, task in enumerate(campaign.schema.tasks)}
        return Verdict(tasks, self._priority(campaign, policy, consensus, open_))

    def _priority(self, campaign: Campaign, policy: Policy, consensus: Consensus, open_: Bool[Array, "tasks"]) -> float:
        """The acquisition index of a visit; with a model that cannot say what a label is worth, the largest doubt."""
        assert campaign.model_version is not None
        key = (campaign.id, campaign.version, campaign.policy_version, campaign.model_version)
        urgency = self._urgencies.get(key)
        if urgency is None:
            prices = Prices(campaign.prices.get("label", 1.0), campaign.prices.get("of_task", {}))
            urgency = Urgency(consensus, policy, prices)
            self._urgencies.put(key, urgency)
        if urgency.usable:
            return urgency.of(consensus, open_)
        return max(1.0 - (confidences(consensus)[0])[open_], default=0.0)

    def _session(self, key: tuple[int, int, int, int], campaign: Campaign, evidence: Evidence) -> Taken:
        """The session after exactly these labels; taken off the shelf, so that no other thread has it."""
        taken = self._sessions.take(key)
        if taken is None or evidence.labels[: len(taken.labels)] != taken.labels:
            model = self._model(campaign, evidence)
            taken = Taken(model.session(evidence.scores(), item=evidence.external_id), ())
        for row in evidence.labels[len(taken.labels) :]:
            taken.session.update(row.task, row.annotator, row.label)
        return Taken(taken.session, evidence.labels)

    def _model(self, campaign: Campaign, evidence: Evidence) -> Model:
        assert campaign.model_version is not None
        key = (campaign.id, campaign.model_version)
        model = self._models.get(key)
        if model is None:
            model = model_of_bytes(evidence.archive(campaign.model_version))
            self._models.put(key, model)
        if model.schema != campaign.schema:
            raise SettingError(f"model {campaign.model_version} was fitted for other tasks than the campaign asks")
        return model


def model_of_bytes(archive: bytes) -> Model:
    """The fitted model in these bytes, as `Model.save` writes them. Raises ArchiveError."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.quorate"
        path.write_bytes(archive)
        return load(path)


# ---- the verdict ----------------------------------------------------------------------------------------------------
def _asks_left(campaign: Campaign, evidence: Evidence) -> Bool[Array, "tasks"]:
    """Where the overlap cap still allows a label."""
    given = Counter(row.task for row in evidence.labels)
    return np.array([given[task.name] < campaign.settings.overlap for task in campaign.schema.tasks])


def _task(consensus: Consensus, task: Task, open_: bool) -> TaskVerdict:
    probs = consensus.probs(task.name)[0].tolist()
    best = max(range(len(probs)), key=probs.__getitem__)  # numpy would let other threads in between, for nothing
    return TaskVerdict(open_, task.classes[best], probs[best], tuple(probs))


@lru_cache(maxsize=256)
def _policy(text: str) -> Policy:
    return DEFAULT_POLICY if text == "{}" else policy_from_json(text)


# ---- what is kept ---------------------------------------------------------------------------------------------------
class Shelf(Generic[K, V]):
    """A bounded store that forgets what was not asked for longest; safe between threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: K) -> V | None:
        """The value, no longer on the shelf."""
        with self._lock:
            return self._kept.pop(key, None)

    def get(self, key: K) -> V | None:
        """The value, still on the shelf."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep the value."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
