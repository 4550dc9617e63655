"""Laws of coefficients of agreement, and what others compute."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score

from quorate.measure.coefficients import (
    agreement_weights,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac,
    krippendorff_alpha,
    raw_agreement,
)
from unit.measure.crowd import assert_within, noisy

COEFFICIENTS = {
    "agreement": raw_agreement,
    "fleiss": fleiss_kappa,
    "alpha": krippendorff_alpha,
    "alpha ordinal": lambda counts: krippendorff_alpha(counts, "ordinal"),
    "alpha interval": lambda counts: krippendorff_alpha(counts, "interval"),
    "ac1": gwet_ac,
    "ac2": lambda counts: gwet_ac(counts, "quadratic"),
}
OF_NAMES = ("agreement", "fleiss", "alpha", "ac1")  # those that know no order of classes
ABOVE_CHANCE = [name for name in COEFFICIENTS if name != "agreement"]

# Krippendorff's example with missing values [krippendorff2011], used by Gwet too [gwet2014]: 12 units, 4 observers.
FOUR_OBSERVERS = """1 1 . 1 | 2 2 3 2 | 3 3 3 3 | 3 3 3 3 | 2 2 2 2 | 1 2 3 4 | 4 4 4 4 | 1 1 2 1 | 2 2 2 2
                    . 5 5 5 | . . 1 1 | . . 3 ."""
# ten subjects, fourteen raters, five categories: the worked example known with kappa .210
FOURTEEN_RATERS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)


def published() -> np.ndarray:
    units = [unit.split() for line in FOUR_OBSERVERS.splitlines() for unit in line.split("|")]
    return np.array([[unit.count(str(k)) for k in range(1, 6)] for unit in units])


def crowd(seed: int, accuracy: float, n_items: int = 400, n_classes: int = 3) -> np.ndarray:
    """Counts of two to five labels per item, right with this probability."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n_items)
    labels = noisy(np.repeat(truth[:, None], 5, axis=1), accuracy, n_classes, rng)
    given_by = np.arange(5) < rng.integers(2, 6, n_items)[:, None]
    return (np.eye(n_classes, dtype=int)[labels] * given_by[..., None]).sum(axis=1)


some_counts = arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(2, 5)), elements=st.integers(0, 4))


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_full_agreement_is_one(name):
    """Where every item has one class, and two classes are used, every coefficient is 1."""
    counts = np.diag([3, 2, 4])
    assert COEFFICIENTS[name](counts) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ABOVE_CHANCE)
def test_blind_answers_are_zero_above_chance(name):
    """Labels drawn without looking at the item give 0, within the error of 20 crowds."""
    found = [COEFFICIENTS[name](crowd(seed, accuracy=1 / 3)) for seed in range(20)]
    assert_within(np.mean(found), 0.0, se=np.std(found, ddof=1) / len(found) ** 0.5)


@pytest.mark.parametrize("name", COEFFICIENTS)
@settings(deadline=None, max_examples=50)
@given(counts=some_counts)
def test_no_coefficient_exceeds_one_or_is_nan(name, counts):
    """Whatever the counts: None, or a number that is at most 1."""
    found = COEFFICIENTS[name](counts)
    assert found is None or found <= 1 + 1e-12


@pytest.mark.parametrize("name", COEFFICIENTS)
@settings(deadline=None, max_examples=50)
@given(counts=some_counts, seed=st.integers(0, 99))
def test_the_order_of_items_says_nothing(name, counts, seed):
    """Items in another order give the same figure."""
    found, other = (COEFFICIENTS[name](c) for c in (counts, np.random.default_rng(seed).permutation(counts)))
    assert found == pytest.approx(other)


@pytest.mark.parametrize("name", OF_NAMES)
@settings(deadline=None, max_examples=50)
@given(counts=some_counts, seed=st.integers(0, 99))
def test_names_of_classes_say_nothing(name, counts, seed):
    """Nominal coefficients are the same under any renaming of classes."""
    found, other = (COEFFICIENTS[name](c) for c in (counts, np.random.default_rng(seed).permutation(counts, axis=1)))
    assert found == pytest.approx(other)


@pytest.mark.parametrize("name", COEFFICIENTS)
@settings(deadline=None, max_examples=50)
@given(counts=some_counts)
def test_a_scale_may_be_read_from_either_end(name, counts):
    """Turning the order of classes around changes nothing, on ordered tasks either."""
    assert COEFFICIENTS[name](counts) == pytest.approx(COEFFICIENTS[name](counts[:, ::-1]))


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
@settings(deadline=None, max_examples=50)
@given(counts=some_counts)
def test_alpha_is_what_krippendorff_computes(level, counts):
    """As the package of that name, on any counts; where it fails or divides by 0, ours is None."""
    pairable = counts[counts.sum(axis=1) > 1]
    found = krippendorff_alpha(counts, level)
    if (pairable.sum(axis=0) > 0).sum() < 2:
        assert found is None
    else:
        domain = np.arange(counts.shape[1])
        assert found == pytest.approx(
            krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement=level)
        )


@pytest.mark.parametrize(("weighting", "theirs"), [("unweighted", None), ("linear", "linear"), ("quadratic",) * 2])
@settings(deadline=None, max_examples=50)
@given(codes=arrays(np.int64, st.tuples(st.just(2), st.integers(2, 40)), elements=st.integers(0, 3)))
def test_cohens_kappa_is_what_scikit_learn_computes(weighting, theirs, codes):
    """On any two sequences of codes that do not both use one and the same class only."""
    table = np.zeros((4, 4), int)
    np.add.at(table, (codes[0], codes[1]), 1)
    found = cohen_kappa(table, weighting)
    if len(np.unique(codes)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(cohen_kappa_score(*codes, labels=[0, 1, 2, 3], weights=theirs))


def test_published_figures_are_reproduced():
    """Alpha .743, .815, .849 [krippendorff2011]; raw .81818, AC1 .77544, AC2 .914, kappa .76117 [gwet2014]."""
    counts = published()
    alphas = [krippendorff_alpha(counts, level) for level in ("nominal", "ordinal", "interval")]
    assert alphas == pytest.approx([0.743, 0.815, 0.849], abs=5.1e-4)
    assert raw_agreement(counts) == pytest.approx(0.81818, abs=5.1e-6)
    assert gwet_ac(counts) == pytest.approx(0.77544, abs=5.1e-6)
    assert gwet_ac(counts, "quadratic") == pytest.approx(0.914, abs=5.1e-4)
    assert fleiss_kappa(counts) == pytest.approx(0.76117, abs=5.1e-6)


def test_fleiss_kappa_of_the_worked_example():
    """By hand: mean agreement .378, chance .213, so kappa .210."""
    agree = (FOURTEEN_RATERS * (FOURTEEN_RATERS - 1)).sum(axis=1).mean() / (14 * 13)
    chance = ((FOURTEEN_RATERS.sum(axis=0) / 140) ** 2).sum()
    assert (agree, chance) == pytest.approx((0.378, 0.213), abs=5.1e-4)
    assert fleiss_kappa(FOURTEEN_RATERS) == pytest.approx(0.210, abs=5.1e-4)
    assert fleiss_kappa(FOURTEEN_RATERS) == pytest.approx((agree - chance) / (1 - chance))


def test_two_labels_everywhere_bring_fleiss_and_alpha_together():
    """With m labels on each of N items, alpha = 1 - (1 - kappa)(Nm - 1)/(Nm): the correction for small samples."""
    counts = crowd(0, 0.7)
    two = counts[counts.sum(axis=1) == 2]
    n = two.sum()
    assert krippendorff_alpha(two) == pytest.approx(1 - (1 - fleiss_kappa(two)) * (n - 1) / n)


def test_ac1_stays_where_kappa_collapses():
    """98 agreed rejections and 2 disagreements: raw .98, Fleiss below 0, AC1 above .97 (what AC1 is for)."""
    counts = np.array([[2, 0]] * 98 + [[1, 1]] * 2)
    assert raw_agreement(counts) == 0.98
    assert fleiss_kappa(counts) < 0
    assert gwet_ac(counts) > 0.97


def test_weights_without_distance_are_none():
    """AC2 with unit weights is AC1; any weighted kappa of two classes is the plain one."""
    assert gwet_ac(published(), "unweighted") == gwet_ac(published())
    table = np.array([[20, 5], [10, 15]])
    assert cohen_kappa(table, "quadratic") == pytest.approx(cohen_kappa(table))
    assert agreement_weights(2, "linear").tolist() == agreement_weights(2, "quadratic").tolist()


@pytest.mark.parametrize(
    ("counts", "defined"),
    [
        (np.zeros((0, 3), int), set()),
        (np.array([[1, 0, 0], [0, 1, 0]]), set()),
        (np.array([[2, 0, 0], [3, 0, 0]]), {"agreement", "ac1", "ac2"}),
        (np.array([[2], [3]]), {"agreement"}),
    ],
    ids=["no items", "no item with two labels", "one class used", "one class there is"],
)
def test_what_cannot_be_told_is_none(counts, defined):
    """No pair of labels: nothing. One class used: full agreement, but no chance for kappa and alpha to compare with."""
    assert {name for name, of in COEFFICIENTS.items() if of(counts) is not None} == defined
