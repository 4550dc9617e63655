"""Laws of what other tasks teach."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from quorate.calibrate.logits import log_softmax
from quorate.calibrate.methods import calibrator
from quorate.calibrate.prior import WEAK
from quorate.calibrate.transfer import TaskExamples, clusters, learned, pooled, similar
from quorate.errors import SettingError
from unit.calibrate.simulated import bent, excess


def tasks(n_tasks: int, n: int, *, seed: int, mean: float = -0.5, sd: float = 0.1) -> list[TaskExamples]:
    """Tasks whose log slopes lie around a mean."""
    slopes = np.exp(np.random.default_rng(seed).normal(mean, sd, n_tasks))
    return [TaskExamples(*bent(n, seed=seed + k, slopes=float(slope))[:2]) for k, slope in enumerate(slopes)]


def test_pooling_is_one_fit_on_all_examples() -> None:
    """No more and no less."""
    others = tasks(3, 50, seed=1)
    x, truth = (np.concatenate(part) for part in zip(*others, strict=True))
    assert pooled("temperature", others).scale == calibrator("temperature", x, truth).scale


def test_a_learned_prior_finds_where_the_tasks_lie_and_how_far_apart() -> None:
    """Mean and spread of 40 log slopes within their errors; the prior before counts as two tasks at 0."""
    gaussian = learned("temperature", tasks(40, 2000, seed=100))
    assert gaussian.mean[0] == pytest.approx(-0.5 * 40 / 42, abs=4 * 0.11 / 40**0.5)
    assert 0.08 < gaussian.precision[0, 0] ** -0.5 < 0.2  # .1, the tasks' own errors, and two at the identity


def test_a_learned_prior_makes_ten_labels_worth_more() -> None:
    """Where all tasks are alike, it beats both the default prior and no prior, task by task on average."""
    gaussian = learned("temperature", tasks(10, 500, seed=200))
    losses = {"default": [], "learned": [], "none": []}
    for seed in range(30):
        train, new = bent(10, seed=300 + seed, slopes=0.6), bent(1000, seed=400 + seed, slopes=0.6)
        for name, prior in (("default", None), ("learned", gaussian), ("none", WEAK)):
            made = calibrator("temperature", train.x, train.truth, prior=prior)
            losses[name].append(excess(made.apply(new.x), log_softmax(new.x * 0.6)))
    assert np.mean(losses["learned"]) < np.mean(losses["default"]) < np.mean(losses["none"])


def test_one_other_task_teaches_little() -> None:
    """A single task far away moves the mean a third of the way."""
    one = learned("temperature", tasks(1, 4000, seed=500, mean=-0.9, sd=0.0))
    assert one.mean[0] == pytest.approx(-0.3, abs=0.03)


def test_clusters_are_those_of_scikit_learn() -> None:
    """On points in clear clusters: the same partition; on any: no worse in squared distance."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 5)) * 6
    points = np.concatenate([centre + rng.normal(size=(30, 5)) for centre in centres])
    ours = clusters(points, 4, np.random.default_rng(1))
    theirs = KMeans(4, n_init=8, random_state=0).fit(points)
    pairs = set(zip(ours.tolist(), theirs.labels_.tolist(), strict=True))
    assert len(pairs) == 4
    loose = rng.normal(size=(200, 3))
    found = clusters(loose, 5, np.random.default_rng(2))
    left = sum(((loose[found == k] - loose[found == k].mean(axis=0)) ** 2).sum() for k in range(5))
    assert left < 1.05 * KMeans(5, n_init=8, random_state=0).fit(loose).inertia_


def test_similar_tasks_share_a_cluster_with_the_target() -> None:
    """Most examples decide; a task alone in its cluster learns from all others."""
    rng = np.random.default_rng(3)
    near, far = (lambda: rng.normal(0, 0.1, (20, 2))), (lambda: rng.normal(9, 0.1, (20, 2)))
    mixed = np.concatenate([far()[:15], near()[:5]])
    embeddings = [near(), far(), near(), mixed]
    assert similar(embeddings, 0, n_clusters=2, rng=np.random.default_rng(0)) == [2]
    assert similar(embeddings, 1, n_clusters=2, rng=np.random.default_rng(0)) == [3]
    assert similar([near(), far()], 0, n_clusters=2, rng=np.random.default_rng(0)) == [1]


def test_points_that_are_all_the_same_make_clusters_too() -> None:
    """No division by the distance that is not there."""
    assert clusters(np.zeros((5, 2)), 3, np.random.default_rng(0)).tolist() == [0] * 5


def test_wrong_calls_say_what_is_wrong() -> None:
    """No other task, other numbers of classes, more clusters than points."""
    two = TaskExamples(*bent(20, seed=1, n_classes=2)[:2])
    three = TaskExamples(*bent(20, seed=1)[:2])
    with pytest.raises(SettingError, match="no other task"):
        pooled("vector", [])
    with pytest.raises(SettingError, match="2 and with 3 classes"):
        pooled("vector", [two, three])
    with pytest.raises(SettingError, match="same number of classes"):
        learned("vector", [two, three])
    with pytest.raises(SettingError, match="not 9"):
        clusters(np.zeros((5, 2)), 9, np.random.default_rng(0))
