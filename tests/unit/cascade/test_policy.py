"""Algorithm 2: a cascade at work, as it was fitted and as it was read back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from quorate.cascade.answers import NOTHING, Answers
from quorate.cascade.fit import FEWEST_ITEMS, Options, fit
from quorate.cascade.kept import Kept, from_file, from_json, to_file, to_json
from quorate.cascade.policy import Cascade
from quorate.cascade.tree import Node
from quorate.errors import DataError, NotFittedError, SettingError
from unit.cascade.simulated import said

BUDGET = Options(budget=4.0)


@pytest.fixture(scope="module")
def teach() -> Answers:
    return said(1200, seed=0)


@pytest.fixture(scope="module")
def cascade(teach: Answers) -> Cascade:
    return fit(teach, BUDGET).cascade


def test_an_item_pays_for_whom_it_called_and_no_more(cascade: Cascade) -> None:
    """Cost is the sum of the prices of the calls; nobody waits where all have spoken."""
    judge = said(500, seed=1)
    found = cascade.label(judge)
    np.testing.assert_allclose(found.cost, found.called @ judge.prices)
    assert (found.waits_for == -1).all()
    assert (found.label >= 0).all()
    assert found.called[:, :].any(axis=1).all()


def test_what_was_not_called_is_not_looked_at(cascade: Cascade) -> None:
    """Scores of agents that an item did not call may be anything, or absent."""
    judge = said(500, seed=2)
    found = cascade.label(judge)
    kind = np.where(found.called, judge.kind, NOTHING).astype(np.int8)
    scores = np.where(found.called[:, :, None], judge.scores, 0.0)
    again = cascade.label(replace(judge, kind=kind, scores=scores))
    np.testing.assert_array_equal(found.label, again.label)
    np.testing.assert_array_equal(found.called, again.called)
    assert not found.called.all()


def test_who_has_not_spoken_is_waited_for(cascade: Cascade) -> None:
    """The item keeps the best answer so far and says whom to call; without any answer it has no label."""
    judge = said(500, seed=3)
    whole = cascade.label(judge)
    dearest = int(np.flatnonzero(whole.called.any(axis=0))[-1])
    kind = judge.kind.copy()
    kind[:, dearest] = NOTHING
    found = cascade.label(replace(judge, kind=kind))
    np.testing.assert_array_equal(found.waits_for == dearest, whole.called[:, dearest])
    assert not found.called[:, dearest].any()
    nothing = cascade.label(replace(judge, kind=np.zeros_like(judge.kind)))
    assert (nothing.label == -1).all()
    assert (nothing.cost == 0).all()
    table = cascade.table(judge.items, nothing)
    assert table["label"].null_count == 500
    assert set(table["waits_for"].to_pylist()) == {cascade.agents[cascade.tree.call or 0].name}


def test_the_order_of_items_does_not_matter(cascade: Cascade) -> None:
    """Each is labeled by itself."""
    judge, turned = said(300, seed=4), np.random.default_rng(0).permutation(300)
    np.testing.assert_array_equal(cascade.label(judge).label[turned], cascade.label(judge.select(turned)).label)


def test_the_budget_holds_on_other_items_within_its_error(cascade: Cascade) -> None:
    """Mean cost is what the fit promised."""
    cost = cascade.label(said(4000, seed=5)).cost
    assert cost.mean() <= 4.0 + 4 * cost.std() * (1 / 4000 + 1 / 1200) ** 0.5


def test_the_default_is_as_right_as_the_best_for_less(teach: Answers) -> None:
    """Within a few errors of calling all and combining, and not dearer."""
    judge = said(4000, seed=6)
    found = fit(teach).cascade
    labeled, probs = found.label(judge), found.pool.learned(0b111, _read(found, judge))
    apart = (labeled.label == judge.truth) * 1.0 - (probs.argmax(axis=1) == judge.truth)
    assert apart.mean() > -5 * apart.std() / 1200**0.5
    assert labeled.cost.mean() < judge.prices.sum()


def test_a_person_is_called_where_models_are_unsure() -> None:
    """The dearest agent, gold-like but imperfect, is paid for fewer items and makes them better."""
    weak = (0.4, 0.8, 1.2)
    teach, judge = said(1500, seed=7, skill=weak, person=True), said(3000, seed=8, skill=weak, person=True)
    cascade = fit(teach, Options(budget=16.0)).cascade
    found = cascade.label(judge)
    asked = found.called[:, -1]
    assert 0.1 < asked.mean() < 0.54  # a person costs 30
    models = cascade.pool.learned(0b111, _read(cascade, judge))
    unsure = models.max(axis=1)
    assert unsure[asked].mean() < unsure[~asked].mean()
    assert (found.label == judge.truth).mean() > (models.argmax(axis=1) == judge.truth).mean()


@pytest.mark.slow
def test_noise_teaches_nothing() -> None:
    """With truth drawn at random no cascade is right beyond chance on other items: nothing leaks."""
    from quorate.cascade.table import CASCADE, cross_judged

    answers = said(900, seed=9)
    lost = replace(answers, truth=np.random.default_rng(0).integers(0, 3, 900))
    rows = {row.name: row for row in cross_judged(lost, BUDGET, n_folds=3, resamples=20).rows}
    right = rows[CASCADE].of["accuracy"]
    assert right is not None
    assert abs(right.estimate - 1 / 3) < 4 * (2 / 9 / 900) ** 0.5


def test_a_consensus_can_answer_and_is_kept_with_the_cascade(teach: Answers) -> None:
    """With calibrated Dawid-Skene as the estimator, through JSON, label by label."""
    options = Options(strategies=("single", "consensus"), estimator="calibrated-dawid-skene", budget=6.0)
    cascade = fit(teach.select(np.arange(400)), options).cascade
    again = from_json(json.loads(json.dumps(to_json([Kept(cascade, {})]))))[0].cascade
    judge = said(300, seed=10)
    np.testing.assert_array_equal(cascade.label(judge).label, again.label(judge).label)
    assert "consensus" in json.dumps(cascade.tree.to_json())


def test_a_cascade_reads_back_the_same(cascade: Cascade, tmp_path) -> None:
    """Labels, confidences, calls and figures."""
    to_file([Kept(cascade, {"items": 3})], tmp_path / "c.json")
    again = from_file(tmp_path / "c.json")[0]
    judge = said(500, seed=11)
    for one, other in zip(cascade.label(judge), again.cascade.label(judge), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.figures == {"items": 3}
    assert again.cascade.cost_weight == cascade.cost_weight


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda value: value.update(version=99), "version 99"),
        (lambda value: value.update(kind="other"), "no cascade"),
        (lambda value: value["cascades"][0].pop("tree"), "incomplete or altered"),
        (lambda value: value["cascades"][0]["agents"].pop(), "incomplete or altered"),
        (lambda value: value["cascades"][0]["tree"].update(call=7), "incomplete or altered"),
        (lambda value: value["cascades"][0]["tree"]["then"].pop(), "incomplete or altered"),
        (lambda value: value["cascades"][0]["tree"].update(edges=[0.9, 0.1]), "incomplete or altered"),
        (lambda value: value["cascades"][0].update(combinations={}), "incomplete or altered"),
        (lambda value: value["cascades"][0].update(signal="other"), "incomplete or altered"),
    ],
)
def test_a_file_that_was_altered_is_refused(change, says: str, cascade: Cascade, tmp_path) -> None:
    """With the file's name and a mend, never a traceback of its insides."""
    value = to_json([Kept(cascade, {})])
    value = json.loads(json.dumps(value))
    change(value)
    (tmp_path / "bad.json").write_text(json.dumps(value))
    with pytest.raises(DataError, match=says) as told:
        from_file(tmp_path / "bad.json")
    assert "bad.json" in str(told.value)


def test_a_node_without_its_bins_is_none() -> None:
    """As many bins as edges and one."""
    with pytest.raises(ValueError, match="bins"):
        Node.from_json({"n": 1, "right": None, "call": 0, "edges": [0.5], "then": []})


def test_too_few_items_are_told_with_what_would_do() -> None:
    """How many there are and how many are needed."""
    with pytest.raises(NotFittedError, match=f"{FEWEST_ITEMS} are needed"):
        fit(said(FEWEST_ITEMS - 1, seed=0))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cost_weight": 1.0, "budget": 1.0}, "not both"),
        ({"calibration": "oracle"}, "no calibration 'oracle'"),
        ({"most_bins": 0}, "most_bins must be at least 1"),
        ({"smoothing": -1.0}, "smoothing must be at least 0"),
        ({"budget": float("nan")}, "budget must be"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, object], says: str) -> None:
    """Option, value and what is known."""
    with pytest.raises(SettingError, match=says):
        Options(**options)  # pyright: ignore[reportArgumentType]


def _read(cascade: Cascade, answers: Answers) -> np.ndarray:
    from quorate.cascade.readings import read

    return read(answers, cascade.readings)
