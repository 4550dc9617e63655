"""Fifteen classic crowd sets with gold: accuracy beside crowd-kit's Dawid-Skene, as its users run it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from quorate.consensus.dawid_skene import DawidSkene
from quorate.data.dataset import Dataset

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # crowd-kit and what it imports warn of their own futures
]


def credit(probs: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """1 where gold is the only most probable class, its share where several are; 0 elsewhere."""
    best = probs >= probs.max(axis=1, keepdims=True) - 1e-9
    return best[np.arange(len(gold)), gold] / best.sum(axis=1)


def log_loss(probs: np.ndarray, gold: np.ndarray) -> float:
    """Nats per item, no probability below 1e-10."""
    return float(-np.log(np.maximum(probs[np.arange(len(gold)), gold], 1e-10)).mean())


def crowd_kit_probs(folder, task: str, items: list[str], classes: tuple[str, ...]) -> np.ndarray:
    """Posteriors of crowd-kit's Dawid-Skene with its defaults, in this order of items and classes."""
    from crowdkit.aggregation import DawidSkene as CrowdKit

    table = pq.read_table(folder / "labels.parquet", filters=[("task", "=", task)])
    frame = table.select(["item", "annotator", "label"]).rename_columns(["task", "worker", "label"]).to_pandas()
    probs = CrowdKit().fit_predict_proba(frame)
    return probs.reindex(index=items, columns=list(classes), fill_value=0.0).to_numpy()


def test_accuracy_is_not_below_crowd_kit_on_average(recorded, record_property):
    """Mean over the sets of accuracy against gold, ties credited by share: ours at least theirs; log loss at most."""
    folder = recorded("crowd_classics")
    coded = Dataset.read(folder).encode()
    blind = replace(coded, gold=np.full_like(coded.gold, -1))
    consensus = DawidSkene().fit(blind).predict(blind).latent()
    ours, theirs = [], []
    for t, task in enumerate(coded.schema.tasks):
        known = np.flatnonzero(coded.gold[:, t] >= 0)
        gold = coded.gold[known, t]
        peer = crowd_kit_probs(folder, task.name, [coded.items[i] for i in known], task.classes)
        found = consensus.probs(task.name)[known]
        ours.append((credit(found, gold).mean(), log_loss(found, gold)))
        theirs.append((credit(peer, gold).mean(), log_loss(peer, gold)))
        record_property(task.name, f"{ours[-1][0]:.4f} against {theirs[-1][0]:.4f}")
    (accuracy, loss), (peer_accuracy, peer_loss) = np.mean(ours, axis=0), np.mean(theirs, axis=0)
    assert accuracy >= peer_accuracy
    assert loss <= peer_loss
