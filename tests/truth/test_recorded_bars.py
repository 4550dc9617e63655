"""What `hybrid` must reach on recorded labelings of people and language models: figures of the prototype, as bars."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.evaluate.compare import compare

BARS = {  # hidden-label log loss with all others and with evidence alone, at most; AUC per task, at least
    "alttest_lesion": (0.669, 0.795, 0.949),
    "alttest_10k_prompts": (1.151, 1.165, 0.878),
    "latent_content": (1.137, 1.159, 0.924),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BARS)
def test_hybrid_reaches_its_bars(name: str, recorded: Callable[[str], Path]) -> None:
    """Two folds, each replayed by a model that never saw it; better than people's majority in every figure."""
    estimators = compare(recorded(name), ["hybrid"]).figures()["estimators"]
    hybrid, majority = estimators["hybrid"], estimators["majority"]
    others, evidence, auc = BARS[name]
    assert hybrid["hidden_label"]["all_others"]["nll"] <= others
    assert hybrid["hidden_label"]["evidence_only"]["nll"] <= evidence
    assert hybrid["auc"]["per_task"] >= auc
    assert hybrid["auc"]["per_task"] > majority["auc"]["per_task"]
    assert hybrid["truth"][2]["log_loss"] <= majority["truth"][2]["log_loss"]
