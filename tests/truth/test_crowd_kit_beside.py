"""crowd-kit's Dawid-Skene run on the same labels in the same test [ustalov2024].

Its stopping rule adds the log prior once per label, so its objective may fall before the maximum is reached; tol=-1e9
turns the rule off.
"""

from __future__ import annotations

import numpy as np
import pytest

from quorate.consensus.dawid_skene import DawidSkene
from unit.consensus.build import simulated

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),  # crowd-kit and what it imports warn of their own futures
]


@pytest.mark.parametrize("n_passes", [1, 2, 20])
@pytest.mark.parametrize("seed", range(2))
def test_pass_by_pass_both_are_the_same(n_passes, seed):
    """After the same number of passes rows, prevalence and posteriors agree to 1e-7."""
    import pandas as pd
    from crowdkit.aggregation import DawidSkene as CrowdKit

    world = simulated(seed, n_items=300, n_annotators=10, n_labels=6)
    frame = pd.DataFrame(world.rows, columns=["task", "question", "worker", "label"])
    # Our last maximisation comes after the last expectation, theirs too; our prediction is one expectation further.
    peer = CrowdKit(n_iter=n_passes, tol=-1e9).fit(frame)
    further = CrowdKit(n_iter=n_passes + 1, tol=-1e9).fit(frame)
    model = DawidSkene(prior="flat", tolerance=0.0, max_iterations=n_passes).fit(world.coded())
    confusion = model.confusion("t")
    classes = list(world.classes["t"])
    for agent, rows in zip(confusion.agents, confusion.rows, strict=True):
        theirs = peer.errors_.loc[agent].reindex(index=classes, columns=classes, fill_value=0.0)
        np.testing.assert_allclose(rows.T, theirs.to_numpy(), atol=1e-7)
    np.testing.assert_allclose(model.prevalence("t"), peer.priors_[classes], atol=1e-7)
    asked = [item for item in world.items if item in further.probas_.index]
    place = {item: i for i, item in enumerate(world.items)}
    ours = model.predict(world.coded()).latent().probs("t")[[place[item] for item in asked]]
    np.testing.assert_allclose(ours, further.probas_.loc[asked, classes], atol=1e-7)
