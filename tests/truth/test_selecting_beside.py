"""Acquisition strategies beside scikit-activeml and scikit-learn, on the same numbers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from quorate.select.committee import jensen_shannon, vote_entropy
from quorate.select.diversity import k_center, k_means_pp
from quorate.select.points import Embedded, Gradients
from quorate.select.uncertainty import entropy, least_confidence, margin

pytestmark = [pytest.mark.peer, pytest.mark.slow]
RNG = np.random.default_rng(5)
PROBS = RNG.dirichlet(np.full(4, 0.7), 300)
ROWS = RNG.normal(size=(300, 6))


@pytest.fixture(scope="module")
def peer():
    """The package, imported quietly: it warns of what it does with other packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("skactiveml.pool")


def test_uncertainty_is_theirs_up_to_its_unit(peer):
    """Least confidence and margin over their largest values, entropy over log K."""
    for own, method, unit in (
        (least_confidence, "least_confident", 0.75), (margin, "margin_sampling", 1.0), (entropy, "entropy", np.log(4)),
    ):  # fmt: skip
        np.testing.assert_allclose(own(PROBS) * unit, peer.uncertainty_scores(PROBS, method=method), atol=1e-12)


def test_a_committee_disagrees_as_theirs_does(peer):
    """Vote entropy to the letter; the mean divergence from the mean is Jensen-Shannon's."""
    members = RNG.dirichlet(np.ones(3), (5, 200))
    votes = members.argmax(axis=2)
    np.testing.assert_allclose(vote_entropy(votes, 3), peer.vote_entropy(votes.T, np.arange(3)), atol=1e-12)
    np.testing.assert_allclose(jensen_shannon(members), peer.average_kl_divergence(members), atol=1e-6)


def test_the_core_set_is_theirs(peer):
    """The same greedy centers, from the same labeled items."""
    labels = np.full(300, np.nan)
    labels[:8] = 0
    theirs, _ = peer.k_greedy_center(ROWS, labels, batch_size=12, random_state=0)
    own = k_center(Embedded(ROWS), np.isnan(labels), np.arange(8), 12, np.random.default_rng(0))
    assert own.tolist() == theirs.tolist()


def test_k_means_seeding_is_as_spread_as_scikit_learns():
    """The same draw of chances: mean squared distance to the nearest of ten seeds, over 300 draws, within 4 errors."""
    from sklearn.cluster import kmeans_plusplus

    def left(rows: np.ndarray) -> float:
        return float(((ROWS[:, None] - rows[None]) ** 2).sum(axis=2).min(axis=1).mean())

    free, nothing = np.ones(300, bool), np.zeros(0, np.int64)
    own = [left(ROWS[k_means_pp(Embedded(ROWS), free, nothing, 10, np.random.default_rng(s))]) for s in range(300)]
    theirs = [left(kmeans_plusplus(ROWS, 10, random_state=s, n_local_trials=1)[0]) for s in range(300)]
    se = np.hypot(np.std(own), np.std(theirs)) / 300**0.5
    assert abs(np.mean(own) - np.mean(theirs)) < 4 * se


def test_badge_sees_the_distances_of_gradients_that_are_written_out():
    """Against outer products made in full, with scikit-learn's distances."""
    from sklearn.metrics.pairwise import euclidean_distances

    errors = PROBS.copy()
    errors[np.arange(300), PROBS.argmax(axis=1)] -= 1
    whole = (errors[:, :, None] * np.column_stack([ROWS, np.ones(300)])[:, None, :]).reshape(300, -1)
    found = np.stack([Gradients(PROBS, ROWS).squared_to(at) for at in range(300)])
    np.testing.assert_allclose(found, euclidean_distances(whole, squared=True), atol=1e-9)
