"""A round of the watch: some anchors are graded again, and where the judge is no longer the one that passed, all stops.

A judge that answers otherwise than it did is no longer the one that passed, even where it is not shown to be worse:
both raise the alarm. A round has a number, and its draws follow from it, so that a round that was killed is taken up
as it was. An alarm closes the gate for the tasks it is about, moves every label made since the last good point aside,
and writes the items down for people.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from quorate.data.write import whole, write_table
from quorate.errors import FormatError, SettingError
from quorate.judge.answers import Read
from quorate.judge.folder import AMPLIFIED, QUARANTINE, TO_PEOPLE, WATCH, JudgeFolder
from quorate.judge.parts import join, numbers, set_aside
from quorate.judge.watching import Reading, Watch
from quorate.schema import Schema

Says = Callable[[Sequence[str], int], Mapping[str, Read]]  # items, and a number: what has another is asked anew
TURNS = 1_000  # numbers that a round has for itself


class Round(NamedTuple):
    """What a round found."""

    number: int  # from 1
    graded: int  # anchors that were answered
    readings: Mapping[str, Reading]
    alarms: tuple[str, ...]  # tasks
    quarantined: int  # items whose labels were moved aside
    since_part: int | None  # the first part that was moved; None: no alarm


def watch_round(folder: JudgeFolder, says: Says, n: int, schema: Schema, *, restricted: frozenset[str]) -> Round:
    """Grade so many anchors again, drawn at random with replacement; people are not told of `restricted` items.

    Raises SettingError where the gate is not open, FormatError where the state of the watch was changed.
    """
    standing = folder.check("watched")
    tidy(folder, schema, restricted)
    state = _state(folder)
    watches = {task: Watch.from_json(each) for task, each in state["tasks"].items() if task in standing.open}
    number = len(state["rounds"]) + 1
    drawn = _drawn(next(iter(watches.values())), n, number)
    graded = _grade(watches, says, drawn, number)
    state["rounds"].append({"graded": graded, "parts": len(numbers(folder.file(AMPLIFIED)))})
    state["tasks"] |= {task: each.as_json() for task, each in watches.items()}
    readings = {task: each.reading for task, each in watches.items()}
    alarms = tuple(task for task, each in watches.items() if each.alarm or each.changed)
    if not alarms:
        _write(folder, state)
        folder.take("watched", round=number, graded=graded, told=f"{graded} anchors graded again, no alarm")
        return Round(number, graded, readings, (), 0, None)
    first = min(_first_part(state, watches[task].since or 0) for task in alarms)
    told = f"alarm for {', '.join(alarms)} in round {number}: what was labeled from part {first} on is set aside"
    folder.take("alarm", tasks=list(alarms), round=number, since_part=first, told=told)  # the gate is closed from here
    moved = tidy(folder, schema, restricted)
    _write(folder, state)
    return Round(number, graded, readings, alarms, moved, first)


def tidy(folder: JudgeFolder, schema: Schema, restricted: frozenset[str]) -> int:
    """Set aside what an alarm called into question, if that is not done yet; how many items that were."""
    alarm = folder.standing().alarm
    if alarm is None:
        return 0
    items = set_aside(folder.file(AMPLIFIED), folder.file(QUARANTINE), alarm["since_part"])
    if items:
        join(folder.file(AMPLIFIED), schema)
        join(folder.file(QUARANTINE), schema)
        for_people(folder, [item for item in items if item not in restricted])
    return len(items)


def readings_of(folder: JudgeFolder) -> dict[str, Reading]:
    """Where the watches stand. Raises FormatError."""
    return {task: Watch.from_json(each).reading for task, each in _state(folder)["tasks"].items()}


def for_people(folder: JudgeFolder, items: Sequence[str]) -> None:
    """Add items that may be shown to the list of those that were ever called into question, each once."""
    path = folder.file(TO_PEOPLE)
    before = path.read_text("utf-8").splitlines()[1:] if path.is_file() else []
    names = list(dict.fromkeys([*(json.loads(line) for line in before), *items]))
    write_table(pa.table({"item": pa.array(names, pa.string())}), path)


# ---- parts ----------------------------------------------------------------------------------------------------------
def _state(folder: JudgeFolder) -> dict[str, Any]:
    path = folder.file(WATCH)
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        mend = "let the judge pass the gate again: `quorate judge gate`"
        raise FormatError(f"the watch cannot be read ({error})", mend=mend, source=str(path)) from None


def _drawn(watch: Watch, n: int, number: int) -> list[str]:
    rng = np.random.default_rng([watch.seed, number])
    names = sorted(watch.anchors)
    return [names[place] for place in rng.integers(len(names), size=n).tolist()]


def _grade(watches: Mapping[str, Watch], says: Says, drawn: Sequence[str], number: int) -> int:
    """Every watch takes its gradings in, in the order drawn; how many there were.

    An anchor that was drawn twice is asked twice. Raises SettingError where the calls ended too early.
    """
    turns = [drawn[:at].count(item) for at, item in enumerate(drawn)]
    reads = list[Mapping[str, Read]]()
    for turn in range(max(turns, default=-1) + 1):
        chosen = [item for item, own in zip(drawn, turns, strict=True) if own == turn]
        reads.append(says(chosen, number * TURNS + turn))
        if any(each.stopped for each in reads[-1].values()):
            raise SettingError("the calls ended before every anchor was answered: raise the cap and run again")
    graded = 0
    for item, turn in zip(drawn, turns, strict=True):
        taken = [_take(watch, reads[turn][task], item) for task, watch in watches.items()]
        graded += any(taken)
    return graded


def _take(watch: Watch, read: Read, item: str) -> bool:
    at = read.of.items.index(item)
    if not read.of.known[at] or item not in watch.anchors:
        return False
    watch.update(item, float(read.losses()[at]), read.of.task.classes[int(read.of.said[at])])
    return True


def _first_part(state: Mapping[str, Any], since: int) -> int:
    """The parts that were there after the last round that was wholly good; what came later is in question."""
    total, parts = 0, 0
    for each in state["rounds"]:
        total += each["graded"]
        if total > since:
            break
        parts = each["parts"]
    return parts


def _write(folder: JudgeFolder, state: Mapping[str, Any]) -> None:
    with whole(folder.file(WATCH)) as part:
        part.write_text(json.dumps(state, allow_nan=False) + "\n", "utf-8", newline="\n")
