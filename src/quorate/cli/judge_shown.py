"""What the steps of `quorate judge` print, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorate.cli.terminal import console, notes, plural, table

if TYPE_CHECKING:
    from quorate.judge.amplify import Amplified
    from quorate.judge.calibrate import Calibrated, Figure
    from quorate.judge.deciding import Decided
    from quorate.judge.folder import Standing
    from quorate.judge.gate import Decision
    from quorate.judge.rounds import Round

SHOWN = 8  # candidates


# ---- calibrate ------------------------------------------------------------------------------------------------------
def calibrated_json(found: Calibrated, standing: Standing) -> dict[str, Any]:
    """Everything but the maps, which are in calibration.json."""
    return {
        "judge": found.chosen.name,
        "version": standing.version,
        "candidates": [
            {
                "name": each.candidate.name,
                "figure": each.figure._asdict(),
                "shrunken": each.shrunken._asdict(),
                "best": each.best,
                "tasks": {task: {k: v._asdict() for k, v in of.items()} for task, of in each.tasks.items()},
                "cost_usd": each.cost_usd,
            }
            for each in found.standings
        ],
        "constant": {task: {k: v._asdict() for k, v in of.items()} for task, of in found.constant.items()},
        "spent_usd": found.spent_usd,
        "calls": found.calls,
        "stopped": found.stopped,
    }


def show_calibrated(found: Calibrated) -> None:
    """The judge, the best candidates, and what its map does."""
    screen = console()
    screen.print(f"the judge: {found.chosen.name}\n", markup=False)
    word = "agreement" if found.by == "agreement" else "minus loss"
    rows = [
        (each.candidate.name, _figure(each.figure), _figure(each.shrunken), f"{each.best:.0%}")
        for each in found.standings[:SHOWN]
    ]
    screen.print(table(("candidate", word, "shrunken", "is best"), rows))
    first, rows = found.standings[0], list[tuple[str, ...]]()
    for task, of in first.tasks.items():
        constant = found.constant[task]
        rows.append(
            (task, first.kinds[task], _figure(of["raw_loss"]), _figure(of["loss"]), _figure(of["agreement"]),
             f"{constant['agreement'].value:.2f}")
        )  # fmt: skip
    screen.print()
    screen.print(table(("task", "map", "loss before", "after", "agreement", "constant"), rows, text_columns=2))
    said = ["loss: the squared error of grades, or the log loss of classes; on held-out items"]
    if any(score_map.task.ordered for score_map in found.maps.values()):
        said.append("agreement: quadratic kappa where classes are a scale, else the share of people who say the same")
    if len(found.standings) > SHOWN:
        said.append(f"{len(found.standings) - SHOWN} more candidates are in calibration.json")
    if found.stopped:
        said.append("the cap, the account or the key ended the search: the best so far")
    if found.calls:
        said.append(f"{found.calls:,} answers, {found.spent_usd:.4f} USD")
    screen.print()
    screen.print(notes(said))


def _figure(of: Figure) -> str:
    return f"{of.value:.2f} ± {of.se:.2f}"


# ---- gate -----------------------------------------------------------------------------------------------------------
def decided_json(found: Decided) -> dict[str, Any]:
    """The decisions as gate.json has them."""
    return {
        "open": list(found.standing.open),
        "tries": found.standing.tries,
        "decisions": [{"id": each.id, **each.as_json()} for each in found.decisions],
    }


def show_decided(found: Decided, where: Path) -> None:
    """Task by task, what was shown and why it stays closed."""
    screen = console()
    rows = [row for each in found.decisions for row in _rows(each)]
    screen.print(table(("task", "gate", "shown", "estimate", "at least", "needed"), rows, text_columns=3))
    why = [f"{each.task}: {reason}" for each in found.decisions for reason in each.reasons]
    if why:
        screen.print()
        screen.print(notes(why))
    screen.print(f"\nthe report: {where / 'gate.html'}", markup=False, soft_wrap=True)


def _rows(each: Decision) -> list[tuple[str, ...]]:
    gate = "open" if each.open else "closed"
    found = list[tuple[str, ...]]()
    for place, shown in enumerate(each.shown):
        estimate = "-" if shown.estimate is None else f"{shown.estimate:.3f}"
        head = (each.task, gate) if place == 0 else ("", "")
        found.append((*head, shown.name, estimate, f"{shown.bound:.3f}", f"{shown.need:.3f}"))
    return found


# ---- amplify and watch ----------------------------------------------------------------------------------------------
def amplified_json(done: Amplified, rounds: Sequence[Round]) -> dict[str, Any]:
    """What was labeled, and what the anchors said meanwhile."""
    return {**done._asdict(), "rounds": [round_json(each) for each in rounds]}


def show_amplified(done: Amplified, rounds: Sequence[Round], where: Path) -> None:
    """How much there is now, and at what cost."""
    screen = console()
    screen.print(
        f"{plural(done.labels, 'label')} in {where / 'amplified'} "
        f"({done.chunks:,} of {plural(done.of, 'chunk')}), {done.spent_usd:.4f} USD",
        markup=False,
        soft_wrap=True,
    )
    if rounds:
        show_round(rounds[-1], where)
    if done.stopped == "cap":
        screen.print("stopped by the cap, the account or the key: run again to go on", markup=False)


def round_json(found: Round) -> dict[str, Any]:
    """One round."""
    return {**found._asdict(), "readings": {task: each._asdict() for task, each in found.readings.items()}}


def show_round(found: Round, where: Path) -> None:
    """What the anchors say of each task, and what was done about an alarm."""
    screen = console()
    rows = list[tuple[str, ...]]()
    for task, each in found.readings.items():
        state = each.alarm or ("changed" if each.changed else "as it was")
        loss = "-" if each.mean is None else f"{each.mean:.3f} ({each.low:.3f} to {each.high:.3f})"
        rows.append((task, state, f"{each.n:,}", loss))
    screen.print(table(("task", "the judge is", "anchors", "loss (at all times)"), rows, text_columns=2))
    if found.alarms:
        said = [f"alarm for {', '.join(found.alarms)}: the gate is closed, nothing more is labeled"]
        if found.quarantined:
            said.append(
                f"{plural(found.quarantined, 'item')} labeled since the last good point are in "
                f"{where / 'quarantine'}, and listed for people in {where / 'to_people.csv'}"
            )
        screen.print(notes(said))
