"""The judge folder: what has happened to a judge, as a log that only grows, and the tables beside it.

    seeded -> calibrated -> gated (open | closed) -> amplifying -> watched

`events.jsonl` is the truth, one line per step; where a judge stands is read from it anew every time, so that a killed
process leaves the folder as it was before its last step. Files that a step made are named in its line with their
digest: a gate passed by one judge lets no other through. One process at a time works in a folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from quorate.errors import FormatError, SettingError

EVENTS, LOCK = "events.jsonl", ".lock"
RUBRIC, ROLES, PEOPLE, TO_GRADE = "rubric.yaml", "roles.parquet", "people", "to_grade.csv"
CALIBRATION, GATE, GATE_PAGE = "calibration.json", "gate.json", "gate.html"
AMPLIFIED, QUARANTINE, TO_PEOPLE = "amplified", "quarantine", "to_people.csv"
DISCREPANCIES = "discrepancies.csv"
WATCH, ANSWERS, PREVALENCE = "watch.json", "answers.parquet", "prevalence.json"

Stage = Literal["seeded", "calibrated", "gated", "amplifying", "watched"]
Step = Literal["seeded", "calibrated", "gated", "amplifying", "watched", "alarm"]


class Event(NamedTuple):
    """A step that was taken."""

    at: str  # in UTC, ISO 8601
    step: Step
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Standing:
    """Where a judge stands."""

    stage: Stage | None = None  # None: nothing was seeded
    version: int = 0  # of the judge: one more with every calibration
    open: tuple[str, ...] = ()  # the tasks that the gate lets through
    tries: int = 0  # of the gate, with the same gate items
    alarm: Mapping[str, Any] | None = None  # that closed the gate last, until it opens again
    last: Mapping[Step, Mapping[str, Any]] = None  # type: ignore[assignment] # what each step said, by step

    def __post_init__(self) -> None:
        object.__setattr__(self, "last", dict(self.last or {}))

    def line(self) -> str:
        """In a few words.

        >>> Standing("gated", 2, ("tone",)).line()
        'gated, the gate is open for tone'
        """
        if self.stage is None:
            return "not seeded"
        if self.stage in {"seeded", "calibrated"}:
            return self.stage
        gate = f"open for {', '.join(self.open)}" if self.open else "closed"
        return f"{self.stage}, the gate is {gate}"


BEFORE: dict[Step, tuple[Stage | None, ...]] = {
    "seeded": (None, *get_args(Stage)),
    "calibrated": get_args(Stage),
    "gated": ("calibrated", "gated", "amplifying", "watched"),
    "amplifying": ("gated", "amplifying", "watched"),
    "watched": ("gated", "amplifying", "watched"),
    "alarm": ("gated", "amplifying", "watched"),
}
MENDS: dict[Step, str] = {
    "seeded": "",
    "calibrated": "seed first: `quorate judge seed`",
    "gated": "calibrate first: `quorate judge calibrate`",
    "amplifying": "pass the gate first: `quorate judge gate`",
    "watched": "pass the gate first: `quorate judge gate`",
    "alarm": "pass the gate first: `quorate judge gate`",
}


def after(standing: Standing, event: Event) -> Standing:
    """Where a judge stands after a step. Raises SettingError for a step that cannot be taken from there."""
    step, detail = event.step, event.detail
    if standing.stage not in BEFORE[step]:
        raise SettingError(f"this judge is {standing.line()}; {MENDS[step]}")
    if step in {"amplifying", "watched"} and not standing.open:
        raise SettingError(f"the gate is closed; {MENDS[step]}")
    last = {**standing.last, step: detail}
    match step:
        case "seeded":  # more grades change what calibration would choose; gate items stay what they were
            new_gate_items = bool(detail.get("new_gate_items"))
            tries = 0 if new_gate_items else standing.tries
            return replace(standing, stage="seeded", open=(), tries=tries, alarm=None, last=last)
        case "calibrated":
            version = standing.version + 1
            return replace(standing, stage="calibrated", version=version, open=(), alarm=None, last=last)
        case "gated":
            tries = standing.tries + 1
            open_ = tuple(detail["open"])
            alarm = None if open_ else standing.alarm
            return replace(standing, stage="gated", open=open_, tries=tries, alarm=alarm, last=last)
        case "alarm":
            left = tuple(task for task in standing.open if task not in detail["tasks"])
            return replace(standing, stage="gated", open=left, alarm=detail, last=last)
        case _:
            return replace(standing, stage=step, last=last)


def seeded_ends(folder: JudgeFolder) -> list[int]:
    """How many items the seed had after each of its steps."""
    return [int(event.detail["items"]) for event in folder.events() if event.step == "seeded"]


class JudgeFolder:
    """A judge on disk. Time comes in as a function, so that it can be told in tests."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = path
        self._clock = clock

    def file(self, name: str) -> Path:
        """A file of the folder."""
        return self.path / name

    def now(self) -> str:
        """The time in UTC, ISO 8601."""
        return self._clock().isoformat(timespec="seconds")

    def events(self) -> list[Event]:
        """All steps so far; a last line that was cut off by a crash is none. Raises FormatError for a broken log."""
        path = self.file(EVENTS)
        if not path.is_file():
            return []
        found = list[Event]()
        lines = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):  # what follows the last line end was never finished
            try:
                row = json.loads(line)
                found.append(Event(row.pop("at"), row.pop("step"), row))
            except (ValueError, KeyError, TypeError, AttributeError):
                mend = "restore the log of this judge, or begin a new folder"
                raise FormatError("this line is no step of a judge", mend=mend, source=str(path), row=number) from None
        return found

    def standing(self) -> Standing:
        """Where the judge stands. Raises FormatError for a log that tells of impossible steps."""
        standing = Standing()
        for number, event in enumerate(self.events(), start=1):
            try:
                standing = after(standing, event)
            except (SettingError, KeyError, TypeError) as error:
                mend = "restore the log of this judge, or begin a new folder"
                problem = f"a step that cannot have been taken ({error})"
                raise FormatError(problem, mend=mend, source=str(self.file(EVENTS)), row=number) from None
        return standing

    def check(self, step: Step) -> Standing:
        """Where it stands, if the step may be taken. Raises SettingError before any work is done."""
        standing = self.standing()
        probe: dict[str, Any] = {"open": [], "tasks": []}
        after(standing, Event("", step, probe))
        return standing

    def take(self, step: Step, **detail: Any) -> Standing:
        """Note a step, for good. Raises SettingError for one that cannot be taken now."""
        event = Event(self.now(), step, detail)
        standing = after(self.standing(), event)
        self.path.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"at": event.at, "step": step, **detail}, ensure_ascii=False, allow_nan=False) + "\n"
        with self.file(EVENTS).open("ab") as file:
            self._cut_torn_end(file.tell())
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        return standing

    def digest(self, name: str) -> str:
        """What tells this file from every other, as hexadecimal digits."""
        return hashlib.sha256(self.file(name).read_bytes()).hexdigest()

    def sealed(self, name: str, step: Step) -> Path:
        """The file, if it is the one that the step made. Raises FormatError where it was changed since."""
        said = self.standing().last.get(step, {}).get("files", {}).get(name)
        path = self.file(name)
        if said is None or not path.is_file():
            raise FormatError("this judge has no such file", mend=f"take the step `{step}` again", source=str(path))
        if said != self.digest(name):
            mend = f"restore the file, or take the step `{step}` again"
            raise FormatError("this file is not the one that was kept", mend=mend, source=str(path))
        return path

    @contextmanager
    def held(self) -> Generator[JudgeFolder]:
        """The folder for this process alone. Raises SettingError where another works in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self.file(LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SettingError(f"another process works in {self.path}; wait until it is done") from None
            yield self

    def _cut_torn_end(self, size: int) -> None:
        """Remove what a crash left after the last whole line."""
        path = self.file(EVENTS)
        if not size:
            return
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(path, whole)
