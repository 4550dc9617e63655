"""A labeling campaign in the paper's world, replayed: half of the items teach, the other half is asked label by label.

The world's truth is known, and is used to judge only: no estimator sees it as gold. All predict the latent class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.estimator import Model
from quorate.consensus.posterior import Consensus, IndependentBelief, PeopleRows, Target
from quorate.data.encode import Coded
from quorate.evaluate.protocol import Truth, aimed, judged, n_labels
from quorate.measure.efficiency import Curve, auc, moves, traced
from quorate.policy.stopping import Policy
from quorate.simulate.oracle import limit
from quorate.simulate.world import SETTINGS, Setting, World, shared_components, simulate

Array = np.ndarray
GRID = np.linspace(0.0, 1.0, 101)  # efficiencies at which curves are averaged over seeds
WORLD = "paper"


# ---- the campaign ---------------------------------------------------------------------------------------------------
class Campaign(NamedTuple):
    """What teaches, what is asked, and the truth of what is asked."""

    teach: Coded
    judge: Coded
    truth: Truth
    world: World  # of the judged items, for the oracle


def setting_of(n_tasks: int) -> Setting:
    """The paper's world with so many tasks.

    >>> setting_of(2).classes
    (3, 3)
    """
    paper = SETTINGS[WORLD]
    n_classes, correlation = paper.classes[0], float(paper.task_correlation[0, paper.classes[0] - 1])
    classes = (n_classes,) * n_tasks
    return replace(paper, classes=classes, task_correlation=shared_components(classes, correlation))


def settings_json(setting: Setting) -> dict[str, Any]:
    """The setting as JSON holds it."""
    return {name: value.tolist() if isinstance(value, Array) else value for name, value in vars(setting).items()}


def campaign(n_tasks: int, n_items: int, seed: int) -> Campaign:
    """The first half of a simulated world teaches; items are drawn alike, so the order means nothing.

    >>> campaign(2, 10, 1).judge.n_items
    5
    """
    world = simulate(setting_of(n_tasks), n_items, seed=seed)
    coded, middle = world.coded(), n_items // 2
    rest = np.arange(middle, n_items)
    truth = Truth(world.truth[rest], ("latent",) * n_tasks)
    return Campaign(coded.select(np.arange(middle)), coded.select(rest), truth, world.select(rest))


# ---- label by label -------------------------------------------------------------------------------------------------
def model_steps(model: Model, of: Campaign) -> Iterator[Consensus]:
    """The consensus after 0, 1, 2, ... labels of every item and task."""
    for j in range(int(n_labels(of.judge).max(initial=0)) + 1):
        yield aimed(model.predict(of.judge.first_labels(j)), of.judge, of.truth)


def oracle_steps(of: Campaign) -> Iterator[Consensus]:
    """The same under the true parameters; what it knows of tasks jointly is left out."""
    schema = of.judge.schema
    for j, marginals in enumerate(zip(*limit(of.world), strict=True)):
        seen = of.judge.first_labels(j)
        yield Consensus(
            schema=schema,
            items=of.judge.items,
            counts=tuple(seen.counts(t) for t in range(len(schema))),
            belief=IndependentBelief(tuple(np.ascontiguousarray(each) for each in marginals)),
            people=tuple(PeopleRows(np.eye(len(task.classes)), None, None) for task in schema.tasks),
            targets=(Target("latent"),) * len(schema),
        )


class Steps(NamedTuple):
    """The states after 0, 1, 2, ... labels, with the sureness of several policies."""

    sureness: Mapping[str, Float64[Array, "steps items tasks"]]
    credit: Float64[Array, "steps items tasks"]
    loss: Float64[Array, "steps items tasks"]  # nats
    n_labels: Int64[Array, "items tasks"]


def watched(consensuses: Iterable[Consensus], of: Campaign, policies: Iterable[Policy]) -> Steps:
    """What the policies look at, and how right one is, step by step."""
    kinds = list(policies)
    sureness: dict[str, list[Array]] = {kind.name: [] for kind in kinds}
    credit: list[Array] = []
    loss: list[Array] = []
    for consensus in consensuses:
        for kind in kinds:
            sureness[kind.name].append(kind.sureness(consensus))
        state = judged([consensus.probs(task.name) for task in consensus.schema.tasks], of.truth)
        credit.append(state.credit)
        loss.append(state.loss)
    stacked = {name: np.stack(steps) for name, steps in sureness.items()}
    return Steps(stacked, np.stack(credit), np.stack(loss), n_labels(of.judge))


# ---- curves ---------------------------------------------------------------------------------------------------------
def curves_of(steps: Steps, kind: Policy) -> tuple[Curve, Curve]:
    """Accuracy, and log loss in nats, over the share of labels saved, for every threshold of a policy."""
    rule = "minimum" if kind.whole_item else "per_task"  # tasks that stop together have one sureness, their minimum
    return tuple(
        traced(moves(steps.sureness[kind.name], quality, steps.n_labels, rule=rule))
        for quality in (steps.credit, steps.loss)
    )  # type: ignore[return-value]


def at(curve: Curve, efficiency: Float64[Array, "points"]) -> Float64[Array, "points"]:
    """The curve's quality at these efficiencies, straight between its points."""
    return np.interp(efficiency, curve.efficiency[::-1], curve.accuracy[::-1])


def summary(accuracy: Curve, log_loss: Curve) -> dict[str, Any]:
    """A pair of curves as a part keeps it; the log loss in nats, its area too, up is worse."""
    return {
        "auc": auc(accuracy),
        "log_loss_area": auc(log_loss),
        "accuracy": np.round(at(accuracy, GRID), 6).tolist(),
        "log_loss": np.round(at(log_loss, GRID), 6).tolist(),
    }
