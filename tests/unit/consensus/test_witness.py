"""What everybody else says about the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quorate.consensus.posterior import PeopleRows, Target
from quorate.consensus.witness import _table, without_models, witnesses
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
    after = witnesses(crowd.model, changed)[0].of_label
    assert np.allclose(before[7], after[7])
    same_item = crowd.coded.cell_of_label() == crowd.coded.cell_of_label()[7]
    assert not np.allclose(before[same_item], after[same_item])


def test_two_labels_are_judged_without_both():
    """q_a q_b / q is the posterior with both labels removed, where labels are independent given the truth."""
    crowd = Crowd.drawn(0, n_items=15, models=[2], shared=0.5)
    of = witnesses(crowd.model, crowd.coded)[0]
    left, right = label_pairs(of.item)
    found = of.of_pair(left, right)
    for pair in range(0, len(left), 7):
        keep = np.ones(len(of.item), bool)
        keep[[of.position[left[pair]], of.position[right[pair]]]] = False
        expected = crowd.model.predict(crowd.coded.keep_labels(keep)).probs("t")[of.item[left[pair]]]
        assert found[pair] == pytest.approx(expected, abs=1e-4)


def test_models_testify_only_where_they_help_to_foretell_people():
    """Good models do; models that the posterior takes for twelve independent ones, while they copy one, do not."""
    useful = Crowd.drawn(0, models=[1, 1], model_accuracy=0.8)
    of = witnesses(useful.model, useful.coded)[0]
    assert of.models_testify
    assert np.allclose(of.of_item, useful.model.predict(useful.coded).probs("t"), atol=1e-6)
    copies = Crowd.drawn(0, models=[12], shared=1.0, model_accuracy=0.5)
    apart = replace(copies.model.families, members=tuple((m,) for m in range(12)))
    of = witnesses(replace(copies.model, families=apart), copies.coded)[0]
    assert not of.models_testify
    assert np.allclose(of.of_item, copies.model.predict(without_models(copies.coded)).probs("t"), atol=1e-6)


def test_items_where_nobody_spoke_are_not_known():
    """Only people and gold make an item known; silenced models say nothing."""
    labels, answers = np.array([[0, 0], [1, -1], [-1, -1]]), np.array([[2], [2], [2]])
    coded = coded_from_matrix(labels, answers, n_classes=3)
    model = replace(Crowd.drawn(0).model, annotators=coded.annotators, models=coded.models)
    assert witnesses(model, coded)[0].known.tolist() == [True, True, False]
    silent = without_models(coded).outputs[0]
    assert not silent.kind.any()
    assert (silent.answer == -1).all()


def test_gold_is_the_truth_where_it_is_known():
    """For labels a state of its own, for items and pairs the class."""
    crowd = Crowd.drawn(0, n_items=20)
    gold = np.full((20, 1), -1, np.int16)
    gold[3] = 2
    of = witnesses(crowd.model, replace(crowd.coded, gold=gold))[0]
    on_gold = of.item == 3
    assert of.of_item[3].tolist() == [0.0, 0.0, 1.0]
    assert (of.of_label[on_gold] == [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]).all()
    assert (of.of_label[~on_gold, 3:] == 0).all()
    assert of.credit.tolist() == np.vstack([np.eye(3), np.eye(3)]).tolist()
    left, right = label_pairs(of.item)
    assert (of.of_pair(left, right)[of.item[left] == 3] == [0.0, 0.0, 1.0]).all()
    assert (of.of_item[4] < 1).all()


def test_without_gold_the_truth_is_what_most_people_would_say():
    """A latent class is read as the majority of a large panel, whatever its name; without people's rows by its name."""
    crowd = Crowd.drawn(0, n_items=10)
    rows = PeopleRows(np.eye(3), np.array([[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.34, 0.33, 0.33]]), None)
    consensus = crowd.model.predict(crowd.coded)
    panel = replace(consensus, people=(rows,), targets=(Target("panel", 3),))
    table = _table(panel, 0)
    assert table[:2].argmax(axis=1).tolist() == [1, 0]
    assert (table[:2].max(axis=1) > 0.999).all()
    assert (table[2] > 0.3).all()
    assert _table(replace(panel, targets=(Target("latent"),)), 0).tolist() == np.eye(3).tolist()
