"""`quorate demo`: what a consensus saves, on data whose truth is known."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.source import Size, size
from quorate.cli.terminal import console, count, legend, notes, percent, print_json, progress, table

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from quorate.cli.savings import Replayed, Stop
    from quorate.cli.terminal import Progress
    from quorate.consensus.agents import Agents
    from quorate.consensus.posterior import Consensus
    from quorate.consensus.reliability import AgentFigure
    from quorate.data.dataset import Dataset
    from quorate.data.encode import Coded

SURE = 0.95
OTHERS = ("majority", "dawid-skene")
BEST = "hybrid"
STORY = {
    "digits": "Real images of handwritten digits (scikit-learn's) and real answers of six classifiers of two families, "
    "which saw sixty images each. The people are simulated, and so is what they get wrong.",
    "paper": "All simulated: ten related questions, models of two families, people with habits of their own.",
    "coupled": "All simulated: ten closely related questions, models of two families, people with habits of their own.",
    "real-like": "All simulated: five questions, six models that err together in three families, people who tire, are "
    "careless about an item now and then, or only click.",
}


class World(StrEnum):
    """Data whose truth is known."""

    DIGITS = "digits"
    PAPER = "paper"
    COUPLED = "coupled"
    REAL_LIKE = "real-like"


class Person(NamedTuple):
    """One person on one task."""

    found: AgentFigure
    in_truth: float  # share of the answers that were really right


class Shown(NamedTuple):
    """Everything that the demonstration tells."""

    counts: Size
    replayed: dict[str, Replayed]
    goal: float  # accuracy of the best of the others with all labels
    stops: dict[str, Stop | None]  # with the fewest labels as right as that
    agents: Agents
    people: tuple[Person, ...]  # on the first task, the best first
    accuracy: float  # of the consensus that was written, against the truth
    sure: tuple[float, float]  # share of its answers above .95, and how many of those are right


def demo(
    world: Annotated[
        World, typer.Option(help="digits, or a simulated world: paper, coupled, real-like.")
    ] = World.DIGITS,
    out: Annotated[
        Path | None, typer.Option(help="Where data, model and consensus go; quorate-demo if not given.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Fit, compare and save a consensus on data whose truth is known. Takes less than a minute."""
    from quorate.consensus.agents import agents_report
    from quorate.consensus.archive import save
    from quorate.consensus.registry import estimator
    from quorate.data.write import write_table

    with progress("demo") as step:
        step(0.0, "making the data")
        data, truth = _made(world)
        model = estimator(BEST).fit(data, progress=lambda share, _what: step(0.3 * share, "fitting"))
        consensus = model.predict(data).latent()
        step(0.3, "judging the agents")
        agents = agents_report(model, data)
        shown = _shown(data, truth, consensus, agents, lambda share, what: step(0.4 + 0.6 * share, what))
    out = out or Path("quorate-demo" if world is World.DIGITS else f"quorate-demo-{world.value}")
    data.write(out)
    save(model, out / "model.quorate")
    write_table(consensus.table(), out / "consensus.parquet")
    if as_json:
        print_json({"world": world.value, "out": str(out), **_figures(shown)})
    else:
        _tell(console(), world, shown, out)


def _made(world: World) -> tuple[Dataset, np.ndarray]:
    if world is World.DIGITS:
        from quorate.simulate.digits import digits

        made = digits(n_items=1_000)
        return made.data, made.truth
    from quorate.simulate.world import world as named

    simulated = named(world.value, n_items=1_000)
    return simulated.dataset(), simulated.truth


def _shown(data: Dataset, truth: np.ndarray, consensus: Consensus, agents: Agents, step: Progress) -> Shown:
    import numpy as np

    from quorate.cli.savings import as_right_as, replayed, with_truth

    coded = data.encode()
    ready = with_truth(coded, truth)
    judged = {
        name: replayed(name, ready, lambda share, what, place=place: step((place + share) / (len(OTHERS) + 1), what))
        for place, name in enumerate((*OTHERS, BEST))
    }
    goal = max(float(judged[name].accuracy[-1]) for name in OTHERS)
    names = [task.name for task in consensus.schema.tasks]
    right = np.column_stack([consensus.label_codes(name) for name in names]) == truth
    sure = np.column_stack([consensus.confidence(name) for name in names]) >= SURE
    return Shown(
        size(coded),
        judged,
        goal,
        {name: as_right_as(goal, found) for name, found in judged.items()},
        agents,
        _people(coded, truth, agents),
        float(right.mean()),
        (float(sure.mean()), float(right[sure].mean()) if sure.any() else 0.0),
    )


def _people(coded: Coded, truth: np.ndarray, agents: Agents) -> tuple[Person, ...]:
    """Everybody on the first task, as found and as it is."""
    import numpy as np

    item, task = np.divmod(coded.cell_of_label(), coded.n_tasks)
    right, who = coded.labels.code == truth[item, task], coded.labels.annotator
    of_person = [right[(who == place) & (task == 0)] for place in range(len(coded.annotators))]
    shares = {name: float(of.mean()) for name, of in zip(coded.annotators, of_person, strict=True) if len(of)}
    first = coded.schema.tasks[0].name
    found = [one for one in agents.agents if one.agent in shares and one.task == first and one.accuracy is not None]
    found.sort(key=lambda one: -(one.accuracy or 0.0))
    return tuple(Person(one, shares[one.agent]) for one in found)


def _figures(shown: Shown) -> dict[str, Any]:
    return {
        "data": shown.counts._asdict(),
        "accuracy_by_labels": {name: found.accuracy.tolist() for name, found in shown.replayed.items()},
        "goal": shown.goal,
        "as_right": {name: stop and stop._asdict() for name, stop in shown.stops.items()},
        "consensus": {"accuracy": shown.accuracy, "sure": shown.sure[0], "right_where_sure": shown.sure[1]},
        "agents": shown.agents.figures_json(),
    }


# ---- in plain words -------------------------------------------------------------------------------------------------
def _tell(screen: Console, world: World, shown: Shown, out: Path) -> None:
    screen.print(f"[bold]quorate demo[/bold]: {shown.counts.line()}")
    screen.print(f"{STORY[world.value]}\n")
    _tell_savings(screen, shown)
    _tell_people(screen, shown)
    _tell_models(screen, shown)
    files = [
        ("consensus.parquet", "a label and its probability for every item and task"),
        ("model.quorate", "what was learned, for new items: quorate predict FOLDER --model ..."),
        ("the data", f"try: quorate agents {out}"),
    ]
    screen.print(f"\n[bold]Written to {out}[/bold]")
    screen.print(legend(files))


def _tell_savings(screen: Console, shown: Shown) -> None:
    steps = range(len(shown.replayed["majority"].accuracy))
    goal = percent(shown.goal)
    headings = ("people asked", *map(str, steps), f"labels for {goal}", "saved")
    rows = [
        (name, *(percent(share) for share in found.accuracy), *_cost(shown.stops[name]))
        for name, found in shown.replayed.items()
    ]
    n_labels = count(shown.replayed[BEST].labels)
    screen.print(f"[bold]Share of right answers[/bold] on the half that no estimator saw ({n_labels} labels)")
    screen.print(table(headings, rows))
    best, (share, right) = shown.stops[BEST], shown.sure
    if best is not None:
        screen.print(
            f"\nThe best of the others is right on {goal} with all labels. Once taught by the other half of the items, "
            f"{BEST} is as right with [bold]{percent(1 - best.saved)} of the labels[/bold], asking on until it is "
            f"{best.confidence:.2f} sure."
        )
    screen.print(
        f"With all labels its consensus is right on {percent(shown.accuracy)}. Of {percent(share)} it is {SURE} sure "
        f"or more, and {percent(right)} of those are right.\n"
    )


def _cost(stop: Stop | None) -> tuple[str, str]:
    return ("never", "-") if stop is None else (count(stop.labels), f"{stop.saved:.0%}")


def _tell_people(screen: Console, shown: Shown) -> None:
    people = shown.people
    chosen = people if len(people) <= 4 else (*people[:2], *people[-2:])
    rows = [
        (one.agent, f"{one.accuracy:.0%}", f"{one.low:.0%} to {one.high:.0%}", f"{in_truth:.0%}", count(one.n))
        for one, in_truth in chosen
    ]
    task = people[0].found.task if people else ""
    screen.print(f"[bold]Who can be relied on[/bold], best and worst of {len(people)} people on {task!r}")
    screen.print(table(("person", "found right", "95% interval", "in truth", "answers"), rows))


def _tell_models(screen: Console, shown: Shown) -> None:
    """The models' worth and their families: the first of the findings."""
    screen.print("\n[bold]Which models err together[/bold]")
    screen.print(notes(shown.agents.sentences()[: 1 + len(shown.agents.shared.families)]))
