"""Where an annotation with critical thinking is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.act.folder import ActFolder

Where = Annotated[Path, typer.Option("--act", help="The folder that everything lies in; made by the first step.")]
DEFAULT_FOLDER = Path("act")


def folder_at(where: Path) -> ActFolder:
    """The folder, there already or not."""
    from quorate.act.folder import ActFolder

    return ActFolder(where)


def there(where: Path) -> ActFolder:
    """The folder of a first step. Raises SettingError where there is none."""
    if not (where / "annotate.json").is_file():
        raise SettingError(f"nothing is annotated in {where}; begin with `quorate act annotate ITEMS --act {where}`")
    return folder_at(where)
