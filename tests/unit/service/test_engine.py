"""The engine: the same verdict as a batch prediction, whatever it remembers, and within its time."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from quorate.consensus.archive import save
from quorate.consensus.registry import estimator
from quorate.policy.stopping import PerTaskConfidence, confidences
from quorate.service.engine import Engine
from quorate.simulate.world import world
from quorate.store.records import Campaign, Evidence, LabelRow, Settings

SETTINGS = Settings(overlap=6, together=6)


@pytest.fixture(scope="module")
def fitted():
    made = world("coupled", items=120, tasks=4, seed=0)
    model = estimator("hybrid").fit(made.data)
    with TemporaryDirectory() as folder:
        save(model, Path(folder) / "model.quorate")
        return made.data, model, (Path(folder) / "model.quorate").read_bytes()
