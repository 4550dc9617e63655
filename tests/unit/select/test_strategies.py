"""Laws of the strategies that choose what people see next."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import SettingError
from quorate.select import names
from quorate.select.change import expected_gradient_length
from quorate.select.committee import jensen_shannon, vote_entropy
from quorate.select.diversity import k_center, k_means_pp
from quorate.select.information import information
from quorate.select.names import STRATEGIES
from quorate.select.points import Embedded, Gradients
from quorate.select.strategies import BY_BATCH, BY_SCORE, Pool, select
from quorate.select.uncertainty import entropy, least_confidence, margin, nats

ITEMS, CLASSES, DIMENSIONS = 60, 4, 5


def pool_of(seed: int, *, labeled: float = 0.2, **chosen) -> Pool:
    """Items with everything that strategies may need."""
    rng = np.random.default_rng(seed)
    return Pool(
        probs=rng.dirichlet(np.full(CLASSES, 0.5), ITEMS),
        rows=rng.normal(size=(ITEMS, DIMENSIONS)),
        committee=rng.dirichlet(np.full(CLASSES, 0.5), (3, ITEMS)),
        worth=rng.normal(size=ITEMS),
        labeled=rng.random(ITEMS) < labeled,
        **chosen,
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(seed=st.integers(0, 10**6), n=st.integers(1, ITEMS + 5))
@settings(max_examples=15, deadline=None)
def test_no_item_twice_and_none_that_is_labeled(strategy, seed, n):
    """A batch holds free items only, each once, as many as asked or as there are; the same seed gives the same."""
    pool = pool_of(seed)
    places = select(strategy, pool, n, seed=seed).places
    assert len(set(places.tolist())) == len(places) == min(n, int(pool.free.sum()))
    assert pool.free[places].all()
    assert places.tolist() == select(strategy, pool, n, seed=seed).places.tolist()


@pytest.mark.parametrize("strategy", BY_SCORE)
@pytest.mark.parametrize("spread", [False, True])
def test_the_order_of_items_does_not_matter(strategy, spread):
    """Scores without ties choose the same items, however they are arranged; a spread batch stays among the best."""
    pool, turned = pool_of(1), np.random.default_rng(2).permutation(ITEMS)
    moved = Pool(
        pool.probs[turned], pool.rows[turned], pool.committee[:, turned], pool.worth[turned], pool.labeled[turned]
    )
    here, there = select(strategy, pool, 4, spread=spread), select(strategy, moved, 4, spread=spread)
    if not spread and strategy != "vote-entropy":  # three votes tie
        assert here.places.tolist() == turned[there.places].tolist()
    best = np.sort(BY_SCORE[strategy](pool)[pool.free])[::-1]
    assert (here.criterion >= best[39 if spread else 3] - 1e-12).all()


def test_uncertainty_is_largest_at_even_and_none_at_certain():
    """All three are 0 for a certain item, 1 for an even one, and blind to the order of classes."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(CLASSES), 200)
    for measure in (least_confidence, margin, entropy):
        assert measure(np.eye(3)).tolist() == [0.0, 0.0, 0.0]
        assert measure(np.full((1, 3), 1 / 3)) == pytest.approx([1.0])
        assert measure(probs[:, ::-1].copy()) == pytest.approx(measure(probs))
        assert ((measure(probs) >= 0) & (measure(probs) <= 1)).all()


def test_members_that_agree_tell_nothing():
    """Disagreement is 0 where all say the same, however unsure, and log 2 between two that are certain."""
    same = np.tile(np.array([[0.6, 0.4]]), (3, 1, 1))
    assert jensen_shannon(same) == pytest.approx([0.0], abs=1e-12)
    assert vote_entropy(np.array([[1], [1], [-1]]), 2).tolist() == [0.0]
    opposed = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert jensen_shannon(opposed) == pytest.approx([np.log(2)])


def test_information_is_what_entropy_loses_in_expectation():
    """H(truth) less the mean of H(truth | answer), by Bayes' rule, to rounding; never more than either entropy."""
    rng = np.random.default_rng(3)
    probs, rows = rng.dirichlet(np.ones(3), 50), rng.dirichlet(np.ones(3), 3)
    joint = probs[:, :, None] * rows  # item, truth, answer
    left = (joint.sum(axis=1) * nats(np.swapaxes(joint / joint.sum(axis=1, keepdims=True), 1, 2))).sum(axis=1)
    assert information(probs, rows) == pytest.approx(nats(probs) - left)
    assert (information(probs, np.eye(3)) >= information(probs, rows)).all()


def test_the_gradient_is_that_of_a_softmax_layer():
    """Expected lengths equal those of gradients that finite differences give, label by label."""
    rng = np.random.default_rng(4)
    x, weights = rng.normal(size=3), rng.normal(size=(CLASSES, 4))
    inputs = np.append(x, 1.0)

    def loss(w, label):
        logits = w @ inputs
        return np.log(np.exp(logits).sum()) - logits[label]

    logits = weights @ inputs
    probs = np.exp(logits) / np.exp(logits).sum()
    lengths = []
    for label in range(CLASSES):
        gradient = np.zeros_like(weights)
        for at in np.ndindex(weights.shape):
            step = np.zeros_like(weights)
            step[at] = 1e-6
            gradient[at] = (loss(weights + step, label) - loss(weights - step, label)) / 2e-6
        lengths.append(np.linalg.norm(gradient))
    assert expected_gradient_length(probs[None], x[None])[0] == pytest.approx(probs @ lengths, rel=1e-6)


def test_gradients_are_never_made_and_lie_where_they_would():
    """Distances of the factors equal those of the outer products."""
    pool = pool_of(5)
    errors = pool.probs.copy()
    errors[np.arange(ITEMS), pool.probs.argmax(axis=1)] -= 1
    made = np.einsum("ic,id->icd", errors, np.column_stack([pool.rows, np.ones(ITEMS)])).reshape(ITEMS, -1)
    points = Gradients(pool.probs, pool.rows)
    for place in (0, 17):
        assert points.squared_to(place) == pytest.approx(((made - made[place]) ** 2).sum(axis=1), abs=1e-9)
    assert points.squared() == pytest.approx((made**2).sum(axis=1))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_core_set_covers_at_most_twice_as_wide_as_the_best(seed):
    """Of all sets of three, found by trying all, the best is at least half as wide [gonzalez1985]."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(11, 2))
    chosen = k_center(Embedded(rows), np.ones(11, bool), np.zeros(0, np.int64), 3, rng)
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    best = min(apart[:, list(three)].min(axis=1).max() for three in combinations(range(11), 3))
    assert apart[:, chosen].min(axis=1).max() <= 2 * best + 1e-9


def test_seeding_draws_by_squared_distance():
    """With one item taken the next is drawn with chance as the squared distance, within 4 standard errors."""
    rows = np.array([[0.0], [1.0], [2.0], [3.0]])
    points, free, taken = Embedded(rows), np.array([False, True, True, True]), np.array([0])
    rng, n = np.random.default_rng(6), 4000
    counts = np.bincount([k_means_pp(points, free, taken, 1, rng)[0] for _ in range(n)], minlength=4)
    wanted = np.array([0, 1, 4, 9]) / 14
    assert np.abs(counts - n * wanted).max() < 4 * np.sqrt(n * wanted * (1 - wanted)).max()


def test_copies_are_chosen_last():
    """A batch that spreads takes no item twice over while unlike ones are left."""
    rows = np.repeat(np.eye(4), 10, axis=0)
    pool = Pool(probs=np.full((40, 2), 0.5), rows=rows)
    for strategy in ("core-set", "k-means++", "hybrid"):
        chosen = select(strategy, pool, 4, seed=1).places
        assert len({tuple(rows[place]) for place in chosen}) == 4, strategy
    assert len(select("k-means++", pool, 12).places) == 12


def test_the_hybrid_is_a_weighted_sum():
    """One item at a time it is the source's formula; at weight 1 it is entropy, at weight 0 the core-set."""
    pool = pool_of(7)
    direction = pool.rows / np.linalg.norm(pool.rows, axis=1, keepdims=True)
    away = (1 - direction[pool.free] @ direction[pool.taken].T).min(axis=1)
    unsure = entropy(pool.probs)[pool.free]
    combined = 0.6 * unsure + 0.4 * away / away.max()
    assert select("hybrid", pool, 1).places[0] == np.flatnonzero(pool.free)[combined.argmax()]
    assert select("hybrid", pool, 5, weight=1.0).places.tolist() == select("entropy", pool, 5).places.tolist()
    assert select("hybrid", pool, 5, weight=0.0).places.tolist() == select("core-set", pool, 5).places.tolist()


def test_embeddings_are_read_in_chunks_from_a_file(tmp_path, monkeypatch):
    """A memory-mapped file chooses what the array chooses."""
    pool = pool_of(8)
    np.save(tmp_path / "rows.npy", pool.rows)
    monkeypatch.setattr("quorate.select.points.CHUNK", 7)
    mapped = Pool(probs=pool.probs, rows=np.load(tmp_path / "rows.npy", mmap_mode="r"), labeled=pool.labeled)
    for strategy in ("core-set", "badge", "hybrid"):
        assert select(strategy, mapped, 9).places.tolist() == select(strategy, pool, 9).places.tolist()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "a pool needs"),
        ({"probs": np.array([[0.5, 0.2]])}, "no probabilities"),
        ({"probs": np.full((2, 2), 0.5), "rows": np.ones((3, 1))}, "not of the same items"),
        ({"worth": np.array([np.nan])}, "no number"),
    ],
)
def test_a_pool_that_is_none_is_refused(given, problem):
    """One error that says what is wrong."""
    with pytest.raises(SettingError, match=problem):
        Pool(**given)


def test_what_a_strategy_needs_is_said():
    """Missing embeddings, numbers that are none, an unknown name."""
    pool = Pool(probs=np.full((2, 2), 0.5))
    with pytest.raises(SettingError, match="needs embeddings"):
        select("hybrid", pool, 1)
    with pytest.raises(SettingError, match="no strategy 'best'"):
        select("best", pool, 1)
    with pytest.raises(SettingError, match="embedding of item 2"):
        select("core-set", Pool(rows=np.array([[1.0], [np.nan]])), 1)


def test_the_names_are_those_of_the_strategies() -> None:
    """The command line lists names without loading the strategies; both say the same."""
    assert (*BY_SCORE, *BY_BATCH) == (*names.BY_SCORE, *names.BY_BATCH)
