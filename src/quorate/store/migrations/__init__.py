"""Steps of the schema, up and down, and where a database stands among them."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from quorate.errors import StoreError


def upgrade(connection: Connection, to: str = "head") -> None:
    """Bring the database up to a step. Raises StoreError when a newer quorate has written it."""
    _refuse_newer(connection)
    if to != "head" or revision(connection) != head():
        command.upgrade(_config(connection), to)


def downgrade(connection: Connection, to: str) -> None:
    """Bring the database down to a step, "base" for nothing; what the steps above held is lost."""
    _refuse_newer(connection)
    command.downgrade(_config(connection), to)


def revision(connection: Connection) -> str | None:
    """The step at which the database stands; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def steps() -> tuple[str, ...]:
    """All steps, first to last."""
    return tuple(script.revision for script in reversed(list(_scripts().walk_revisions())))


def head() -> str:
    """The last step."""
    return steps()[-1]


def _refuse_newer(connection: Connection) -> None:
    stands = revision(connection)
    if stands is not None and stands not in steps():
        raise StoreError(
            f"the database is at schema {stands!r}, this quorate knows up to {head()!r}. Install the newer quorate."
        )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
