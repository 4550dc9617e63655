"""Budgets, draws, answers and what comes out of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.act.answers import Said, answers_table, decided, joined, read_answers
from quorate.act.budget import RULES
from quorate.act.foretold import curve, foretell
from quorate.act.labels import MachineLabel
from quorate.act.review import Budget, Plan, corrected, corrected_table, parse_budget, planned
from quorate.errors import DataError, SettingError
from quorate.schema import Schema, Task

SCHEMA = Schema((Task("tone", ("calm", "angry", "cold")),))


def machine(n: int, label: str = "calm") -> list[MachineLabel]:
    return [MachineLabel(f"i{k:04}", "tone", "m", label) for k in range(n)]


def world(n: int, seed: int = 0) -> tuple[list[MachineLabel], np.ndarray, np.ndarray]:
    """Labels with the critics' errors, which are too timid, and which are wrong."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.6, 3.0, n)
    return machine(n), 0.3 + 0.4 * chance**0.7, rng.random(n) < chance


def truth_of(labels: list[MachineLabel], wrong: np.ndarray, rows: np.ndarray) -> dict[tuple[str, str], str]:
    return {(labels[k].item, "tone"): "angry" if wrong[k] else "calm" for k in rows.tolist()}


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("250", 250, "reviews"), ("1,000", 1000, "reviews"), ("12.5%", 0.125, "share"), ("$40.50", 40.5, "dollars")],
)
def test_a_budget_reads_as_it_is_written(text: str, amount: float, unit: str) -> None:
    """Labels, a share, or dollars."""
    assert parse_budget(text) == Budget(amount, unit)


@pytest.mark.parametrize("text", ["", "ten", "-3", "2.5", "101%", "$", "nan", "inf"])
def test_a_budget_that_is_none_is_refused_with_examples(text: str) -> None:
    """The message shows the three ways."""
    with pytest.raises(SettingError, match="10%"):
        parse_budget(text)


def test_dollars_pay_for_answers_and_never_for_one_more() -> None:
    """Two people a label at 8 cents: 6 labels for a dollar; without a price there is no number."""
    assert Budget(1.0, "dollars").reviews(100, 0.08, 2) == 6
    assert Budget(0.24, "dollars").reviews(100, 0.08) == 3
    with pytest.raises(SettingError, match="--price"):
        Budget(1.0, "dollars").reviews(100)


@given(st.sampled_from(RULES), st.integers(1, 60), st.integers(0, 70), st.integers(0, 2**31 - 1))
def test_a_draw_keeps_to_its_budget_and_to_who_may_be_seen(rule: str, n: int, budget: int, seed: int) -> None:
    """Exactly the budget, or all that may be seen; never a known label or a restricted item; chances are kept."""
    rng = np.random.default_rng(seed)
    labels, errors = machine(n), rng.random(n)
    known = {(each.item, "tone") for each in labels if rng.random() < 0.2}
    hidden = frozenset(each.item for each in labels if rng.random() < 0.2)
    plan = planned(labels, errors, budget, rule, rng=rng, known=known, hidden=hidden)
    assert plan.drawn.sum() == min(budget, plan.open.sum())
    assert not (plan.drawn & ~plan.open).any()
    assert (plan.inclusion[plan.known] == 1).all()
    assert (plan.inclusion[plan.hidden] == 0).all()
    assert plan.inclusion[plan.open].sum() == pytest.approx(plan.drawn.sum())
    assert sorted(plan.queue()) == sorted(key for key, on in zip(plan.keys, plan.drawn, strict=True) if on)
    again = Plan.read(plan.table())
    assert again.table().equals(plan.table())


def test_by_thresholds_a_smaller_budget_is_the_head_of_the_queue() -> None:
    """Whoever stops early has reviewed as a smaller budget would have."""
    labels, errors, _ = world(50)
    large = planned(labels, errors, 30, rng=np.random.default_rng(0)).queue()
    small = planned(labels, errors, 12, rng=np.random.default_rng(1)).queue()
    assert large[:12] == small


def test_people_decide_by_majority_and_a_tie_leaves_the_machine_or_the_question_open() -> None:
    """Two against one; one against one with the machine; one against one without."""
    of = machine(3)
    said = [Said("i0000", "tone", who, label) for who, label in (("a", "angry"), ("b", "angry"), ("c", "calm"))]
    said += [Said("i0001", "tone", "a", "angry"), Said("i0001", "tone", "b", "calm")]
    said += [Said("i0002", "tone", "a", "angry"), Said("i0002", "tone", "b", "cold")]
    assert decided(said, of) == {("i0000", "tone"): "angry", ("i0001", "tone"): "calm"}


def test_answers_come_from_any_table_of_item_and_label(tmp_path: Path) -> None:
    """Empty ones are open, those about other labels are left aside, a strange class is told with its row."""
    path = tmp_path / "back.csv"
    path.write_text("item,label,note\ni0000,angry,x\ni0001,,\ni0009,calm,\n")
    found = read_answers(path, SCHEMA, {("i0000", "tone"), ("i0001", "tone")})
    assert found.answers == (Said("i0000", "tone", "person", "angry"),)
    assert found.aside == 1
    path.write_text("item,label\ni0000,furious\n")
    with pytest.raises(DataError, match=r"row 1.*'furious' is no class of 'tone'.*calm, angry, cold"):
        read_answers(path, SCHEMA, {("i0000", "tone")})
    path.write_text("item,verdict\ni0000,furious\n")
    with pytest.raises(DataError, match="'label'"):
        read_answers(path, SCHEMA, {("i0000", "tone")})


def test_the_last_word_of_everybody_counts() -> None:
    """Handed in twice is handed in once."""
    first = [Said("a", "t", "ada", "x"), Said("a", "t", "ben", "y")]
    both = joined(answers_table(first), [Said("a", "t", "ada", "y"), *first[1:]])
    assert sorted(both) == [Said("a", "t", "ada", "y"), Said("a", "t", "ben", "y")]


def test_corrected_labels_are_peoples_where_there_are_some_and_the_machines_elsewhere() -> None:
    """With the chance of each; of a queue half answered, half the chance; what nobody asked for changes nothing."""
    labels, errors, wrong = world(40)
    plan = planned(labels, errors, 20, "normalization", rng=np.random.default_rng(0))
    drawn = np.flatnonzero(plan.drawn)
    found = corrected(plan, truth_of(labels, wrong, drawn[:10]))
    assert found.reviewed.sum() == 10
    np.testing.assert_allclose(found.inclusion, plan.inclusion / 2)
    assert [found.labels[k] for k in drawn[:10]] == ["angry" if wrong[k] else "calm" for k in drawn[:10]]
    assert set(corrected_table(plan, found).column_names) >= {"machine_label", "inclusion", "reviewed"}
    strange = corrected(plan, truth_of(labels, ~wrong, np.flatnonzero(~plan.drawn)))
    assert not strange.reviewed.any()
    assert set(strange.labels) == {"calm"}


@pytest.mark.parametrize("rule", RULES)
def test_after_a_second_draw_the_loss_over_all_labels_is_still_unbiased(rule: str) -> None:
    """What was answered first is certain, the rest has the chances of the second draw: the mean over 400 draws of
    sum(wrong * reviewed / inclusion) is the number of wrong labels, within 4 standard errors.
    """
    labels, errors, wrong = world(40, seed=3)
    rng = np.random.default_rng(0)
    even = 0.5 if rule == "thresholding" else 0.0
    sums = []
    for _ in range(400):
        first = planned(labels, errors, 15, rule, rng=rng, beta=5.0, even=even)
        before = {first.keys[k] for k in np.flatnonzero(first.drawn)[:10]}  # some never answered
        plan = planned(labels, errors, 20, rule, rng=rng, before=before, beta=5.0, even=even)
        seen = plan.drawn | plan.before
        sums.append(float((wrong * seen / np.where(seen, plan.inclusion, 1.0)).sum()))
    error = np.std(sums) / len(sums) ** 0.5
    assert abs(np.mean(sums) - wrong.sum()) < 4 * error


@pytest.mark.parametrize("even", [0.0, 0.4])
def test_the_number_of_errors_is_foretold_with_an_interval_that_holds(even: float) -> None:
    """Critics on a scale that no logistic curve fits, a quarter reviewed, 60 worlds: the 95 % interval holds the number
    in at least 85 % (three binomial errors below .95): by thresholds, as wide as the unseen asks for, and with a part
    of the budget spread over all, where 1 / chance makes the mean right too.
    """
    held, away = 0, []
    for seed in range(60):
        labels, errors, wrong = world(400, seed)
        plan = planned(labels, errors, 100, rng=np.random.default_rng(seed), even=even)
        of = foretell(plan, truth_of(labels, wrong, np.flatnonzero(plan.drawn)))
        assert of is not None
        assert of.guessed == (even == 0)
        held += (of.errors.low or 0) <= wrong.sum() <= (of.errors.high or 0)
        away.append(of.errors.estimate - wrong.sum())
    assert held >= 51
    if even:
        assert abs(np.mean(away)) < 4 * np.std(away) / len(away) ** 0.5 + 2  # the prior's pull


def test_a_second_draw_by_other_doubts_does_not_bias_what_is_foretold() -> None:
    """First drawn by a good critic, then by one that says the same of all: over 40 worlds the mean error of the number
    foretold is within 4 standard errors of 0 (and 2 labels, the prior's pull): chances of the first draw are kept.
    """
    away = []
    for seed in range(40):
        labels, errors, wrong = world(400, seed)
        rng = np.random.default_rng(seed)
        first = planned(labels, errors, 60, "normalization", rng=rng, even=0.3)
        before = set(first.queue())
        had = dict(zip(first.keys, first.chance.tolist(), strict=True))
        plan = planned(labels, np.full(400, 0.5), 40, rng=rng, before=before, earlier=had)
        seen = np.flatnonzero(plan.drawn | plan.before)
        of = foretell(plan, truth_of(labels, wrong, seen))
        assert of is not None
        assert not of.guessed
        away.append(of.errors.estimate - wrong.sum())
    assert abs(np.mean(away)) < 4 * np.std(away) / len(away) ** 0.5 + 2


def test_what_is_foretold_adds_up() -> None:
    """Quality now is quality at first and what was mended; everything reviewed is everything known."""
    labels, errors, wrong = world(200)
    plan = planned(labels, errors, 50, rng=np.random.default_rng(0))
    of = foretell(plan, truth_of(labels, wrong, np.flatnonzero(plan.drawn)))
    assert of is not None
    assert of.now.estimate - of.at_first.estimate == pytest.approx(of.found / 200)
    assert of.learned
    assert of.ideal == round(of.errors.estimate)
    whole = planned(labels, errors, 200, rng=np.random.default_rng(0))
    known = foretell(whole, truth_of(labels, wrong, np.arange(200)))
    assert known is not None
    assert known.errors.estimate == wrong.sum() == known.found
    assert known.now.estimate == 1.0
    assert known.next == 0


def test_of_an_order_nothing_is_foretold_before_people_have_answered() -> None:
    """Levels are no probabilities; ten answers make them some."""
    labels, errors, wrong = world(60)
    plan = planned(labels, errors, 30, rng=np.random.default_rng(0))
    assert foretell(plan, {}, is_order=True) is None
    assert curve(plan, {}, is_order=True) is None
    assert foretell(plan, {}) is not None
    few = truth_of(labels, wrong, np.flatnonzero(plan.drawn)[:10])
    assert foretell(plan, few, is_order=True) is not None


def test_the_curve_of_budgets_rises_from_nothing_to_everything() -> None:
    """AQG at no budget 0, at all 1; by thresholds above random; its area is ABS by the trapezoid rule."""
    labels, errors, wrong = world(300)
    plan = planned(labels, errors, 100, rng=np.random.default_rng(0))
    of = curve(plan, truth_of(labels, wrong, np.flatnonzero(plan.drawn)))
    assert of is not None
    assert of.low is not None
    assert of.high is not None
    assert (of.gain[0], of.gain[-1]) == (0.0, pytest.approx(1.0))
    assert (np.diff(of.gain) >= -1e-12).all()
    assert (of.low <= of.gain + 0.05).all()
    assert of.abs.estimate == pytest.approx(float(np.trapezoid(of.gain, of.budget)))
    assert of.abs.estimate > 0.55
