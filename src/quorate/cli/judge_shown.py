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
    from quorate.judge.disputes import Disputed
    from quorate.judge.estimating import Estimated, Estimates
    from quorate.judge.folder import Standing
    from quorate.judge.gate import Decision
    from quorate.judge.rounds import Round
    from quorate.measure.intervals import Interval

SHOWN = 8  # candidates; items in dispute


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
def amplified_json(done: Amplified, rounds: Sequence[Round], means: Estimates | None) -> dict[str, Any]:
    """What was labeled, what the anchors said meanwhile, and the means of the set where it is whole."""
    told = {"estimates": None if means is None else means.as_json()}
    return {**done._asdict(), "rounds": [round_json(each) for each in rounds], **told}


def show_amplified(done: Amplified, rounds: Sequence[Round], where: Path, means: Estimates | None) -> None:
    """How much there is now, at what cost, and its means where it is whole."""
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
    if means is not None:
        screen.print()
        show_estimates(means)


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


# ---- estimate -------------------------------------------------------------------------------------------------------
def show_estimates(found: Estimates) -> None:
    """Task by task: what the judge says of the set, what people would say, and what their grades alone would tell."""
    screen = console()
    for each in found.tasks:
        screen.print(f"{each.task}: {_about(each)}\n", markup=False)
        level = f"({each.level:.4g})"
        rows = [
            (row.of or "mean grade", f"{row.judge:.3f}", _mean(row.corrected), _mean(row.people)) for row in each.rows
        ]
        screen.print(table(("answer", "judge", f"corrected {level}", f"people alone {level}"), rows))
        screen.print()
    said = [
        "corrected: what a random person would say of the set, by the judge and how far it is off where people graded"
    ]
    screen.print(notes([*said, "every interval holds by itself", *found.notes()]))


def _about(each: Estimated) -> str:
    graded = f"{each.n_graded:,} graded by people correct them"
    return f"{plural(each.n_items, 'item')} labeled; {graded} (λ = {each.trust:.2f})"


def _mean(of: Interval) -> str:
    return f"{of.estimate:.3f} ({of.low:.3f} to {of.high:.3f})"


# ---- discrepancy ----------------------------------------------------------------------------------------------------
_DISPUTE_WORDS = (
    "expected: the signal per look of items so graded; signal: of this one, shrunken to what is expected",
    "residual: in its own error; q: the share of false finds in the list down to here, at most",
)


def show_disputes(found: Disputed, where: Path) -> None:
    """The first items in dispute, what chance may have to do with it, and where the list is."""
    screen = console()
    rows = [
        (each.item, each.query, each.says, f"{each.judge:.2f}", f"{each.expected:.3f}",
         f"{each.shrunken:.3f} ± {each.error:.3f}", f"{each.residual:+.1f}", f"{each.q:.0%}")
        for each in found.disputes[:SHOWN]
    ]  # fmt: skip
    heads = ("item", "query", "the judge is", "it says", "expected", "signal", "residual", "q")
    screen.print(table(heads, rows, text_columns=3))
    listed = f"{plural(found.cells, 'pair')} of item and query compared; {plural(len(found.disputes), 'item')} listed"
    said = [f"{listed}, of which chance alone may bring up to {found.by_chance:.0%}", *_DISPUTE_WORDS]
    if found.positions is not None:
        said.append(f"positions, from the top: {', '.join(f'{each:.2f}' for each in found.positions[:SHOWN])}")
    if found.unlabeled:
        said.append(f"{plural(found.unlabeled, 'item')} of the log not labeled by the judge")
    if found.restricted:
        said.append(f"{plural(found.restricted, 'restricted item')} passed over: no person may see them")
    screen.print()
    screen.print(notes(said))
    screen.print(f"\nfor people: {where / 'to_people.csv'}", markup=False, soft_wrap=True)
