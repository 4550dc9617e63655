"""A gate lets a judge through only on what its lower bound shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quorate.errors import FormatError, SettingError
from quorate.judge.bets import Claim, log_e, share_bound
from quorate.judge.bounds import linear, lower_bound
from quorate.judge.figures import estimate, measured
from quorate.judge.gate import Decision, Rule, gate, shown
from quorate.judge.gate_page import read_decisions, write_gate_report
from quorate.judge.graded import Graded
from quorate.judge.losses import losses
from quorate.judge.rule import LOSS, spent
from quorate.measure.coefficients import cohen_kappa, raw_agreement
from quorate.schema import Task

GRADES = Task("care", ("1", "2", "3", "4", "5"), ordered=True)
CLASSES = Task("kind", ("a", "b", "c"))


def answers(task: Task, people: np.ndarray, said: np.ndarray) -> Graded:
    """People's answers, items by people, and the judge's, as codes."""
    k = len(task.classes)
    counts = (people[:, :, None] == np.arange(k)).sum(axis=1)
    return Graded(task, tuple(f"{at:05d}" for at in range(len(said))), counts, said, np.eye(k)[said])


def world(seed: int, n: int, task: Task = GRADES, *, right: float = 0.8, people_right: float = 0.8) -> Graded:
    """The truth with skewed classes, and three people and a judge who are right or draw any class."""
    rng, k = np.random.default_rng(seed), len(task.classes)
    truth = rng.choice(k, size=n, p=np.array([8.0, *[1.0] * (k - 1)]) / (7 + k))
    person = np.where(rng.random((n, 3)) < people_right, truth[:, None], rng.integers(0, k, (n, 3)))
    return answers(task, person, np.where(rng.random(n) < right, truth, rng.integers(0, k, n)))


# ---- figures --------------------------------------------------------------------------------------------------------
def test_figures_are_cohens_and_raw_agreement_where_each_item_has_one_person() -> None:
    """Pairwise kappa with one person per item is Cohen's; people's agreement is the mean over pairs."""
    rng = np.random.default_rng(0)
    person, said = rng.integers(0, 5, (90, 1)), rng.integers(0, 5, 90)
    said = np.where(rng.random(90) < 0.6, person[:, 0], said)
    of = answers(GRADES, person, said)
    table = np.zeros((5, 5), np.int64)
    np.add.at(table, (said, person[:, 0]), 1)
    assert estimate(losses(of, "kappa"), "kappa", "judge") == pytest.approx(cohen_kappa(table, "quadratic"))
    assert estimate(losses(of, "kappa"), "kappa", "people") is None
    three = world(1, 60)
    assert estimate(losses(three, "differs"), "agreement", "people") == pytest.approx(raw_agreement(three.people))


def test_mapped_grades_give_the_squared_error_and_their_nearest_classes_the_kappa() -> None:
    """MSE is of the grades as they are; agreement is that of the grades rounded."""
    of = world(2, 50)
    grades = np.clip(of.values[of.said] + 0.3, 1, 5)
    by_hand = [((x - of.values) ** 2 * p).sum() / p.sum() for x, p in zip(grades, of.people, strict=True)]
    assert estimate(losses(of, "squared", grades), "mse", "judge") == pytest.approx(np.mean(by_hand))
    assert estimate(losses(of, "differs", grades), "agreement", "judge") == pytest.approx(
        estimate(losses(of, "differs"), "agreement", "judge")
    )


def test_every_class_and_slice_has_its_figures_with_an_interval() -> None:
    """A slice holds its items only; the bias of a judge that says one grade more is one grade."""
    of = world(3, 80)
    more = replace(of, said=np.minimum(of.people.argmax(axis=1) + 1, 4))
    rows = measured(more, slices={"site": ["north"] * 30 + [None] * 50})
    found = {(row.figure, row.party, row.column, row.value): row for row in rows}
    north = found["mse", "judge", "site", "north"]
    assert (north.n_items, found["mse", "judge", "site", None].n_items) == (30, 50)
    assert north.low is not None
    assert north.estimate is not None
    assert north.low <= north.estimate
    bias = found["bias", "judge", "class", "1"]
    assert bias.low is not None
    assert bias.low > 0
    with pytest.raises(SettingError, match="80 items"):
        measured(more, slices={"site": ["north"]})


# ---- the decision ---------------------------------------------------------------------------------------------------
def test_a_gate_opens_for_a_judge_as_good_as_people_and_not_for_one_that_guesses() -> None:
    """The margin is in the figure's unit, and a constant judge is never let through."""
    rule = Rule("agreement", margin=0.1)
    assert gate(world(4, 400, CLASSES, right=0.95), rule).open
    assert not gate(world(4, 400, CLASSES, right=0.3), rule).open
    of = world(4, 400, CLASSES)
    constant = replace(of, said=np.zeros(400, np.int64))
    decision = gate(constant, Rule("agreement", threshold=0.1))
    assert not decision.open
    assert "constant" in " ".join(decision.reasons)


def test_where_people_do_not_agree_the_gate_stays_closed_and_says_so() -> None:
    """A judge can repeat people's noise no better than they do; the rubric is named as the problem."""
    decision = gate(world(5, 300, people_right=0.1), Rule("agreement", threshold=0.05))
    assert not decision.open
    assert any("people do not agree enough" in reason for reason in decision.reasons)


def test_the_order_of_the_items_changes_nothing() -> None:
    """A decision is a function of what was said of which item."""
    of = world(6, 120)
    again = of.select(np.random.default_rng(0).permutation(120))
    assert gate(of, Rule("mse", margin=0.1)) == gate(again, Rule("mse", margin=0.1))


def test_items_of_which_the_judge_says_nothing_keep_the_gate_closed() -> None:
    """A judge may not choose on which items it is measured."""
    of = world(7, 200, CLASSES, right=0.98)
    silent = replace(of, said=np.where(np.arange(200) < 5, -1, of.said))
    assert any("said nothing of 5" in reason for reason in gate(silent, Rule("agreement", threshold=0.3)).reasons)


def test_tries_spend_the_level_and_never_more_than_it() -> None:
    """Σ level / (k (k + 1)) <= level."""
    assert sum(spent(0.05, k) for k in range(1, 10_000)) <= 0.05
    assert gate(world(8, 60), tries=3).level == pytest.approx(0.05 / 12)
    with pytest.raises(SettingError, match="from 1"):
        spent(0.05, 0)


@pytest.mark.parametrize("task", [GRADES, CLASSES], ids=["grades", "classes"])
@pytest.mark.parametrize(("proof", "n"), [("weights", 30), ("weights", 100), ("exact", 30)])
def test_bad_judges_are_let_through_no_oftener_than_the_level(task: Task, proof: str, n: int) -> None:
    """At the threshold itself, the hardest case, a claim passes with at most its level; classes are skewed."""
    level, figures = 0.1, ("mse", "kappa") if task.ordered else ("agreement", "kappa")
    n_judges = 30
    for figure in figures:
        truth = estimate(losses(world(9, 100_000, task), LOSS[figure]), figure, "judge")
        rule = Rule(figure, threshold=truth, level=level, people=None, proof=proof)  # pyright: ignore[reportArgumentType]
        passed = 0
        for seed in range(n_judges):
            each = losses(world(1000 + seed, n, task), LOSS[figure])
            passed += shown(each, rule, level, kappa_of_people=each)[0].passed
        assert passed / n_judges <= level + 3 * (level * (1 - level) / n_judges) ** 0.5


def test_bounds_by_weights_are_the_binomial_ones_for_answers_right_or_wrong() -> None:
    """Dirichlet weights on 0, 1 and one 0 more give the beta quantile of Clopper and Pearson."""
    values = np.repeat([0.0, 1.0], [4, 26])
    bound, _ = lower_bound(linear(values, np.ones(30), (0.0, 1.0)), 0.05, (0.0, 1.0), 0.5)
    below = np.random.default_rng(0).beta(26, 5, 100_000) < bound
    assert abs(below.mean() - 0.05) < 4 * (0.05 * 0.95 * (1 / 8000 + 1 / 100_000)) ** 0.5
    assert share_bound(26.0, 30, 0.05) == pytest.approx(bound, abs=0.01)


def test_the_money_of_a_true_null_is_expected_not_to_grow() -> None:
    """E[e] <= 1, with rare large losses too, so that P(e >= 1 / level) <= level."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        values = np.where(rng.random(40) < 0.02, -1.0, 0.02 / 0.98)
        place = rng.permuted(np.tile(np.arange(40), (8, 1)), axis=1)
        claim = Claim(values[place], np.ones((8, 40)), lambda t: -1 - t, lambda t: 1 - t)
        found.append(np.exp(log_e(claim, 0.0, 0.05)))
    assert np.mean(found) <= 1 + 4 * np.std(found) / 200**0.5


@pytest.mark.parametrize(
    "wrong",
    [{"level": 1.0}, {"margin": -0.1}, {"threshold": float("nan")}, {"people": 2.0}],
)
def test_a_rule_that_cannot_be_asked_is_refused(wrong: dict[str, object]) -> None:
    """Bad settings stop at the door."""
    with pytest.raises(SettingError):
        Rule(**wrong)  # pyright: ignore[reportArgumentType]


def test_items_that_cannot_bear_the_rule_are_refused() -> None:
    """No order, no second person, nothing known, grades that are no numbers."""
    of = world(1, 40, CLASSES)
    with pytest.raises(SettingError, match="no order"):
        gate(of, Rule("mse"))
    with pytest.raises(SettingError, match="two people"):
        gate(replace(of, people=np.minimum(of.people, 0) + np.eye(3, dtype=np.int64)[of.said]), Rule("agreement"))
    with pytest.raises(SettingError, match="no item"):
        gate(replace(of, said=np.full(40, -1)), Rule("agreement"))
    with pytest.raises(SettingError, match="finite"):
        gate(world(1, 40), Rule("mse"), grades=np.full(40, np.nan))


# ---- the report -----------------------------------------------------------------------------------------------------
def test_a_report_can_be_filed_and_read_back_and_shows_when_it_was_altered(tmp_path: Path) -> None:
    """gate.json holds the decision whole; the page asks nobody for anything and escapes what comes from the data."""
    task = Task("<script>alert(1)</script>", ("1", "2", "3", "4", "5"), ordered=True)
    decision = gate(world(2, 60, task), Rule("mse", threshold=2.0))
    page = write_gate_report(decision, tmp_path).read_text("utf-8")
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert read_decisions(tmp_path / "gate.json") == (decision,)
    assert Decision.from_json(decision.as_json()) == decision
    text = (tmp_path / "gate.json").read_text("utf-8")
    (tmp_path / "gate.json").write_text(text.replace('"open": false', '"open": true'), "utf-8")
    with pytest.raises(FormatError, match="altered"):
        read_decisions(tmp_path / "gate.json")


# ---- items drawn with unequal chances -------------------------------------------------------------------------------
def unequal(seed: int, n: int = 4_000) -> tuple[Graded, Graded]:
    """Items to be labeled, of which one in ten is hard; and those that were drawn, hard ones nine times as often."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n) < 0.1
    easy, other = world(seed, n, CLASSES, right=0.95), world(seed + 1, n, CLASSES, right=0.2)
    people = np.where(hard[:, None], other.people, easy.people)
    of = replace(easy, people=people, said=np.where(hard, other.said, easy.said))
    chance = np.where(hard, 0.45, 0.05)
    drawn = np.flatnonzero(rng.random(n) < chance)
    return of, replace(of.select(drawn), weights=1 / chance[drawn])


@pytest.mark.parametrize("figure", ["agreement", "kappa"])
def test_items_drawn_with_unequal_chances_count_by_them(figure) -> None:
    """The figure is that of all items within four of its errors; with equal weights it is ten of them away."""
    off: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(0, 24, 2):
        every, drawn = unequal(seed)
        truth = estimate(losses(every, LOSS[figure]), figure, "judge")
        for weighed, of in ((True, drawn), (False, replace(drawn, weights=None))):
            off[weighed].append(estimate(losses(of, LOSS[figure]), figure, "judge") - truth)
    error = np.std(off[True], ddof=1) / len(off[True]) ** 0.5
    assert abs(np.mean(off[True])) < 4 * error
    assert abs(np.mean(off[False])) > 10 * error


def test_bad_judges_pass_no_oftener_than_the_level_where_items_were_drawn_with_unequal_chances() -> None:
    """At a threshold that is the judge's own figure over all items."""
    passed = 0
    for seed in range(0, 160, 2):
        every, drawn = unequal(seed, 1_500)
        need = estimate(losses(every, "differs"), "agreement", "judge")
        of = losses(drawn, "differs")
        passed += shown(of, Rule("agreement", need, people=None), 0.05, kappa_of_people=of)[0].passed
    assert passed / 80 <= 0.05 + 3 * (0.05 * 0.95 / 80) ** 0.5


def test_a_decision_says_what_unequal_chances_cost_and_bets_refuse_them() -> None:
    """Equal weights of any size change nothing; the exact proof knows none but equal ones."""
    _, drawn = unequal(3, 1_500)
    assert 1 < gate(drawn, Rule("agreement", threshold=0.5)).n_effective < 0.8 * len(drawn.items)
    of = world(6, 80)
    same = gate(replace(of, weights=np.full(80, 7.0)), Rule("mse", margin=0.1))
    assert (same.shown, same.n_effective) == (gate(of, Rule("mse", margin=0.1)).shown, None)
    with pytest.raises(SettingError, match="equal chances"):
        gate(drawn, Rule("agreement", threshold=0.5, proof="exact"))
