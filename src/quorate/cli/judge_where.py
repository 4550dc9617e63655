"""Where a judge is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.judge.folder import JudgeFolder

Where = Annotated[Path, typer.Option("--judge", help="The folder of the judge; made by the first step.")]
DEFAULT_FOLDER = Path("judge")


def there(where: Path) -> JudgeFolder:
    """The judge of a folder. Raises SettingError where there is none."""
    from quorate.judge.folder import EVENTS, JudgeFolder

    if not (where / EVENTS).is_file():
        raise SettingError(f"there is no judge in {where}; begin with `quorate judge seed DATA --judge {where}`")
    return JudgeFolder(where)
