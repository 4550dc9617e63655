"""What each model adds: limits that hold whatever the estimator is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quorate.consensus.hybrid import Hybrid
from quorate.consensus.registry import estimator
from quorate.data.encode import Coded
from quorate.errors import DataError
from quorate.measure.efficiency import Estimate
from quorate.report.settle import settled, shortened
from quorate.report.worth import MARGIN, Loss, worth
from quorate.simulate.world import world
from quorate.study.campaign import setting_of  # two tasks of the paper's world

QUICK = Hybrid(
    factors=1, subtypes=1, annotator_shrinkage=5.0, model_shrinkage=100.0, people_shrinkage=15.0, points=16,
    max_iterations=60,
)  # fmt: skip
GOAL = 0.9


def campaign(n_items: int = 300) -> Coded:
    """Two tasks; three models in two families."""
    from quorate.simulate.world import simulate

    return simulate(setting_of(2), n_items, seed=4).coded()


def with_models(coded: Coded, chosen: list[int], names: tuple[str, ...]) -> Coded:
    """These models, by place, under these names; a place may come twice."""
    outputs = tuple(
        output._replace(
            kind=output.kind[:, chosen].copy(), scores=output.scores[:, chosen].copy(),
            answer=output.answer[:, chosen].copy(),
        )
        for output in coded.outputs
    )  # fmt: skip
    return replace(coded, models=names, outputs=outputs)


def noisy(coded: Coded, model: int) -> Coded:
    """One model answers by the dice."""
    rng = np.random.default_rng(5)
    for output in coded.outputs:
        output.scores[:, model] = rng.dirichlet(np.ones(output.scores.shape[2]), coded.n_items)
        output.answer[:, model] = output.scores[:, model].argmax(axis=1)
    return coded


@pytest.mark.slow
def test_a_copy_is_worth_nothing_while_the_other_is_there_and_both_together_are_worth_something() -> None:
    """Either twin alone can go; the group that can go holds one of them only."""
    twins = with_models(campaign(), [0, 0], ("one", "other"))
    found = worth(twins, QUICK, GOAL)
    assert all(abs(loss.nats.value) < MARGIN for loss in found.each)
    together = found.together.nats_alone
    assert together.value > 3 * together.se
    assert found.spare is None or len(found.spare.models) == 1


@pytest.mark.slow
def test_dice_are_spare_and_a_good_model_is_not() -> None:
    """A model that answers by the dice is never worth more than one that knows, and is first to go."""
    of = noisy(with_models(campaign(600), [0, 2], ("knows", "dice")), 1)
    found = worth(of, QUICK, GOAL)
    assert found.each[0].models == ("knows",)
    dice = next(loss for loss in found.each if loss.models == ("dice",))
    assert abs(dice.nats.value) < 4 * max(dice.nats.se, 1e-4)
    knows = next(loss for loss in found.each if loss.models == ("knows",))
    assert knows.nats_alone.value > 3 * knows.nats_alone.se


def test_one_model_alone_is_worth_what_all_are() -> None:
    """Leaving it out leaves people only."""
    found = worth(with_models(campaign(80), [0], ("only",)), QUICK, GOAL)
    assert found.each == (found.together,)
    assert found.spare is None


def test_without_models_or_with_deaf_estimators_there_is_a_reason() -> None:
    """No row of zeros."""
    coded = campaign(60)
    with pytest.raises(DataError, match="no model answered"):
        worth(with_models(coded, [], ()), QUICK, GOAL)
    with pytest.raises(DataError, match="does not listen"):
        worth(coded, estimator("majority"), GOAL)
    with pytest.raises(DataError, match="no person"):
        worth(coded.without_labels(), QUICK, GOAL)


def test_nothing_is_lost_only_where_that_is_sure() -> None:
    """A loss of 0 with a large error is no proof; labels count where they are known."""
    sure, vague = Estimate(0.0, MARGIN / 4), Estimate(0.0, MARGIN)
    assert Loss(("a",), sure, None, None).surely_nothing()
    assert not Loss(("a",), vague, None, None).surely_nothing()
    assert not Loss(("a",), Estimate(0.0, None), None, None).surely_nothing()
    assert not Loss(("a",), sure, None, Estimate(0.05, 0.001)).surely_nothing()
    assert not Loss(("a",), None, None, sure).surely_nothing()


def test_settled_options_choose_nothing() -> None:
    """All settings of a fit are given, so that the next fit searches for none; others stay as they are."""
    data = world("paper", 40).coded()
    model = QUICK.fit(data)
    again = settled(Hybrid(), model)
    assert isinstance(again, Hybrid)
    fitted = again.fit(data)
    assert fitted.settings == model.settings
    assert not any("Chosen" in note for note in fitted.fit.notes)
    majority = estimator("majority")
    assert shortened(settled(majority, majority.fit(data)), 3) is majority
