"""What the judges that passed say of gate items and anchors: kept, so that all they labeled can be corrected by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from quorate.data.write import write_table
from quorate.errors import FormatError, SettingError
from quorate.judge.answers import Read
from quorate.judge.folder import ANSWERS, JudgeFolder

SCHEMA = pa.schema(
    [
        ("judge", pa.string()),
        ("tries", pa.int64()),  # of the gate, with these items, when it opened
        ("task", pa.string()),
        ("item", pa.string()),
        ("grade", pa.float64()),  # of ordered tasks
        ("probs", pa.list_(pa.float64())),
    ]
)


def keep_answers(folder: JudgeFolder, judge: str, tries: int, reads: Sequence[Mapping[str, Read]]) -> None:
    """Write down what the judge that passed says of these items, beside what earlier judges said."""
    path = folder.file(ANSWERS)
    tables = [pq.read_table(path).filter(pc.field("judge") != judge)] if path.is_file() else []
    tables += [_table(judge, tries, task, read) for each in reads for task, read in each.items()]
    write_table(pa.concat_tables(tables), path)


def kept_answers(folder: JudgeFolder) -> pa.Table:
    """judge, tries, task, item, grade, probs. Raises SettingError where no gate opened, FormatError where the file was
    changed since.
    """
    if not folder.file(ANSWERS).is_file():
        raise SettingError("no judge has passed a gate here that kept its answers: `quorate judge gate`")
    path = folder.sealed(ANSWERS, "gated")
    try:
        return pq.read_table(path, schema=SCHEMA)
    except (OSError, pa.ArrowException) as error:
        mend = "let the judge pass the gate again: `quorate judge gate`"
        raise FormatError(f"the answers cannot be read ({error})", mend=mend, source=str(path)) from None


def _table(judge: str, tries: int, task: str, read: Read) -> pa.Table:
    at = [place for place, said in enumerate(read.of.said.tolist()) if said >= 0]
    grades = [None] * len(at) if read.grades is None else read.grades[at].tolist()
    columns = {
        "judge": [judge] * len(at),
        "tries": [tries] * len(at),
        "task": [task] * len(at),
        "item": [read.of.items[place] for place in at],
        "grade": grades,
        "probs": read.of.probs[at].tolist(),
    }
    return pa.table(columns, schema=SCHEMA)
