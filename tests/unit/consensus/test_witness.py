"""What everybody else says about the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quorate.consensus.witness import without_models, witnesses
from quorate.measure.ratings import label_pairs
from unit.consensus.judged import Crowd
from unit.measure.crowd import coded_from_matrix


def test_a_label_is_judged_without_itself():
    """Another label by the same person on the same item leaves what the others say of it as it was."""
    crowd = Crowd.drawn(0, n_items=40)
    before = witnesses(crowd.model, crowd.coded)[0].of_label
    code = crowd.coded.labels.code.copy()
    code[7] = (code[7] + 1) % 3
    changed = replace(crowd.coded, labels=crowd.coded.labels._replace(code=code))
    after = witnesses(replace(crowd.model), changed)[0].of_label
    assert np.allclose(before[7], after[7])
    same_item = crowd.coded.cell_of_label() == crowd.coded.cell_of_label()[7]
    assert not np.allclose(before[same_item], after[same_item])


def test_two_labels_are_judged_without_both():
    """q_a q_b / q is the posterior with both labels removed, where labels are independent given the truth."""
    crowd = Crowd.drawn(0, n_items=15)
    of = witnesses(crowd.model, crowd.coded)[0]
    left, right = label_pairs(of.item)
    found = of.of_pair(left, right)
    for pair in range(0, len(left), 7):
        keep = np.ones(len(of.item), bool)
        keep[[of.position[left[pair]], of.position[right[pair]]]] = False
        expected = crowd.model.predict(crowd.coded.keep_labels(keep)).probs("t")[of.item[left[pair]]]
        assert found[pair] == pytest.approx(expected, abs=1e-5)


def test_models_are_judged_by_people_alone():
    """What the models said does not enter the truth of an item; items without people or gold are not known."""
    labels, answers = np.array([[0, 0], [1, -1], [-1, -1]]), np.array([[2], [2], [2]])
    coded = coded_from_matrix(labels, answers, n_classes=3)
    crowd = Crowd.drawn(0)
    model = replace(crowd.model, annotators=coded.annotators, models=coded.models)
    of = witnesses(model, coded)[0]
    assert of.known.tolist() == [True, True, False]
    assert np.allclose(of.of_item, model.predict(coded).probs("t"), atol=1e-8)
    silent = without_models(coded).outputs[0]
    assert not silent.kind.any()
    assert (silent.answer == -1).all()


def test_gold_is_the_truth_where_it_is_known():
    """For labels, items and pairs alike."""
    crowd = Crowd.drawn(0, n_items=20)
    gold = np.full((20, 1), -1, np.int16)
    gold[3] = 2
    of = witnesses(crowd.model, replace(crowd.coded, gold=gold))[0]
    assert of.of_item[3].tolist() == [0.0, 0.0, 1.0]
    assert (of.of_label[of.item == 3] == [0.0, 0.0, 1.0]).all()
    left, right = label_pairs(of.item)
    assert (of.of_pair(left, right)[of.item[left] == 3] == [0.0, 0.0, 1.0]).all()
    assert (of.of_item[4] < 1).all()
