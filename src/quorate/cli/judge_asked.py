"""What the steps of `quorate judge` share: the seeded items, the way to the judge's model, what it says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.connection import line_to
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.judge.answers import Line, Read
    from quorate.judge.asked import Judge
    from quorate.judge.folder import JudgeFolder
    from quorate.llm.items import Items
    from quorate.llm.rubric import Rubric

NOT_PASSED, ALARM, STOPPED = 3, 5, 4
Data = Annotated[
    Path,
    typer.Argument(metavar="DATA", help="Dataset folder or table with the items that were seeded.", show_default=False),
]


def line_of(judge: Judge, boundary: str | None, **options: Any) -> Line | None:
    """The way to the judge's model; None for one chosen among recorded answers."""
    return None if judge.rubric is None else line_for(judge.rubric, boundary, (judge.model,), **options)


def line_for(rubric: Rubric, boundary: str | None, models: Sequence[str], **options: Any) -> Line:
    """The way to these models, within the rubric's boundary or the one that is given."""
    from quorate.llm.boundary import Boundary

    return line_to(models, Boundary.of(rubric.boundary, boundary), **options)


def items_of(path: Path, rubric: Rubric) -> Items:
    """The items of a file, with what the rubric shows of them."""
    from quorate.llm.items import read_items

    return read_items(path, rubric.show)


def place_of(items: Items, name: str) -> int:
    """Where an item is. Raises SettingError where its contents are not there."""
    if name not in items.place_of:
        raise SettingError(f"the contents of item {name!r} are not there: give the items that were seeded")
    return items.place_of[name]


def says_of(
    folder: JudgeFolder, judge: Judge, data: Path, line: Line | None, step: str
) -> Callable[[Sequence[str], int], Mapping[str, Read]]:
    """What the judge says of seeded items: from the tables, or by calls that are kept under the step and a number."""
    from quorate.data.dataset import Dataset
    from quorate.judge.answers import asked, recorded
    from quorate.judge.deciding import people_of_folder

    people = people_of_folder(folder)
    if line is None or judge.rubric is None:
        tables = Dataset.read(data)
        return lambda names, _: recorded(judge, tables, people, names)
    items, version = items_of(data, judge.rubric), folder.standing().version

    def says(names: Sequence[str], number: int) -> Mapping[str, Read]:
        journal = folder.file("journals") / f"v{version}-{step}-{number:06d}.sqlite"
        return asked(judge, items, people, line, names, journal)

    return says
