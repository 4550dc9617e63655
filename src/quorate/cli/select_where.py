"""What the verbs of `quorate select` read: tasks by name, and where items lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from quorate.cli.student import columns
from quorate.cli.terminal import progress
from quorate.errors import DataError, SettingError

if TYPE_CHECKING:
    import numpy as np

    from quorate.data.encode import Coded
    from quorate.judge.student.contents import Contents

Show = Annotated[
    str, typer.Option("--show", help="Columns whose texts say what is alike, commas between. Default: `text`.")
]
Embeddings = Annotated[
    Path | None,
    typer.Option(help="A .npy file with a row of numbers per item; x_* and `embedding` columns are read anyway."),
]

By = Annotated[
    str | None,
    typer.Option("--embedder", metavar="local:NAME", help="A model on this machine that says where texts lie.",
                 show_default="their words"),
]  # fmt: skip


def tasks_of(coded: Coded, names: list[str] | None) -> list[int]:
    """Places of the tasks named; all without names. Raises SettingError for a name that there is not."""
    known = [task.name for task in coded.schema.tasks]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise SettingError(f"there is no task {unknown[0]!r}; there are: {', '.join(known)}")
    return [at for at, name in enumerate(known) if not names or name in names]


class Lie(NamedTuple):
    """What says where items lie."""

    show: str
    embeddings: Path | None
    embedder: str | None
    kept: Path  # where embeddings of a model are kept


def rows_of_items(folder: Path, coded: Coded, lie: Lie, seed: int = 0) -> np.ndarray:
    """Where every item lies: numbers that are given, or what its texts say, in the order of the encoded items."""
    from quorate.judge.student.contents import read_contents

    contents = read_contents(folder, columns(lie.show), lie.embeddings)
    rows = _embedding_of(contents, lie, seed)
    place = {item: at for at, item in enumerate(contents.ids)}
    missing = next((item for item in coded.items if item not in place), None)
    if missing is not None:
        raise DataError(f"there is no text and no number of item {missing!r}", mend="add it to the items table",
                        source=str(folder))  # fmt: skip
    return rows[[place[item] for item in coded.items]]


def _embedding_of(contents: Contents, lie: Lie, seed: int) -> np.ndarray:
    """The numbers of the items where they have any, else where a model puts their texts, or their words."""
    from quorate.llm.settings import LOCAL
    from quorate.select.embedder import embedded_by
    from quorate.select.embeddings import embedded

    if lie.embedder is None:
        return contents.numbers if contents.names else embedded(contents.texts, seed=seed)
    if not lie.embedder.startswith(LOCAL):
        raise SettingError(f"--embedder {lie.embedder}: name a model on this machine, as {LOCAL}NAME or {LOCAL}FOLDER")
    if not contents.texts:
        raise SettingError("--embedder reads texts: name their columns with --show")
    with progress("embedding") as step:
        return embedded_by(lie.embedder.removeprefix(LOCAL), contents.texts, lie.kept, step)
