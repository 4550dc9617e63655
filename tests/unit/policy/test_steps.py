"""Laws of the states after each label: what they hold, who predicted them, and that names and places mean nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quorate.consensus.dawid_skene import DawidSkene
from quorate.consensus.majority import Majority
from quorate.data.encode import Coded
from quorate.errors import DataError, SettingError
from quorate.evaluate.protocol import aimed, n_labels, shuffled, truth_of
from quorate.evaluate.protocol import replay as protocol_replay
from quorate.policy.prices import Prices
from quorate.policy.steps import Steps, cross_fitted, fitted_folds, joined, of_folds, select, steps_of, sureness_of
from quorate.policy.stopping import POLICIES, FixedOverlap, MajorityAgreement, PerTaskConfidence, Policy
from quorate.simulate.world import world
from unit.consensus.build import coded_from

BY_STEP = ("confidence", "entropy", "joint", "largest", "credit", "loss", "cost")


@pytest.fixture(scope="module")
def ragged() -> Coded:
    """Sixty items of ten tasks with models, no item-task with the same number of labels as the next."""
    full = world("paper", 60).coded()
    return full.keep_labels(np.random.default_rng(3).random(len(full.labels.code)) < 0.7)


@pytest.fixture(scope="module")
def steps(ragged: Coded) -> Steps:
    """The states under a majority of people and models."""
    return steps_of(Majority(who="all").fit(ragged), ragged, truth_of(ragged), Prices(0.5))


def test_quality_and_confidence_are_those_of_the_protocol(ragged: Coded, steps: Steps) -> None:
    """The same states, so that policies and comparisons of estimators speak of one thing."""
    there = protocol_replay(Majority(who="all").fit(ragged), ragged, truth_of(ragged))
    np.testing.assert_array_equal(steps.confidence, there.confidence)
    np.testing.assert_array_equal(steps.credit, there.credit)
    np.testing.assert_array_equal(steps.loss, there.loss)


def test_cost_rises_from_nothing_to_the_price_of_all_labels(ragged: Coded, steps: Steps) -> None:
    """Step j costs j labels, where there are so many."""
    bought = np.minimum(np.arange(len(steps.cost))[:, None, None], n_labels(ragged))
    np.testing.assert_allclose(steps.cost, 0.5 * bought, atol=1e-12)


def test_the_cost_of_a_step_is_that_of_the_labels_bought_first() -> None:
    """In the order of arrival, not on average."""
    rows = [("i", "t", "dear", "a"), ("i", "t", "cheap", "a"), ("j", "t", "cheap", "b"), ("j", "t", "dear", "b")]
    coded = coded_from(rows, {"t": ("a", "b")})
    prices = Prices(1.0, of_annotator={"dear": 5.0})
    found = steps_of(Majority().fit(coded), coded, truth_of(coded), prices)
    assert found.cost[:, :, 0].tolist() == [[0.0, 0.0], [5.0, 1.0], [6.0, 6.0]]


@pytest.mark.parametrize("name", list(POLICIES))
def test_policies_are_as_sure_of_a_step_as_of_its_consensus(name: str, ragged: Coded) -> None:
    """The states hold all that our policies look at; votes on models' scores make every state another."""
    settings = {"labels": 2} if name == "fixed-overlap" else {"share": 0.7} if name == "majority-agreement" else None
    kind: Policy = POLICIES[name](**(settings or {"threshold": 0.8}))
    model, truth = DawidSkene().fit(ragged), truth_of(ragged)
    found = sureness_of(kind, steps_of(model, ragged, truth))
    for j, sureness in enumerate(found):
        consensus = aimed(model.predict(ragged.first_labels(j)), ragged, truth)
        np.testing.assert_allclose(sureness, kind.sureness(consensus), atol=1e-12)


def test_a_policy_that_is_not_ours_is_refused_by_name(steps: Steps) -> None:
    """The states cannot know what it looks at."""

    class Strange(PerTaskConfidence):
        name = "strange"

    with pytest.raises(SettingError, match="'strange'"):
        sureness_of(Strange(0.5), steps)


def test_selecting_items_selects_all_that_is_known_of_them(steps: Steps) -> None:
    """In the order asked for; a selection of a selection is one of the whole."""
    few = select(steps, np.array([7, 2, 9]))
    assert few.items == tuple(steps.items[i] for i in (7, 2, 9))
    for name in BY_STEP:
        np.testing.assert_array_equal(getattr(few, name), getattr(steps, name)[:, [7, 2, 9]])
    np.testing.assert_array_equal(few.n_labels, steps.n_labels[[7, 2, 9]])
    np.testing.assert_array_equal(select(few, np.array([1])).counted, steps.counted[[2]])


def test_a_part_with_fewer_steps_stays_as_it_ended(ragged: Coded, steps: Steps) -> None:
    """Joined to a longer one, its last state is repeated."""
    short = steps_of(Majority().fit(ragged), ragged.first_labels(2), truth_of(ragged))
    both = joined([short, steps])
    assert len(both.confidence) == len(steps.confidence)
    for name in BY_STEP:
        last = np.repeat(getattr(short, name)[-1:], len(steps.confidence) - 2, axis=0)
        np.testing.assert_array_equal(getattr(both, name)[2:, : len(short.items)], last)
    assert both.items == short.items + steps.items


# ---- cross-fitted ---------------------------------------------------------------------------------------------------
def test_no_item_is_judged_by_a_model_that_saw_it(ragged: Coded) -> None:
    """Changing the labels of an item leaves the parameters that judge it alone: its state without labels stays."""
    before = cross_fitted(ragged, Majority())
    item = 11
    start = ragged.labels.start
    code = ragged.labels.code.copy()
    lo, hi = start[item * 10], start[(item + 1) * 10]
    code[lo:hi] = (code[lo:hi] + 1) % 3
    after = cross_fitted(replace(ragged, labels=ragged.labels._replace(code=code)), Majority())
    np.testing.assert_array_equal(before.confidence[0, item], after.confidence[0, item])
    assert (before.confidence[0] != after.confidence[0]).any()  # the other half learns from it


def test_all_items_come_back_in_their_order(ragged: Coded) -> None:
    """Each once, with its own number of labels."""
    found = cross_fitted(ragged, Majority())
    assert found.items == ragged.items
    np.testing.assert_array_equal(found.n_labels, n_labels(ragged))


def test_the_halves_are_replayed_by_the_models_that_the_others_taught(ragged: Coded) -> None:
    """Together they are what `cross_fitted` gives."""
    folds = fitted_folds(ragged, Majority())
    assert sorted(np.concatenate([fold.place for fold in folds]).tolist()) == list(range(60))
    whole, parts = cross_fitted(ragged, Majority()), of_folds(folds)
    for name in BY_STEP:
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_names_of_items_and_annotators_mean_nothing(ragged: Coded) -> None:
    """Relabeling only relabels: folds, order and states hang on places."""
    renamed = replace(
        ragged,
        items=tuple(f"z{i * 7 % 60}" for i in range(60)),
        annotators=tuple(f"w{a}" for a in reversed(range(len(ragged.annotators)))),
    )
    one, other = (cross_fitted(each, DawidSkene(), order="shuffled", seed=4) for each in (ragged, renamed))
    for name in BY_STEP:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert other.items == renamed.items


def test_shuffles_of_one_seed_are_the_same_and_of_another_are_not(ragged: Coded) -> None:
    """The seed decides the order of labels; arrival needs none."""
    truth, model = truth_of(ragged), Majority().fit(ragged)
    by_seed = [
        steps_of(model, shuffled(ragged, np.random.default_rng(seed)), truth).confidence[1] for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(by_seed[0], by_seed[1])
    assert (by_seed[0] != by_seed[2]).any()
    found = [cross_fitted(ragged, Majority(), order="shuffled", seed=seed).confidence for seed in (1, 1)]
    np.testing.assert_array_equal(*found)


def test_the_order_of_labels_leaves_the_halves_alone(ragged: Coded) -> None:
    """Shuffled or not, the same items teach, so that two orders differ by the order alone."""
    arrived, mixed = (fitted_folds(ragged, Majority(), order=order) for order in ("arrival", "shuffled"))
    for one, other in zip(arrived, mixed, strict=True):
        np.testing.assert_array_equal(one.place, other.place)


def test_items_that_nobody_labeled_are_not_replayed_but_their_gold_teaches() -> None:
    """There is nothing to buy for them."""
    rows = [(f"i{n}", "t", person, "ab"[n % 2]) for n in range(8) for person in "pq"]
    gold = [(f"i{n}", "t", "ab"[n % 2]) for n in range(8)] + [("extra", "t", "a")]
    coded = coded_from(rows, {"t": ("a", "b")}, gold=gold)
    lessons: list[Coded] = []

    class Watched(Majority):
        def fit(self, data, *, progress=None):
            lessons.append(data)
            return super().fit(data, progress=progress)

    assert "extra" not in cross_fitted(coded, Watched()).items
    assert all("extra" in lesson.items for lesson in lessons)
    assert all(fold.judge.gold.max() == -1 for fold in fitted_folds(coded, Watched()))


def test_a_sample_is_of_the_size_asked_for(ragged: Coded) -> None:
    """At most so many items, the same for one seed."""
    found = [cross_fitted(ragged, Majority(), most_items=20, seed=seed).items for seed in (0, 0, 1)]
    assert len(found[0]) == 20
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("i", "t", "p", "a")], "people labeled 1 items"),
        ([("i", "t", "p", "a"), ("j", "t", "p", "a")], "nothing says which answers are right"),
    ],
)
def test_too_little_to_replay_is_one_clear_error(rows: list[tuple[str, str, str, str]], says: str) -> None:
    """It says what is missing and how to mend it."""
    with pytest.raises(DataError, match=says):
        cross_fitted(coded_from(rows, {"t": ("a", "b")}), Majority())


def test_progress_runs_from_start_to_end(ragged: Coded) -> None:
    """Shares never fall, and stay between 0 and 1."""
    shares: list[float] = []
    cross_fitted(ragged, Majority(), progress=lambda share, _what: shares.append(share))
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1


def test_agreement_and_overlap_count_labels(steps: Steps) -> None:
    """At step j an item-task has j labels, or all it has."""
    bought = np.minimum(np.arange(len(steps.cost))[:, None, None], steps.n_labels)
    np.testing.assert_array_equal(sureness_of(FixedOverlap(1), steps), bought)
    agreed = sureness_of(MajorityAgreement(0.5, fewest=2, most=4), steps)
    assert (agreed[bought < 2] == -1).all()
    assert (agreed[bought >= 4] == 1).all()
    shared = (bought >= 2) & (bought < 4)
    np.testing.assert_allclose(agreed[shared], (steps.largest / np.maximum(bought, 1))[shared])
