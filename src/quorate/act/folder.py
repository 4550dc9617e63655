"""The folder of an annotation with critical thinking: where it stands is told from the files that its steps left.

    nothing -> annotated -> criticized -> reviewing -> reviewed -> trained

Every step writes its tables whole and then its record, a JSON file that names what the step was made from by digests.
A process that is killed leaves the folder as it was before its step; a step whose ground has changed since is stale and
says so. One process at a time works in a folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from quorate.data.write import whole, write_table
from quorate.errors import FormatError, SettingError

LOCK, RUBRIC = ".lock", "rubric.yaml"
ANNOTATED, LABELS, CRITICISMS = "annotated", "labels.parquet", "criticisms.parquet"
PLAN, QUEUE, ANSWERS, CORRECTED = "plan.parquet", "queue.csv", "answers.parquet", "corrected.parquet"
CALLS, CRITIQUES, BATCH, MODEL = "calls.sqlite", "critiques.sqlite", "batch", "model"
PAGE, FIGURES = "report.html", "report.json"
Step = Literal["annotate", "criticize", "review", "train"]
STEPS: tuple[Step, ...] = ("annotate", "criticize", "review", "train")
GROUND: Mapping[Step, tuple[str, ...]] = {  # what each step is made from
    "annotate": (),
    "criticize": (LABELS,),
    "review": (LABELS, CRITICISMS),
    "train": (PLAN, CORRECTED),
}
DONE: Mapping[Step, str] = {
    "annotate": "annotated",
    "criticize": "criticized",
    "review": "reviewed",
    "train": "trained",
}


class Standing(NamedTuple):
    """Where it stands: the last step that was taken, what of it is stale, and what comes next."""

    stage: str | None
    stale: tuple[Step, ...]
    records: Mapping[Step, Mapping[str, Any]]
    following: Step | Literal["report"]

    def line(self) -> str:
        """In a few words.

        >>> Standing("annotated", (), {}, "criticize").line()
        'annotated'
        """
        if self.stage is None:
            return "nothing is annotated yet"
        old = f"; made from other labels since, and to be done again: {', '.join(self.stale)}" if self.stale else ""
        return f"{self.stage}{old}"


class ActFolder:
    """The folder. Time comes in as a function, so that it can be told in tests."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = path
        self._clock = clock

    def file(self, name: str) -> Path:
        """A file of the folder."""
        return self.path / name

    def record(self, step: Step) -> dict[str, Any] | None:
        """What a step said of itself; None where it was not taken. Raises FormatError for a record that is none."""
        path = self.file(f"{step}.json")
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text("utf-8"))
            return {**found, "at": str(found["at"]), "ground": dict(found["ground"])}
        except (ValueError, KeyError, TypeError) as error:
            mend = f"take the step again: `quorate act {step}`"
            raise FormatError(f"no record of a step ({error})", mend=mend, source=str(path)) from None

    def note(self, step: Step, **said: Any) -> None:
        """Write the record of a step whose files are all there."""
        ground = {name: self.digest(name) for name in GROUND[step] if self.file(name).is_file()}
        record = {"at": self._clock().isoformat(timespec="seconds"), **said, "ground": ground}
        with whole(self.file(f"{step}.json")) as part:
            part.write_text(json.dumps(record, indent=1, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")

    def standing(self) -> Standing:
        """Where it stands, from the files alone."""
        records: dict[Step, Mapping[str, Any]] = {}
        for step in STEPS:
            found = self.record(step)
            if found is not None:
                records[step] = found
        stale: tuple[Step, ...] = tuple(step for step in STEPS if step in records and not self._stands(records[step]))
        stage: str | None = None
        for step in STEPS:
            if step in records and step not in stale:
                left = step == "review" and records[step].get("left", 0)
                stage = "reviewing" if left else DONE[step]
        return Standing(stage, stale, records, self._following(records, stale))

    def need(self, step: str, before: Step) -> Standing:
        """Where it stands, if a step may be taken. Raises SettingError that says what to do first."""
        standing = self.standing()
        if before not in standing.records:
            raise SettingError(f"{self.path} has nothing for {step} to work on; first: quorate act {before}")
        if before in standing.stale:
            raise SettingError(f"the labels have changed since `quorate act {before}`; take that step again")
        return standing

    def table(self, name: str) -> pa.Table:
        """A table of the folder. Raises FormatError where it is not there or cannot be read."""
        try:
            return pq.read_table(self.file(name))
        except (OSError, pa.ArrowException) as error:
            mend = "take the step that made it again"
            raise FormatError(f"the table cannot be read ({error})", mend=mend, source=str(self.file(name))) from None

    def write(self, name: str, table: pa.Table) -> None:
        """Write a table, whole or not at all."""
        write_table(table, self.file(name))

    def forget(self, steps: Sequence[Step]) -> None:
        """Take the records of steps away: what they made no longer counts."""
        for step in steps:
            self.file(f"{step}.json").unlink(missing_ok=True)

    def digest(self, name: str) -> str:
        """What tells a file from every other, as hexadecimal digits."""
        return hashlib.sha256(self.file(name).read_bytes()).hexdigest()

    @contextmanager
    def held(self) -> Generator[ActFolder]:
        """The folder for this process alone. Raises SettingError where another works in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self.file(LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SettingError(f"another process works in {self.path}; wait until it is done") from None
            yield self

    def _stands(self, record: Mapping[str, Any]) -> bool:
        return all(
            self.file(name).is_file() and self.digest(name) == digest for name, digest in record["ground"].items()
        )

    def _following(self, records: Mapping[Step, Mapping[str, Any]], stale: Sequence[Step]) -> Step | Literal["report"]:
        for step in STEPS:
            left = step == "review" and records.get(step, {}).get("left", 0)
            stopped = records.get(step, {}).get("stopped", False)
            if step not in records or step in stale or left or stopped:
                return step
        return "report"
