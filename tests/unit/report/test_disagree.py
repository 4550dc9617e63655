"""Where people and models answer differently."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from quorate.consensus.registry import estimator
from quorate.data.dataset import Dataset
from quorate.errors import DataError
from quorate.report.disagree import apart, divided, doubts, item_texts
from unit.report import hostile


def test_it_is_half_of_the_likelihood_ratio_statistic() -> None:
    """As scipy computes it for the table of two rows."""
    people, models = np.array([[5.0, 2.0, 1.0]]), np.array([[1.0, 4.0, 2.0]])
    statistic = chi2_contingency(np.vstack([people, models]), correction=False, lambda_="log-likelihood").statistic
    assert apart(people, models)[0] == pytest.approx(statistic / 2)


def test_relabeling_classes_and_swapping_sides_change_nothing() -> None:
    """It knows no class and no side."""
    rng = np.random.default_rng(0)
    people, models = rng.integers(0, 5, (30, 4)).astype(float), rng.integers(0, 5, (30, 4)).astype(float)
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(apart(people, models), apart(people[:, order], models[:, order]))
    np.testing.assert_allclose(apart(people, models), apart(models, people))


def test_equal_shares_and_silence_are_no_disagreement() -> None:
    """0 nats, whatever the numbers."""
    people = np.array([[2.0, 2.0], [0.0, 0.0], [3.0, 1.0]])
    models = np.array([[1.0, 1.0], [3.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(apart(people, models), 0.0, atol=1e-12)


def test_more_voices_speak_louder_unless_they_are_copies() -> None:
    """Twice the labels, twice the nats; models count at most as their effective number."""
    people, models = np.array([[3.0, 0.0]]), np.array([[0.0, 3.0]])
    assert apart(2 * people, 2 * models)[0] == pytest.approx(2 * apart(people, models)[0])
    assert apart(people, 10 * models, 3.0)[0] == pytest.approx(apart(people, models)[0])


def test_division_is_entropy_times_number() -> None:
    """Four people, two and two: four bits."""
    assert divided(np.array([[2.0, 2.0], [0.0, 0.0]])).tolist() == pytest.approx([4 * np.log(2), 0.0])


def test_the_first_item_is_the_one_all_people_and_all_models_answer_oppositely() -> None:
    """And its content, labels and answers are told."""
    data = hostile.dataset()
    coded = data.encode()
    found = doubts(data, coded, estimator("majority").fit(data), None)
    first = found.shown[0]
    assert found.between == "people and models"
    assert first.people[0][0] != first.models[0][0]
    assert first.text[0] == ("text", f"What of {first.item[1:]}?")
    assert [one.nats for one in found.shown] == sorted((one.nats for one in found.shown), reverse=True)


def test_without_models_people_are_held_against_each_other() -> None:
    """The table says so."""
    data = hostile.dataset(n_models=0)
    found = doubts(data, data.encode(), estimator("majority").fit(data), None)
    assert found.between == "people"
    assert found.shown[0].models == ()
    assert [n for _, n in found.shown[0].people] == [2, 2]


def test_where_nobody_disagrees_there_is_a_reason_not_a_table() -> None:
    """One person on every item."""
    labels = {"item": ["a", "b"], "task": ["t", "t"], "annotator": ["x", "x"], "label": ["y", "n"]}
    data = Dataset(labels=_table(labels))
    with pytest.raises(DataError, match="nobody contradicts"):
        doubts(data, data.encode(), estimator("majority").fit(data), None)


def test_texts_are_cut_and_features_are_no_texts() -> None:
    """Long contents end in an ellipsis; only the items asked for are read."""
    items = _table({"item": ["a", "b"], "body": ["x" * 5_000, "short"], "note": [None, "n"], "x_size": [1.0, 2.0]})
    found = item_texts(items, {"a"})
    assert list(found) == ["a"]
    assert [name for name, _ in found["a"]] == ["body"]
    assert found["a"][0][1].endswith("…")
    assert len(found["a"][0][1]) <= 600


def _table(columns):
    import pyarrow as pa

    return pa.table(columns)
