"""Majority vote."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quorate.consensus.majority import BOUNDS, Majority, MajorityModel
from quorate.errors import DataError, NotFittedError, SchemaError, SettingError
from unit.consensus.build import coded_from, simulated

CLASSES = {"t": ("a", "b", "c")}
ROWS = [
    ("i1", "t", "p1", "a"), ("i1", "t", "p2", "a"), ("i1", "t", "p3", "b"),
    ("i2", "t", "p1", "b"), ("i2", "t", "p2", "c"),
    ("i3", "t", "p1", "b"), ("i3", "t", "p3", "b"),
]  # fmt: skip


def brute_force(rows: list, shares: dict[str, float], smoothing: float) -> float:
    """Leave-one-out log likelihood, label by label, of items with two labels or more."""
    total = 0.0
    for item, _, annotator, label in rows:
        others = [r[3] for r in rows if r[0] == item and r[2] != annotator]
        if others:
            total += np.log((others.count(label) + smoothing * shares[label]) / (len(others) + smoothing))
    return total


def test_probabilities_are_vote_shares_smoothed_by_the_class_shares():
    """P(k) = (n_k + a pi_k) / (n + a), and pi counts one more vote per class."""
    model = Majority(smoothing=2.0).fit(coded_from(ROWS, CLASSES))
    shares = np.array([3, 5, 2]) / 10
    np.testing.assert_allclose(model.tasks[0].shares, shares)
    probs = model.predict(coded_from(ROWS, CLASSES)).probs("t")
    np.testing.assert_allclose(probs[0], (np.array([2, 1, 0]) + 2 * shares) / 5)


def test_without_smoothing_they_are_the_vote_shares():
    """No smoothing gives n_k / n, and pi where nobody voted."""
    coded = coded_from(ROWS, CLASSES, items=["nobody"])
    probs = Majority(smoothing=0.0).fit(coded).predict(coded).probs("t")
    np.testing.assert_allclose(probs, [[0.3, 0.5, 0.2], [2 / 3, 1 / 3, 0], [0, 0.5, 0.5], [0, 1, 0]], atol=1e-11)


@pytest.mark.parametrize("seed", range(3))
def test_the_learned_smoothing_is_the_best_one_in_the_bounds(seed):
    """No smoothing in the bounds predicts the left-out labels better, by a likelihood written label by label."""
    world = simulated(seed)
    model = Majority().fit(world.coded())
    shares = dict(zip(world.classes["t"], model.tasks[0].shares, strict=True))
    best = brute_force(world.rows, shares, model.tasks[0].label_smoothing)
    assert best == pytest.approx(model.fit.objective[-1], rel=1e-12)
    grid = np.geomspace(*BOUNDS, 50)
    assert best >= max(brute_force(world.rows, shares, a) for a in grid) - 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_a_learned_smoothing_never_overturns_a_majority(seed):
    """Where one class has more votes than each other, it is the answer, however rare the class and poor the voters."""
    world = simulated(seed, n_items=300, diagonal=0.5, n_classes=4)
    model = Majority().fit(world.coded())
    counts = world.coded().counts(0)
    clear = ~model.ties(world.coded())[:, 0] & counts.any(axis=1)
    assert model.tasks[0].label_smoothing > model.tasks[0].smoothing
    assert (model.predict(world.coded()).label_codes("t") == counts.argmax(axis=1))[clear].all()


def test_a_single_vote_per_item_teaches_no_smoothing():
    """Nothing can be left out: the smoothing is one vote."""
    model = Majority().fit(coded_from([("i1", "t", "p", "a"), ("i2", "t", "p", "b")], CLASSES))
    assert model.tasks[0].smoothing == 1.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", [Majority(), Majority(smoothing=0.0), Majority(who="all")])
def test_rows_and_columns_never_decide(seed, options):
    """Shuffled rows, and classes listed in another order, give the same labels and probabilities by name."""
    world = simulated(seed, n_models=2)
    rng = np.random.default_rng(seed)
    first = options.fit(world.coded()).predict(world.coded()).probs("t")
    rows = [world.rows[j] for j in rng.permutation(len(world.rows))]
    turned = rng.permutation(3)
    classes = {"t": [world.classes["t"][k] for k in turned]}
    coded = coded_from(rows, classes, outputs=world.outputs[::-1], items=world.items)
    np.testing.assert_allclose(options.fit(coded).predict(coded).probs("t"), first[:, turned], atol=1e-7)
    alike = coded_from(rows, world.classes, outputs=world.outputs[::-1], items=world.items)
    assert (options.fit(alike).predict(alike).probs("t") == first).all()


def test_a_tie_goes_to_the_more_frequent_class_and_then_to_the_first():
    """i2 is tied between b and c, b being more frequent; with equal shares the first class in order wins."""
    coded = coded_from(ROWS, {"t": ("c", "b", "a")})
    for smoothing in (0.0, 0.5, None):
        model = Majority(smoothing=smoothing).fit(coded)
        assert model.predict(coded).table().column("label").to_pylist() == ["a", "b", "b"]
    even = coded_from([("i1", "t", "p", "b"), ("i1", "t", "q", "a")], {"t": ("a", "b")})
    assert Majority().fit(even).predict(even).table().column("label").to_pylist() == ["a"]


def test_ties_are_told():
    """A boolean per item and task, and a note with their number; items without votes are no ties."""
    coded = coded_from(ROWS, CLASSES, items=["nobody"])
    model = Majority().fit(coded)
    assert model.ties(coded).tolist() == [[False], [False], [True], [False]]
    assert any("1 of 4 items are tied" in note for note in model.predict(coded).notes)


def test_models_vote_only_where_all_are_asked():
    """who="all" counts every model's hard answer as one vote; the labels counted as people's stay people's."""
    coded = coded_from(ROWS, CLASSES, outputs=[("i2", "t", "m", "c"), ("i3", "t", "m", {"a": 0.9, "b": 0.1, "c": 0.0})])
    alone = Majority(smoothing=0.0).fit(coded).predict(coded)
    both = Majority(who="all", smoothing=0.0).fit(coded).predict(coded)
    np.testing.assert_allclose(alone.probs("t")[1], [0, 0.5, 0.5], atol=1e-11)
    np.testing.assert_allclose(both.probs("t")[1], [0, 1 / 3, 2 / 3], atol=1e-11)
    np.testing.assert_allclose(both.probs("t")[2], [1 / 3, 2 / 3, 0], atol=1e-11)
    assert both.n_labels("t").tolist() == [3, 2, 2]
    assert both.agents_seen is not None
    assert both.agents_seen.all()


@pytest.mark.parametrize("who", ["people", "all"])
def test_a_held_out_label_is_predicted_by_the_data_without_it(who):
    """held_out equals a prediction on the same data with that one label taken away."""
    world = simulated(4, n_models=1)
    coded = world.coded()
    model = Majority(who=who).fit(coded)
    held = model.held_out(coded, np.arange(0, len(world.rows), 5), "others")
    for position, probs in zip(held.positions[0], held.latent[0], strict=True):
        keep = np.arange(len(world.rows)) != position
        item = int(np.searchsorted(coded.labels.start, position, side="right")) - 1
        np.testing.assert_allclose(probs, model.predict(coded.keep_labels(keep)).probs("t")[item])


@pytest.mark.parametrize("who", ["people", "all"])
def test_the_evidence_alone_is_the_data_without_labels(who):
    """Given the evidence, people's votes say nothing: class shares, or the models' votes."""
    coded = simulated(5, n_models=2).coded()
    model = Majority(who=who).fit(coded)
    held = model.held_out(coded, np.arange(10), "evidence")
    item = np.searchsorted(coded.labels.start, np.arange(10), side="right") - 1
    np.testing.assert_allclose(held.latent[0], model.predict(coded.without_labels()).probs("t")[item])


@pytest.mark.parametrize("who", ["people", "all"])
def test_a_session_is_the_batch(who):
    """Label after label the session equals the prediction on a batch with these labels."""
    world = simulated(6, n_models=2)
    model = Majority(who=who).fit(world.coded())
    session = model.session({"t": {"m0": "b", "m1": {"a": 0.2, "b": 0.1, "c": 0.7}, "stranger": "a"}}, item="i")
    outputs = [("i", "t", "m0", "b"), ("i", "t", "m1", {"a": 0.2, "b": 0.1, "c": 0.7})]
    rows = []
    for annotator, label in [("p0", "a"), ("new", "c"), ("p2", "c")]:
        session.update("t", annotator, label)
        rows.append(("i", "t", annotator, label))
        batch = model.predict(coded_from(rows, world.classes, outputs=outputs))
        np.testing.assert_allclose(session.probs("t"), batch.probs("t")[0], rtol=1e-12)
        assert session.consensus().table().equals(batch.table())


def test_a_session_refuses_what_it_cannot_place():
    """An unknown task, an unknown class and a second answer of one person are errors that say what to do."""
    session = Majority().fit(coded_from(ROWS, CLASSES)).session()
    with pytest.raises(SchemaError, match="no task 'other'"):
        session.update("other", "p", "a")
    with pytest.raises(SchemaError, match=r"no class 'd'.*'a', 'b', 'c'"):
        session.update("t", "p", "d")
    session.update("t", "p", "a")
    with pytest.raises(DataError, match="already answered"):
        session.update("t", "p", "b")
    assert session.consensus().n_labels("t").tolist() == [1]


def test_without_any_vote_the_classes_are_equally_likely_and_it_says_so():
    """Status 'prior only', even shares, a note."""
    coded = coded_from([], CLASSES, items=["i1", "i2"])
    model = Majority().fit(coded)
    assert model.fit.status == "prior only"
    assert "no votes" in model.fit.notes[0]
    np.testing.assert_allclose(model.predict(coded).probs("t"), 1 / 3)


def test_it_offers_neither_a_panel_nor_gold():
    """Vote shares are no rows for people: the target is the latent class."""
    consensus = Majority().fit(coded_from(ROWS, CLASSES)).predict(coded_from(ROWS, CLASSES))
    assert [target.kind for target in consensus.targets] == ["latent"]
    for target in (consensus.gold, lambda: consensus.panel(3)):
        with pytest.raises(NotFittedError):
            target()


def test_a_model_comes_back_from_its_state():
    """Arrays and JSON settings rebuild a model with the same answers."""
    coded = simulated(7, n_models=1).coded()
    model = Majority(who="all").fit(coded)
    arrays, settings = model.state()
    again = MajorityModel.from_state(arrays, json.loads(json.dumps(settings)))
    assert again.predict(coded).table().equals(model.predict(coded).table())
    assert again.fit == model.fit
    assert again.options == model.options


def test_no_items_at_all_are_no_trouble():
    """An empty data set can be fitted and predicted, and so can one without tasks."""
    empty = coded_from([], {"t": "ab"})
    model = Majority().fit(empty)
    assert model.predict(empty).table().num_rows == 0
    assert model.held_out(empty, np.zeros(0, np.int64), "others").label[0].shape == (0, 2)
    assert Majority().fit(coded_from([], {}, items=["i"])).predict(coded_from([], {}, items=["i"])).items == ("i",)


@pytest.mark.parametrize("settings", [{"smoothing": -1.0}, {"smoothing": float("nan")}])
def test_settings_outside_their_range_are_refused(settings):
    """A SettingError names the option."""
    with pytest.raises(SettingError, match=next(iter(settings))):
        Majority(**settings)


def test_progress_is_told():
    """The share done and the task in hand."""
    told = []
    Majority().fit(coded_from(ROWS, CLASSES), progress=lambda share, what: told.append((share, what)))
    assert told == [(0.0, "majority: t")]
