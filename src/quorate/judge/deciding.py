"""The gate as a step of a judge: held-out items, people who agree, one decision per task, and anchors to compare with.

When the gate opens, the judge's grades of the anchors are kept: what a watch holds later grades against. So are all its
answers to gate items and anchors: what prevalences are corrected by.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from quorate.data.dataset import Dataset
from quorate.data.write import whole
from quorate.errors import SettingError
from quorate.judge.answers import Read
from quorate.judge.asked import judge_of
from quorate.judge.figures import Slices
from quorate.judge.folder import ANSWERS, GATE, GATE_PAGE, PEOPLE, ROLES, WATCH, JudgeFolder, Standing, seeded_ends
from quorate.judge.gate import Decision, gate
from quorate.judge.gate_page import write_gate_report
from quorate.judge.kept import keep_answers
from quorate.judge.rule import Rule
from quorate.judge.seed import Seed, read_seed, weights_of
from quorate.judge.watching import Watch

Says = Callable[[Sequence[str], int], Mapping[str, Read]]  # items, and a number: what has another is asked anew
TIMES = 2  # that anchors are graded at the gate: a change is seen sooner beside two grades than beside one
DISAGREE = "people do not agree on this task, so no figure of a judge means anything: mend the rubric first"


class Decided(NamedTuple):
    """What the gate decided, task by task."""

    decisions: tuple[Decision, ...]
    standing: Standing


def decide(
    folder: JudgeFolder,
    says: Says,
    rule: Rule,
    *,
    slices: Slices | None = None,
    alarm_level: float = 0.05,
    seed: int = 0,
) -> Decided:
    """Ask the judge about the gate items, decide, and where the gate opens let it grade the anchors too.

    Every further decision about the same gate items has a smaller error level, so that trying again and again does not
    pass a bad judge in the end. Raises SettingError where the judge was not calibrated, or its answers are missing.
    """
    standing = folder.check("gated")
    judge = judge_of(folder)  # its files are those that were calibrated
    roles = read_seed(folder.sealed(ROLES, "seeded"))
    reads = _weighed(says(roles.of("gate"), 0), roles, seeded_ends(folder))
    _check(reads)
    disagreed = _disagreed(standing)
    found = tuple(
        _with_people(gate(each.of, rule, grades=each.grades, tries=standing.tries + 1, slices=slices), disagreed)
        for each in reads.values()
    )
    open_ = [each.task for each in found if each.open]
    anchors = [says(roles.of("anchor"), number) for number in range(TIMES)] if open_ else []
    for each in anchors:
        _check(each)
    write_gate_report(found, folder.path, {"judge": judge.name, "model": judge.model, "decided": folder.now()})
    if open_:
        _write(folder, WATCH, watches(anchors, open_, level=alarm_level, seed=seed))
        keep_answers(folder, judge.name, standing.tries + 1, [reads, anchors[0]])
    detail: dict[str, Any] = {
        "open": open_,
        "closed": {each.task: list(each.reasons) for each in found if not each.open},
        "tries": standing.tries + 1,
        "decisions": {each.task: each.id for each in found},
        "files": {name: folder.digest(name) for name in (GATE, GATE_PAGE, ANSWERS) if folder.file(name).is_file()},
    }
    return Decided(found, folder.take("gated", **detail))


def watches(anchors: Sequence[Mapping[str, Read]], tasks: Sequence[str], *, level: float, seed: int) -> dict[str, Any]:
    """The state of a watch of these tasks, from the anchors' first grades.

    The level is shared among the tasks, and half of it is for judges that answer otherwise, not worse.
    """
    found = dict[str, Any]()
    for task in tasks:
        losses, said = dict[str, list[float]](), dict[str, list[str]]()
        for each in (reads[task] for reads in anchors):
            rows = zip(each.of.items, each.losses().tolist(), each.of.said.tolist(), each.of.known, strict=True)
            for item, loss, code, known in rows:
                if known:
                    losses.setdefault(item, []).append(loss)
                    said.setdefault(item, []).append(each.of.task.classes[code])
        most = anchors[0][task].most
        found[task] = Watch.start(losses, said, most=most, level=level / 2 / len(tasks), seed=seed).as_json()
    return {"tasks": found, "rounds": [], "level": level}


def people_of_folder(folder: JudgeFolder) -> Dataset:
    """What people said of the seed."""
    return Dataset.read(folder.file(PEOPLE))


# ---- parts ----------------------------------------------------------------------------------------------------------
def _check(reads: Mapping[str, Read]) -> None:
    if any(each.stopped for each in reads.values()):
        raise SettingError("the calls ended before every item was answered: raise the cap and run again")
    silent = [task for task, each in reads.items() if not each.of.known.any()]
    if silent:
        raise SettingError(f"no item has both a grade of people and the judge's for task {silent[0]!r}")


def _weighed(reads: Mapping[str, Read], roles: Seed, ends: Sequence[int]) -> dict[str, Read]:
    """With the weights that gate items were drawn with."""
    of = dict(zip(roles.items, weights_of(roles, ends, ("gate",)).tolist(), strict=True))
    weights = {task: np.array([of[item] for item in each.of.items]) for task, each in reads.items()}
    return {task: each._replace(of=replace(each.of, weights=weights[task])) for task, each in reads.items()}


def _disagreed(standing: Standing) -> list[str]:
    said = standing.last.get("seeded", {}).get("people", ())
    return [each["task"] for each in said if each["says"] == "disagree"]


def _with_people(decision: Decision, disagreed: Sequence[str]) -> Decision:
    """Closed where people do not agree, whatever the judge's figures are."""
    if decision.task not in disagreed:
        return decision
    return replace(decision, open=False, reasons=(DISAGREE, *decision.reasons))


def _write(folder: JudgeFolder, name: str, value: Mapping[str, Any]) -> None:
    with whole(folder.file(name)) as part:
        part.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8", newline="\n")
