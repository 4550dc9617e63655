"""Laws of the report on agents."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from quorate.consensus.agents import agents_report
from quorate.consensus.calibrated import CalibratedDawidSkene
from quorate.consensus.dawid_skene import DawidSkene
from quorate.consensus.majority import Majority
from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from unit.consensus.judged import PREVALENCE, Crowd, row, said
from unit.measure.crowd import assert_within, coded_from_tasks


def report(crowd: Crowd):
    return agents_report(crowd.model, crowd.coded)


def pair_of(found, first: str, second: str, task: str | None = None):
    return next(p for p in found.shared.pairs if (p.first, p.second, p.task) == (first, second, task))


# ---- one agent ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(3))
def test_people_and_models_have_their_true_accuracy(seed):
    """Every accuracy lies within 4 of its own standard errors of the simulated one, though no truth is certain."""
    crowd = Crowd.drawn(seed, models=[1, 1, 1], model_accuracy=0.7)
    found = report(crowd)
    for person, accuracy in enumerate((0.6, 0.7, 0.8, 0.9, 0.75, 0.65)):
        figure = found.of(f"p{person}", "t")
        assert_within(figure.accuracy, accuracy, se=figure.se)
        assert figure.low <= figure.accuracy <= figure.high
        assert figure.n_effective < figure.n
    for model in range(3):
        figure = found.of(f"m{model}", "t")
        assert_within(figure.accuracy, 0.7, se=figure.se)


def test_confusion_rows_are_the_true_ones():
    """Each cell of a person's confusion lies in its interval on 95 % of cells, within the binomial error."""
    covered = []
    for seed in range(8):
        crowd = Crowd.drawn(seed)
        found = report(crowd)
        for person, true in enumerate(crowd.confusion):
            of = found.confusion(f"p{person}", "t")
            assert np.allclose(of.estimate.sum(axis=1), 1.0)
            covered.append((of.low <= true) & (true <= of.high))
    # the cells of a row sum to 1 and lean on the same items: about a third of them are independent
    assert_within(np.mean(covered), 0.95, se=(0.95 * 0.05 / (np.size(covered) / 3)) ** 0.5)


def test_the_report_does_not_reward_agreeing_with_oneself():
    """A person alone on every item, where no model spoke, has no accuracy at all: nobody else can tell."""
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 100, p=PREVALENCE)
    crowd = Crowd.of(said(truth, row(0.9), rng)[:, None], None, row(0.9)[None], truth)
    figure = report(crowd).of("p0", "t")
    assert figure.accuracy is figure.low is figure.se is None
    assert "too little" in figure.reason
    assert figure.flags == ("too few labels to tell",)


def test_models_where_nobody_spoke_are_not_judged():
    """No person and no gold on its items: a reason, no figure."""
    labels, answers = np.array([[0, 0]] * 30 + [[-1, -1]] * 30), np.array([[-1]] * 30 + [[1]] * 30)
    crowd = Crowd.of(labels, answers, np.stack([row(0.8)] * 2), np.zeros(60, int))
    figure = report(crowd).of("m0", "t")
    assert (figure.n, figure.accuracy, figure.reason) == (30, None, "no person and no gold has spoken on its items")


def test_gold_decides_where_it_is_known():
    """With gold on every item, accuracies are plain shares and everything counts in full."""
    crowd = Crowd.drawn(0, models=[2], model_accuracy=0.7)
    coded = replace(crowd.coded, gold=crowd.truth.astype(np.int16))
    found = agents_report(crowd.model, coded)
    item, truth = coded.cell_of_label(), crowd.truth[:, 0]
    for person in range(6):
        own = coded.labels.annotator == person
        figure = found.of(f"p{person}", "t")
        assert figure.accuracy == pytest.approx((coded.labels.code[own] == truth[item[own]]).mean())
        assert figure.n_gold == figure.n == round(figure.n_effective)
    right = coded.outputs[0].answer[:, 0] == truth
    assert found.of("m0", "t").accuracy == pytest.approx(right.mean())


# ---- flags ----------------------------------------------------------------------------------------------------------
def crowd_with(*odd: np.ndarray, n_items: int = 300, prevalence: np.ndarray = PREVALENCE) -> Crowd:
    """Five honest people who answer everything, and odd ones of these confusions."""
    rng = np.random.default_rng(0)
    truth = rng.choice(3, n_items, p=prevalence)
    confusion = np.stack([*[row(0.8)] * 5, *odd])
    labels = np.stack([said(truth, one, rng) for one in confusion], axis=1)
    return Crowd.of(labels, None, confusion, truth, prevalence)


def test_who_always_says_the_same_is_told():
    """A constant answer is flagged; where nearly every item has that class, it says nothing against anybody."""
    always = np.tile([0.0, 1.0, 0.0], (3, 1))
    assert {f.agent for f in report(crowd_with(always)).flagged("constant")} == {"p5"}
    common = np.array([0.01, 0.985, 0.005])
    assert not report(crowd_with(always, n_items=60, prevalence=common)).flagged("constant")


def test_who_is_worse_than_chance_is_told():
    """Turning two classes around is flagged; blind answers are not worse than chance, honest ones neither."""
    turned, blind = np.array([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.4, 0.4, 0.2]]), np.tile([0.4, 0.3, 0.3], (3, 1))
    found = report(crowd_with(turned, blind))
    assert {f.agent for f in found.flagged("worse than chance")} == {"p5"}
    assert found.of("p5", "t").high < found.of("p5", "t").chance


def test_who_said_little_is_told_and_not_called_bad():
    """Five wrong answers are too few to tell; the same share of many is worse than chance."""
    crowd = crowd_with(np.roll(np.eye(3), 1, axis=1), n_items=100)
    drop = (crowd.coded.labels.annotator == 5) & (crowd.coded.cell_of_label() >= 5)
    few = agents_report(crowd.model, crowd.coded.keep_labels(~drop)).of("p5", "t")
    assert few.flags == ("too few labels to tell",)
    assert report(crowd).of("p5", "t").flags == ("worse than chance",)


def test_honest_people_are_left_in_peace():
    """Of 60 honest people of accuracy .6 to .9 none is flagged."""
    flagged = [f for seed in range(10) for f in report(Crowd.drawn(seed)).flagged()]
    assert flagged == []


# ---- together -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shared", [0.0, 0.5, 0.8])
def test_the_correlation_of_errors_is_the_simulated_one(shared):
    """Inside a family shared², across families 0, each within 4 of its own standard errors."""
    found = report(Crowd.drawn(1, n_items=1500, models=[2, 2], shared=shared))
    for first, second in [(0, 1), (2, 3), (0, 2), (1, 3)]:
        pair = pair_of(found, f"m{first}", f"m{second}")
        true = shared**2 if first // 2 == second // 2 else 0.0
        assert_within(pair.correlation, true, se=pair.se)
        assert pair.low <= pair.correlation <= pair.high


def test_copies_of_one_model_are_worth_one():
    """Six times the same answers: every correlation 1, worth 1.0, one family."""
    crowd = Crowd.drawn(0, models=[1])
    answers = np.repeat(crowd.coded.outputs[0].answer, 6, axis=1)
    labels = np.full((400, 6), -1)
    labels[crowd.coded.cell_of_label(), crowd.coded.labels.annotator] = crowd.coded.labels.code
    found = report(Crowd.of(labels, answers, crowd.confusion, crowd.truth[:, 0]))
    assert found.effective.estimate == pytest.approx(1.0)
    assert [len(family.members) for family in found.shared.families] == [6]
    assert found.sentences()[0] == "Six models, worth 1.0 independent ones (1.0 to 1.0)."


def test_independent_models_are_worth_as_many_as_they_are():
    """Mean correlation is 0 within its error, so the interval of the worth reaches all of them."""
    for seed in range(3):
        found = report(Crowd.drawn(seed, n_items=1000, models=[1] * 6))
        assert found.effective.high == pytest.approx(6.0, abs=0.35)
        assert found.effective.estimate > 6.0 - 4 * max(found.effective.se, 0.05)
        assert not found.shared.families


@pytest.mark.parametrize("seed", range(3))
def test_the_effective_number_is_kishs_of_the_true_correlations(seed):
    """Two families of three with correlation .64 inside: 6 / (1 + 5 · .256), within 4 of its standard errors."""
    found = report(Crowd.drawn(seed, n_items=800, models=[3, 3], shared=0.8))
    assert_within(found.effective.estimate, 6 / (1 + 5 * (2 * 0.64) / 5), se=found.effective.se)
    assert [family.members for family in found.shared.families] == [("m0", "m1", "m2"), ("m3", "m4", "m5")]


def test_names_describe_families_and_never_make_them():
    """Models that share a prefix before "|" are called variants; names that share one but not their errors are not."""
    crowd = Crowd.drawn(0, n_items=800, models=[2, 1], shared=0.9)
    for names, variants in ((("gpt|a", "gpt|b", "gpt|c"), "gpt"), (("x", "gpt|b", "gpt|c"), None)):
        renamed = replace(crowd.coded, models=names)
        family = agents_report(replace(crowd.model, models=names), renamed).shared.families
        assert [(f.members, f.variants_of) for f in family] == [(names[:2], variants)]


def test_an_item_of_two_tasks_is_one_piece_of_luck():
    """A second task with the very same answers adds no information: the error over both is that of one."""
    crowd = Crowd.drawn(0, n_items=400, models=[2], shared=0.5)
    labels = np.full((400, 6), -1)
    labels[crowd.coded.cell_of_label(), crowd.coded.labels.annotator] = crowd.coded.labels.code
    twice = coded_from_tasks(dict.fromkeys(("t0", "t1"), (labels, crowd.coded.outputs[0].answer)), n_classes=3)
    model = replace(crowd.model, schema=twice.schema)
    over_both, one = (pair_of(agents_report(model, twice), "m0", "m1", task) for task in (None, "t0"))
    assert over_both.correlation == pytest.approx(one.correlation)
    assert over_both.se == pytest.approx(one.se, rel=0.05)
    assert (over_both.low, over_both.high) == pytest.approx((one.low, one.high), abs=0.02)


def test_people_who_copy_each_other_are_told_and_others_are_not():
    """p5 repeats p0: their errors correlate with 1, and the report asks about them; independent people stay at 0."""
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 800, p=PREVALENCE)
    confusion = np.stack([row(0.7)] * 6)
    labels = np.stack([said(truth, one, rng) for one in confusion], axis=1)
    labels[:, 5] = labels[:, 0]
    found = report(Crowd.of(labels, None, confusion, truth))
    copied = [p for p in found.shared.pairs if (p.first, p.second) == ("p0", "p5")]
    assert copied[0].correlation > 0.95
    for pair in found.shared.pairs:
        if not {pair.first, pair.second} & {"p0", "p5"}:
            # p0's answer counts twice in the posterior: it is too sure, and independent errors look opposed
            assert pair.correlation < 0.2
    asked = [s for s in found.sentences() if "independently" in s]
    assert len(asked) == 1
    assert "'p0' and 'p5'" in asked[0]


def test_independent_people_have_independent_errors():
    """Correlations of people, judged without both labels, are 0 within 4 of their standard errors."""
    found = report(Crowd.drawn(2, n_items=1000))
    pairs = [p for p in found.shared.pairs if p.kind == "annotator"]
    assert len(pairs) == 15
    for pair in pairs:
        assert_within(pair.correlation, 0.0, se=pair.se)


def test_what_is_never_wrong_has_no_correlation():
    """A perfect model against gold: unknown with a reason, and the worth of the others is told without it."""
    crowd = Crowd.drawn(0, models=[2], shared=0.5)
    output = crowd.coded.outputs[0]
    answers = np.hstack([output.answer, crowd.truth.astype(np.int16)])
    labels = np.full((400, 6), -1)
    labels[crowd.coded.cell_of_label(), crowd.coded.labels.annotator] = crowd.coded.labels.code
    third = Crowd.of(labels, answers, crowd.confusion, crowd.truth[:, 0])
    found = agents_report(third.model, replace(third.coded, gold=crowd.truth.astype(np.int16)))
    assert pair_of(found, "m0", "m2").reason == "one of them is never, or always, wrong"
    assert found.shared.models == 2


# ---- the report -----------------------------------------------------------------------------------------------------
def test_order_says_nothing():
    """Items in another order, people and models under other codes: the same figures under the same names."""
    crowd = Crowd.drawn(0, n_items=200, models=[2, 1], shared=0.7)
    turn, turn_models = np.array([3, 1, 5, 0, 2, 4]), np.array([2, 0, 1])
    output = crowd.coded.outputs[0]
    turned = replace(
        crowd.coded,
        annotators=tuple(crowd.coded.annotators[a] for a in turn),
        models=tuple(crowd.coded.models[m] for m in turn_models),
        labels=crowd.coded.labels._replace(annotator=np.argsort(turn)[crowd.coded.labels.annotator].astype(np.int32)),
        outputs=(type(output)(*(part[:, turn_models] for part in output)),),
    ).select(np.random.default_rng(1).permutation(200))
    families = replace(crowd.model.families, members=((1, 2), (0,)))
    model = replace(
        crowd.model,
        annotators=turned.annotators,
        models=turned.models,
        confusion=crowd.confusion[turn],
        families=families,
    )
    one, other = report(crowd), agents_report(model, turned)
    for figure in one.agents:
        assert other.of(figure.agent, "t")[6:11] == pytest.approx(figure[6:11], abs=1e-3)
    assert other.effective == pytest.approx(one.effective, abs=1e-3)
    sides = {frozenset((p.first, p.second)): p.correlation for p in other.shared.pairs if p.task is None}
    for pair in one.shared.pairs:
        if pair.task is None:
            assert sides[frozenset((pair.first, pair.second))] == pytest.approx(pair.correlation, abs=1e-3)


def test_tables_and_json_hold_everything_without_nan():
    """One row per agent and task, one per pair; JSON that refuses NaN."""
    found = report(Crowd.drawn(0, models=[2, 1], tasks=2, n_items=60))
    assert found.table().num_rows == len(found.agents) == 2 * 9
    assert found.table().column_names == list(found.agents[0]._fields)
    assert found.pairs_table().num_rows == len(found.shared.pairs)
    read = json.loads(found.to_json())
    assert len(read["agents"]) == 18
    assert len(read["agents"][0]["confusion"]["estimate"]) == 3


def test_agents_that_are_not_there_are_refused():
    """An unknown name, an unknown task, a level that is none."""
    crowd = Crowd.drawn(0, n_items=30)
    for who in (("nobody", "t"), ("p0", "nothing")):
        with pytest.raises(SettingError, match="no agent that answered"):
            report(crowd).of(*who)
    with pytest.raises(SettingError, match="level"):
        agents_report(crowd.model, crowd.coded, level=1.5)


def test_a_data_set_without_models_or_labels_has_an_empty_report():
    """Nobody spoke: no figures, no worth, no sentences."""
    crowd = Crowd.of(np.full((5, 2), -1), None, np.stack([row(0.8)] * 2), np.zeros(5, int))
    found = report(crowd)
    assert found.agents == found.sentences() == ()
    assert found.effective is None
    assert found.table().num_rows == found.pairs_table().num_rows == 0


@pytest.mark.parametrize(
    "options", [Majority(), DawidSkene(), CalibratedDawidSkene()], ids=["majority", "dawid-skene", "calibrated"]
)
def test_every_estimator_can_judge(options):
    """With a fitted posterior instead of the true one, the best and the worst person are still found."""
    crowd = Crowd.drawn(0, n_items=800, asked=0.9, models=[2, 1], shared=0.7)
    found = agents_report(options.fit(crowd.coded), crowd.coded)
    people = sorted((f for f in found.agents if f.kind == "annotator"), key=lambda f: f.accuracy)
    assert (people[0].agent, people[-1].agent) == ("p0", "p3")
    assert found.effective.estimate < 3
    assert found.shared.families[0].members == ("m0", "m1")
    assert len(found.notes) == (options.__class__ is Majority)


@pytest.mark.slow
def test_recorded_models_that_are_kin_err_together(recorded):
    """Six recorded models are worth less than three independent ones; the two of one maker stand in one family."""
    data = Dataset.read(recorded("alttest_cebab"))
    found = agents_report(DawidSkene().fit(data), data)
    assert found.effective.high < 3
    assert any({"gpt-4o", "gpt-4o-mini"} <= set(family.members) for family in found.shared.families)


@pytest.mark.slow
def test_recorded_models_have_the_accuracy_that_hidden_gold_gives_them(recorded):
    """Judged by three people per item, gold hidden: within 4 of their own standard errors, on all tasks."""
    coded = Dataset.read(recorded("topical_chat_gpt35")).encode()
    hidden = replace(coded, gold=np.full_like(coded.gold, -1))
    found = agents_report(DawidSkene().fit(hidden), hidden)
    for t, task in enumerate(coded.schema.tasks):
        known = (coded.gold[:, t] >= 0) & coded.counts(t).any(axis=1)
        for m, model in enumerate(coded.models):
            right = coded.outputs[t].answer[known, m] == coded.gold[known, t]
            figure = found.of(model, task.name)
            assert_within(figure.accuracy, right.mean(), se=figure.se)
