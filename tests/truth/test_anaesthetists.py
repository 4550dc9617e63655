"""Dawid and Skene's own data: 45 patients whose fitness for a general anaesthetic five anaesthetists rated from 1 to 4.

The ratings were published in [dawid1979], Table 1, and the figures marked as published in Tables 2 to 4. They stand
here as in three independent transcriptions (the annotation example of NumPyro, dallascard/dawid_skene and
kajyuuen/Dawid-skene on GitHub). A fourth, that of the R package rater, has (1, 1, 2) for patient 7 and observer 1; the
(1, 2, 2) used here reproduces the published row of that observer. Figures with four decimals and more are not from the
paper: an EM of our own, apart from this library, ended there.
"""

from __future__ import annotations

import numpy as np
import pytest

from quorate.consensus.dawid_skene import DawidSkene
from quorate.data.encode import Coded
from unit.consensus.build import coded_from

# One word per patient: the first observer's three ratings, then one of each other observer.
RATINGS = """
111.1111 333.4334 112.2122 222.3121 222.3222 222.3322 122.2111 333.3433 222.2223 232.2223 444.4444 222.3343
111.1111 222.3212 121.1111 111.2111 111.1111 111.1111 222.2221 222.1322 222.2222 222.2221 222.3222 221.2222
111.1111 111.1111 232.2222 111.1111 111.1111 112.1121 111.1111 333.3233 111.1111 222.2222 222.3232 433.4343
221.2232 232.3233 333.3432 111.1111 111.1111 121.2111 232.2222 121.1111 222.2222
"""
OBSERVERS = ("1", "1", "1", "2", "3", "4", "5")

# P(rating | fitness) at the maximum that vote shares lead to: one line per observer, its four rows side by side.
ROWS = """
.889488 .110512 0 0  .070585 .876380 .053035 0  0 .338822 .661178 0        0 0 .555556 .444444
.834214 .165786 0 0  .052707 .632946 .314347 0  0 0 1 0                    0 0 0 1
1 0 0 0              .106378 .788299 .105323 0  0 .403671 .198776 .397552  0 0 .666667 .333333
.944430 .055570 0 0  .053672 .842627 .103702 0  0 0 .801224 .198776        0 0 .333333 .666667
1 0 0 0              .159039 .734520 .106440 0  0 .209114 .790886 0        0 0 .333333 .666667
"""
UNSURE = {  # patients whose fitness stays uncertain by more than a millionth, and P(fitness)
    7: (0.981020, 0.018980, 0, 0), 15: (0.999997, 0.000003, 0, 0), 16: (0.999998, 0.000002, 0, 0),
    30: (0.999146, 0.000854, 0, 0), 32: (0, 0.000021, 0.999979, 0), 35: (0, 0.947995, 0.052005, 0),
    38: (0, 0.021200, 0.978800, 0), 42: (0.999806, 0.000194, 0, 0), 44: (0.999997, 0.000003, 0, 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def anaesthetists() -> Coded:
    """The ratings; the first observer's three ratings of a patient stand side by side."""
    patients = [word.replace(".", "") for word in RATINGS.split()]
    rows = [
        (f"patient {i}", "fitness", observer, rating)
        for i, ratings in enumerate(patients, start=1)
        for observer, rating in zip(OBSERVERS, ratings, strict=True)
    ]
    assert len(rows) == 315
    return coded_from(rows, {"fitness": "1234"})


@pytest.fixture(scope="module")
def model(anaesthetists):
    """Maximum likelihood, from vote shares, maximisation first: other starts end at other maxima."""
    return DawidSkene(prior="flat", tolerance=1e-15).fit(anaesthetists)


def test_the_published_prevalence_is_found(model):
    """Table 2: .40 .42 .11 .07."""
    np.testing.assert_array_equal(model.prevalence("fitness").round(2), [0.40, 0.42, 0.11, 0.07])


def test_the_published_rows_of_the_first_observer_are_found(model):
    """Table 3, to its two decimals."""
    published = [[0.89, 0.11, 0, 0], [0.07, 0.88, 0.05, 0], [0, 0.34, 0.66, 0], [0, 0, 0.56, 0.44]]
    np.testing.assert_array_equal(model.confusion("fitness").rows[0].round(2), published)


def test_the_published_fitness_of_the_first_patients_is_found(model, anaesthetists):
    """Table 4: patients 1 to 6 are of fitness 1 4 2 2 2 2, each with probability 1.00."""
    probs = model.predict(anaesthetists).latent().probs("fitness")[:6]
    np.testing.assert_array_equal(probs.round(2), np.eye(4)[[0, 3, 1, 1, 1, 1]])


def test_the_fixed_point_is_found_to_all_digits(model, anaesthetists):
    """Log likelihood, prevalence, rows and posteriors of the maximum that vote shares lead to."""
    assert model.fit.status == "converged"
    assert model.fit.objective[-1] == pytest.approx(-192.8908812, abs=5e-8)
    np.testing.assert_allclose(model.prevalence("fitness"), [0.3996, 0.4220, 0.1118, 0.0667], atol=5e-5)
    rows = np.array(ROWS.split(), float).reshape(5, 4, 4)
    np.testing.assert_allclose(model.confusion("fitness").rows, rows, atol=1e-6)
    probs = model.predict(anaesthetists).latent().probs("fitness")
    for patient in range(1, 46):
        if patient in UNSURE:
            np.testing.assert_allclose(probs[patient - 1], UNSURE[patient], atol=1e-6)
        else:
            assert probs[patient - 1].max() > 1 - 1e-6


def test_with_priors_no_rating_is_impossible(anaesthetists):
    """Learned pseudo-counts leave every rating open, and the rows of the two frequent classes as they were."""
    learned = DawidSkene().fit(anaesthetists)
    rows = learned.confusion("fitness").rows
    assert (rows > 0).all()
    assert (learned.predict(anaesthetists).latent().probs("fitness") > 0).all()
    np.testing.assert_allclose(rows[0, :2], [[0.89, 0.11, 0, 0], [0.07, 0.88, 0.05, 0]], atol=0.05)
