"""Laws of the report on agreement."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.measure import coefficients as co
from quorate.measure.agreement import agreement, band
from unit.measure.crowd import assert_within, coded_from_matrix, noisy

FAST = {"resamples": 100}


def crowd(
    seed: int = 0,
    *,
    n_items: int = 300,
    n_people: int = 5,
    n_models: int = 2,
    n_classes: int = 3,
    accuracy: float = 0.75,
    ordered: bool = False,
    asked: float = 0.7,
) -> Coded:
    """People and models that are right with one probability; each person answers a random part of the items."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n_items)
    labels = noisy(np.repeat(truth[:, None], n_people, axis=1), accuracy, n_classes, rng)
    labels[rng.random(labels.shape) > asked] = -1
    answers = noisy(np.repeat(truth[:, None], n_models, axis=1), accuracy, n_classes, rng)
    return coded_from_matrix(labels, answers, n_classes=n_classes, ordered=ordered)


def estimates(coded: Coded) -> dict[tuple[str, str, str], float | None]:
    report = agreement(coded, **FAST)
    return {(f.measure, f.first, f.second): f.estimate for f in report.figures}


def test_order_of_items_and_of_people_says_nothing():
    """Items in another order and people with other codes give the same figures under the same names."""
    coded = crowd()
    shuffled = coded.select(np.random.default_rng(1).permutation(coded.n_items))
    turned = np.array([3, 1, 4, 0, 2])
    renamed = replace(
        coded,
        annotators=tuple(coded.annotators[a] for a in turned),
        labels=coded.labels._replace(annotator=np.argsort(turned)[coded.labels.annotator].astype(np.int32)),
    )

    def sides(of: dict) -> dict:
        return {(m, frozenset({a, b})): value for (m, a, b), value in of.items()}

    expected = sides(estimates(coded))
    for other in (shuffled, renamed):
        assert sides(estimates(other)) == pytest.approx(expected)


def test_names_of_classes_say_nothing_on_a_task_without_order():
    """Recoding labels and answers alike leaves every nominal figure as it was."""
    coded, turn = crowd(), np.array([2, 0, 1], np.int16)
    output = coded.outputs[0]
    recoded = replace(
        coded,
        labels=coded.labels._replace(code=turn[coded.labels.code]),
        outputs=(output._replace(answer=turn[output.answer], scores=output.scores[:, :, np.argsort(turn)]),),
    )
    assert estimates(recoded) == pytest.approx(estimates(coded))


def test_people_and_models_who_always_agree_have_one_everywhere():
    """Every coefficient is 1, and a model is no nearer to people than people are to each other."""
    found = estimates(crowd(accuracy=1.0))
    assert all(value == pytest.approx(0.0 if "minus" in measure else 1.0) for (measure, *_), value in found.items())


def test_figures_between_people_are_the_coefficients_of_their_counts():
    """The report computes from sums over items what `coefficients` computes from counts."""
    coded = crowd(ordered=True)
    counts, report = coded.counts(0), agreement(coded, **FAST)
    assert report.of("fleiss_kappa").estimate == pytest.approx(co.fleiss_kappa(counts))
    assert report.of("gwet_ac1").estimate == pytest.approx(co.gwet_ac(counts))
    assert report.of("gwet_ac2").estimate == pytest.approx(co.gwet_ac(counts, "quadratic"))
    for measure, metric in (("", "nominal"), ("_ordinal", "ordinal"), ("_interval", "interval")):
        expected = co.krippendorff_alpha(counts, metric)
        assert report.of(f"krippendorff_alpha{measure}").estimate == pytest.approx(expected)


def test_pairs_have_the_kappa_of_their_common_items():
    """As scikit-learn computes it, for people and for a model with a person; the mean is weighted by common items."""
    coded = crowd()
    labels = np.full((coded.n_items, 5), -1)
    labels[coded.cell_of_label(), coded.labels.annotator] = coded.labels.code
    report = agreement(coded, **FAST)
    both = (labels[:, 0] >= 0) & (labels[:, 3] >= 0)
    pair = report.of("cohen_kappa", first="p0", second="p3")
    assert (pair.estimate, pair.n_items) == pytest.approx((cohen_kappa_score(*labels[both][:, [0, 3]].T), both.sum()))
    answer, asked = coded.outputs[0].answer[:, 1], labels[:, 2] >= 0
    model = report.of("cohen_kappa", first="m1", second="p2").estimate
    assert model == pytest.approx(cohen_kappa_score(answer[asked], labels[asked, 2]))
    pairs = [f for f in report.figures if f.measure == "cohen_kappa" and f.first[0] == f.second[0] == "p" != f.first]
    pairs = [f for f in pairs if f.second != "people"]
    mean = sum(f.estimate * f.n_items for f in pairs) / sum(f.n_items for f in pairs)
    assert report.of("cohen_kappa").estimate == pytest.approx(mean)


def test_a_model_against_people_is_what_a_loop_over_labels_counts():
    """Agreement with a random person of each item, and less what two people of the item reach, item by item."""
    coded = crowd(n_models=1)
    answer, counts = coded.outputs[0].answer[:, 0], coded.counts(0)
    with_person, between = [], []
    for a, n in zip(answer, counts, strict=True):
        if n.sum():
            with_person.append((n[a] / n.sum(), n.sum() > 1))
        if n.sum() > 1:
            between.append((n * (n - 1)).sum() / (n.sum() * (n.sum() - 1)))
    report = agreement(coded, **FAST)
    found = report.of("agreement", first="m0")
    assert (found.estimate, found.n_items) == pytest.approx((np.mean([s for s, _ in with_person]), len(with_person)))
    gap = np.mean([s for s, two in with_person if two]) - np.mean(between)
    assert report.of("agreement_minus_people", first="m0").estimate == pytest.approx(gap)


def test_a_model_that_is_one_of_the_people_is_as_near_to_them_as_they_are():
    """Model and people drawn alike: the difference is 0 within the error of 20 crowds, and intervals cover it."""
    found = [agreement(crowd(seed, n_models=1), **FAST).of("agreement_minus_people", first="m0") for seed in range(20)]
    values = np.array([f.estimate for f in found])
    assert_within(values.mean(), 0.0, se=values.std(ddof=1) / len(values) ** 0.5)
    covered = np.mean([f.low <= 0 <= f.high for f in found])
    assert_within(covered, 0.95, se=(0.95 * 0.05 / 20) ** 0.5)


def test_the_bootstrap_error_is_the_spread_of_repeated_crowds():
    """The se of a figure is the standard deviation over fresh crowds, within the error of 40 of them."""
    reports = [agreement(crowd(seed, n_models=0), **FAST) for seed in range(40)]
    for measure in ("agreement", "fleiss_kappa", "krippendorff_alpha", "gwet_ac1", "cohen_kappa"):
        found = [report.of(measure) for report in reports]
        spread = np.std([f.estimate for f in found], ddof=1)
        assert_within(np.mean([f.se for f in found]), spread, se=spread / (2 * 39) ** 0.5)


def test_the_same_seed_gives_the_same_intervals():
    """And another seed others."""
    coded = crowd()
    assert agreement(coded, **FAST).figures == agreement(coded, **FAST).figures
    assert agreement(coded, **FAST).figures != agreement(coded, seed=1, **FAST).figures


def test_labels_without_a_partner_give_reasons():
    """One annotator, no overlap, one class: None and why, never NaN."""
    alone = agreement(coded_from_matrix(np.array([[0], [1], [0]]), n_classes=2), **FAST)
    apart = agreement(coded_from_matrix(np.array([[0, -1], [-1, 1]]), n_classes=2), **FAST)
    for report in (alone, apart):
        assert {f.estimate for f in report.figures} == {None}
        assert report.of("fleiss_kappa").reason == "no item has labels of two people"
        assert report.of("cohen_kappa").reason == "no two of them share 20 items"
    same = agreement(coded_from_matrix(np.zeros((30, 3), int), n_classes=2), **FAST)
    assert same.of("agreement").estimate == same.of("gwet_ac1").estimate == 1.0
    for measure in ("fleiss_kappa", "krippendorff_alpha", "cohen_kappa"):
        assert same.of(measure).estimate is None
        assert "same class" in same.of(measure).reason


def test_a_model_without_common_items_gives_a_reason():
    """A model that answered only where nobody else did."""
    labels, answers = np.array([[0, 0], [1, 0], [-1, -1]]), np.array([[-1], [-1], [1]])
    report = agreement(coded_from_matrix(labels, answers, n_classes=2), **FAST)
    assert report.of("agreement", first="m0").reason == "the model and people share no item"
    assert report.of("agreement_minus_people", first="m0").estimate is None


def test_an_empty_data_set_has_no_figures_but_reasons():
    """No items: every figure is None."""
    report = agreement(coded_from_matrix(np.zeros((0, 2), int), n_classes=2), **FAST)
    assert report.figures
    assert all(f.estimate is None and f.reason for f in report.figures)


def test_table_and_json_hold_every_figure_without_nan():
    """One row per figure; JSON that any reader takes."""
    report = agreement(crowd(ordered=True, asked=0.2, n_items=60), **FAST)
    table = report.table()
    assert table.num_rows == len(report.figures)
    assert table.column_names == list(report.figures[0]._fields)
    assert len(json.loads(report.to_json())["figures"]) == table.num_rows  # to_json refuses NaN


def test_bands_are_those_of_the_papers():
    """Ends count to the lower band of Landis and Koch and to the upper one of Krippendorff."""
    kappas = {-0.1: "poor", 0.2: "slight", 0.21: "fair", 0.5: "moderate", 0.8: "substantial", 0.81: "almost perfect"}
    assert {value: band("fleiss_kappa", value) for value in kappas} == kappas
    alphas = {0.66: "unreliable", 0.667: "tentative", 0.8: "reliable"}
    assert {value: band("krippendorff_alpha", value) for value in alphas} == alphas


@pytest.mark.parametrize("wrong", [{"resamples": 1}, {"level": 1.0}, {"min_shared": 0}])
def test_settings_outside_their_range_are_refused(wrong):
    """One error that names the range."""
    with pytest.raises(SettingError, match="agreement needs"):
        agreement(crowd(n_items=5), **wrong)


def test_an_unknown_figure_is_refused():
    """Asked of an agent that is not there."""
    with pytest.raises(SettingError, match="there is no"):
        agreement(crowd(n_items=20), **FAST).of("agreement", first="nobody")
