"""Answer strategies and the learned combination."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.cascade.combine import combination, logs
from quorate.cascade.readings import read, readings
from quorate.cascade.votes import DEFAULT, check, strategies_of, vote, weights_of
from quorate.errors import SettingError
from unit.cascade.simulated import said


def test_the_weighted_majority_is_formula_1_of_the_source() -> None:
    """argmax_c Σ_k s_k 1[a_k = c], counted by hand."""
    probs = said(200, seed=0).scores
    votes = np.zeros((200, 3))
    for item in range(200):
        for agent in range(3):
            votes[item, probs[item, agent].argmax()] += probs[item, agent].max()
    np.testing.assert_allclose(weights_of(probs), votes)
    np.testing.assert_array_equal(vote("weighted", probs), votes.argmax(axis=1))


def test_a_majority_is_a_majority_and_ties_go_to_the_better_scored() -> None:
    """Two of three win whatever the scores; one against one is the surer one's."""
    two = np.array([[[0.51, 0.49], [0.51, 0.49], [0.01, 0.99]]])
    assert vote("majority", two).tolist() == [0]
    assert vote("majority", two[:, 1:]).tolist() == [1]


def test_relabeling_classes_relabels_the_answers() -> None:
    """No vote and no combination knows names (the first class wins exact ties only)."""
    answers = said(400, seed=1)
    turned = np.array([2, 0, 1])
    one = combination(answers.scores, answers.truth)
    other = combination(answers.scores[:, :, np.argsort(turned)], turned[answers.truth])
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-6)
    moved = answers.scores[:, :, np.argsort(turned)]
    np.testing.assert_array_equal(turned[vote("weighted", answers.scores)], vote("weighted", moved))


def test_the_combination_is_at_the_top_of_its_penalised_likelihood() -> None:
    """No small step in any direction is better."""
    answers = said(300, seed=2)
    found, x = combination(answers.scores, answers.truth), logs(answers.scores)

    def height(weights: np.ndarray, bias: np.ndarray) -> float:
        logits = np.einsum("k,ikc->ic", weights, x) + bias
        likelihood = (logits[np.arange(300), answers.truth] - np.log(np.exp(logits).sum(axis=1))).sum()
        return float(likelihood - ((weights - 1 / 3) ** 2).sum() / 2 - (bias**2).sum() / (2 * 0.3**2))

    best = height(found.weights, found.bias)
    rng = np.random.default_rng(0)
    for _ in range(20):
        step = rng.normal(size=6) * 0.01
        assert height(found.weights + step[:3], found.bias + step[3:]) <= best + 1e-4


def test_the_combination_beats_every_agent_and_vote_where_agents_differ() -> None:
    """On items it was not fitted on."""
    teach, judge = said(2000, seed=3), said(4000, seed=4)
    by = readings(teach, "vector")
    fitted = combination(read(teach, by), teach.truth)
    probs = read(judge, by)
    right = (fitted.probs(probs).argmax(axis=1) == judge.truth).mean()
    others = [(probs[:, at].argmax(axis=1) == judge.truth).mean() for at in range(3)]
    others += [(vote(name, probs) == judge.truth).mean() for name in ("majority", "weighted")]
    assert right > max(others)


def test_one_call_leaves_one_answer() -> None:
    """No vote of one."""
    assert [each.name for each in strategies_of(0b010, 3, DEFAULT)] == ["single", "learned"]
    assert strategies_of(0b010, 3, DEFAULT)[0].agent == 1


@pytest.mark.parametrize(("names", "says"), [(("single", "oracle"), "no strategy 'oracle'"), (("majority",), "single")])
def test_unknown_strategies_are_named(names: tuple[str, ...], says: str) -> None:
    """With what there is."""
    with pytest.raises(SettingError, match=says):
        check(names)
