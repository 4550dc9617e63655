"""Laws of curves and fronts: every point is a policy replayed, areas by hand, who dominates whom."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from quorate.consensus.majority import Majority
from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.evaluate.protocol import n_labels, trial
from quorate.evaluate.protocol import replay as protocol_replay
from quorate.measure.efficiency import auc as protocol_auc
from quorate.measure.efficiency import curve
from quorate.policy.front import (
    Curves,
    Point,
    auc,
    auc_estimate,
    curves,
    curves_of,
    pareto,
    points,
    raised,
    spread,
    undominated,
)
from quorate.policy.prices import Prices
from quorate.policy.replay import replay_steps
from quorate.policy.steps import Steps, cross_fitted, select, steps_of
from quorate.policy.stopping import (
    FixedOverlap,
    Joint,
    MajorityAgreement,
    Maximum,
    Mean,
    Minimum,
    PerTaskConfidence,
    PerTaskEntropy,
    Policy,
    Product,
)
from quorate.simulate.world import world
from unit.policy.test_replay import Every

KINDS: tuple[Policy, ...] = (
    Minimum(1.0), Mean(1.0), Maximum(1.0), Joint(1.0), Product(1.0), PerTaskConfidence(1.0), PerTaskEntropy(0.0),
    FixedOverlap(0), MajorityAgreement(1.0, fewest=0, most=9),
)  # fmt: skip


def stops_when_certain(kind: Policy) -> bool:
    """Votes that all agree are certain, so that no share makes anybody ask on."""
    return isinstance(kind, MajorityAgreement)


@pytest.fixture(scope="module")
def ragged() -> Coded:
    """Items with up to five labels per task; many have no truth, since their labels are few or tied."""
    full = world("paper", 120, 5).coded()
    return full.keep_labels(np.random.default_rng(3).random(len(full.labels.code)) < 0.7)


@pytest.fixture(scope="module")
def steps(ragged: Coded) -> Steps:
    """Its states, a label at .25 and on task 3 at 2."""
    return cross_fitted(ragged, Majority(who="all"), prices=Prices(0.25, {"task-03": 2.0}))


# ---- curves ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", [None, "task-03"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_point_of_a_curve_is_a_policy_of_its_family(kind: Policy, task: str | None, steps: Steps) -> None:
    """Raised to the point's sureness and replayed, it saves, costs and reaches what the curve says."""
    of = curves(steps, kind, task)
    assert of.sureness is not None
    assert of.accuracy is not None
    assert of.log_loss is not None
    last = len(of.sureness) - (1 if stops_when_certain(kind) else 0)
    some = np.unique(np.linspace(0, last - 1, 7).astype(int))
    found = replay_steps(steps, [raised(kind, float(of.sureness[place])) for place in some])
    for place, point in enumerate(some):
        figures = found.figures(place)[task or ""]
        assert figures.efficiency == pytest.approx(of.efficiency[point], abs=1e-9)
        assert figures.cost == pytest.approx(of.cost[point], abs=1e-6)
        assert figures.accuracy is not None
        assert figures.log_loss is not None
        assert figures.accuracy.value == pytest.approx(of.accuracy[point], abs=1e-9)
        assert figures.log_loss.value == pytest.approx(of.log_loss[point], abs=1e-9)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_curve_runs_from_nothing_bought_to_everything(kind: Policy, steps: Steps) -> None:
    """Efficiency falls from 1 to 0 while cost rises from 0 to the price of all labels."""
    of = curves(steps, kind)
    assert (of.efficiency[0], of.cost[0]) == (1.0, 0.0)
    assert of.efficiency[-1] == pytest.approx(0.0, abs=1e-12)
    assert of.cost[-1] == pytest.approx(steps.cost[-1].sum())
    assert (np.diff(of.efficiency) <= 1e-12).all()
    assert (np.diff(of.cost) >= -1e-9).all()


def test_tasks_add_up_to_the_whole(steps: Steps) -> None:
    """At the ends the cost of all tasks is that of each."""
    total = sum(float(curves(steps, Mean(1.0), task.name).cost[-1]) for task in steps.schema.tasks)
    assert total == pytest.approx(float(curves(steps, Mean(1.0)).cost[-1]))


@pytest.mark.parametrize(("kind", "rule"), [(Minimum(1.0), "minimum"), (PerTaskConfidence(1.0), "per_task")])
def test_where_all_have_a_truth_the_area_is_that_of_the_protocol(kind: Policy, rule: str) -> None:
    """DESIGN's definition: the same curve, by the same rule."""
    ready = trial(world("paper", 60).coded())
    truth = ready.truth._replace(code=np.maximum(ready.truth.code, 0), kind=("latent",) * 10)
    model = Majority(who="all").fit(ready.coded)
    there = protocol_replay(model, ready.coded, truth)
    area = protocol_auc(curve(there.confidence, there.credit, n_labels(ready.coded), rule=rule))
    mine = steps_of(model, ready.coded, truth)
    assert auc(curves(mine, kind)) == pytest.approx(area, abs=1e-12)
    estimate = auc_estimate(mine, kind)
    assert estimate is not None
    assert estimate.value == pytest.approx(area, abs=1e-12)
    assert estimate.se is not None


def test_areas_by_hand() -> None:
    """Half of the labels saved at .7, none at .9, all at .5: flat ends add nothing; log loss alike, up is worse."""
    of = Curves(
        np.array([1.0, 0.5, 0.0]), np.array([0.0, 1, 2]), np.array([0.5, 0.7, 0.9]), np.array([2.0, 1, 0]), None
    )
    assert auc(of) == pytest.approx(0.5 * (0.5 + 0.7) / 2 + 0.5 * (0.7 + 0.9) / 2)
    assert auc(of, "log_loss") == pytest.approx(1.0)
    short = Curves(np.array([0.5]), np.array([1.0]), np.array([0.7]), None, None)
    assert auc(short) == pytest.approx(0.7)
    assert auc(short, "log_loss") is None


def test_the_error_of_an_area_is_that_over_samples_of_items() -> None:
    """The bootstrap's standard error agrees with the spread over samples, within what 12 samples can tell."""
    data = world("paper", 1_200).coded()
    steps = cross_fitted(data, Majority(who="all"))
    found = [auc_estimate(select(steps, part), PerTaskConfidence(1.0)) for part in np.arange(1_200).reshape(12, 100)]
    values, errors = (np.array([getattr(each, name) for each in found]) for name in ("value", "se"))
    ratio = values.std(ddof=1) / errors.mean()
    assert 1 - 4 / np.sqrt(2 * 11) < ratio < 1 + 4 / np.sqrt(2 * 11)


def test_a_task_without_truth_has_no_quality_but_a_cost(ragged: Coded) -> None:
    """Unknown is absent."""
    steps = cross_fitted(ragged, Majority())
    counted = steps.counted.copy()
    counted[:, 2] = False
    blind = steps._replace(counted=counted)
    of = curves(blind, PerTaskConfidence(1.0), "task-03")
    assert of.accuracy is None
    assert of.log_loss is None
    assert auc(of) is None
    assert auc_estimate(blind, PerTaskConfidence(1.0), "task-03") is None
    assert of.cost[-1] == steps.n_labels[:, 2].sum()
    assert points(replay_steps(blind, [FixedOverlap(1)]), "task-03")[0].accuracy is None


# ---- families -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_policies_spread_over_a_curve_ask_ever_more(kind: Policy, steps: Steps) -> None:
    """From nothing to all, no two the same, and their curve is part of the whole one."""
    some = spread(steps, kind, 9)
    assert len(set(map(str, some))) == len(some) > 2
    found = replay_steps(steps, some)
    labels = [found.figures(place)[""].labels for place in range(len(some))]
    assert labels[0] == 0
    assert stops_when_certain(kind) or labels[-1] == steps.n_labels.sum()
    assert all(few <= more for few, more in pairwise(labels))
    through, whole = curves_of(found, range(len(some))), curves(steps, kind)
    assert whole.accuracy is not None
    assert through.accuracy is not None
    places = [int(np.abs(whole.efficiency - each).argmin()) for each in through.efficiency]
    np.testing.assert_allclose(through.accuracy, whole.accuracy[places], atol=1e-9)


def test_a_policy_that_is_not_ours_has_no_known_family() -> None:
    """It is swept by hand."""
    with pytest.raises(SettingError, match="'every'"):
        raised(Every(3), 0.5)


def test_thresholds_of_single_tasks_give_way_to_the_sweep() -> None:
    """A family has one threshold; other settings stay."""
    assert raised(PerTaskConfidence(0.9, {"a": 0.2}), 1.0) == PerTaskConfidence(1.0)
    assert raised(MajorityAgreement(0.9, 3, 7), -1.0) == MajorityAgreement(0.0, 3, 7)
    assert raised(FixedOverlap(2, {"a": 9}), -np.inf) == FixedOverlap(0)


# ---- the front ------------------------------------------------------------------------------------------------------
def dominated(good: np.ndarray, cost: np.ndarray, one: int) -> bool:
    """Whether some other point is at least as good for no more, and better in one of the two."""
    return any(
        g >= good[one] and c <= cost[one] and (g > good[one] or c < cost[one]) for g, c in zip(good, cost, strict=True)
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_who_is_dominated_by_nobody(seed: int) -> None:
    """By the definition, point against point; ties and doubles among them."""
    rng = np.random.default_rng(seed)
    good, cost = (rng.integers(0, 6, 30).astype(float) for _ in range(2))
    assert undominated(good, cost).tolist() == [not dominated(good, cost, one) for one in range(30)]


def test_a_front_of_nobody_is_empty() -> None:
    """No point, no front."""
    assert pareto([]).tolist() == []


def test_less_log_loss_is_better() -> None:
    """The same cost: the lower one stands."""
    some = [Point(FixedOverlap(n), None, 1.0, 0.5, loss) for n, loss in enumerate((0.4, 0.3))]
    assert pareto(some, "log_loss").tolist() == [False, True]
    assert pareto(some).tolist() == [True, True]


def test_points_are_the_figures_of_the_policies_replayed(steps: Steps) -> None:
    """One per policy, in their order."""
    kinds = [FixedOverlap(1), Minimum(0.6)]
    found = replay_steps(steps, kinds)
    for place, point in enumerate(points(found)):
        figures = found.figures(place)[""]
        assert point.policy == kinds[place]
        assert (point.cost, point.efficiency) == (figures.cost, figures.efficiency)
        assert figures.accuracy is not None
        assert point.accuracy == figures.accuracy.value
