"""In tests every function checks its arguments and results against its annotations, axes included.

Compiled modules (`kernels`) are left out: numba compiles functions, not their wrappers. The command line is left out,
because typer reads the annotations itself.
"""

from __future__ import annotations

from pathlib import Path

from jaxtyping import install_import_hook

SOURCE = Path(__file__).resolve().parents[1] / "src"


def checked_modules() -> list[str]:
    """Every module of the library whose annotations are checked at run time."""
    paths = sorted((SOURCE / "quorate").rglob("*.py"))
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in paths if path.name != "__init__.py"]
    return [name for name in names if "kernels" not in name and not name.startswith("quorate.cli.")]


install_import_hook(checked_modules(), "beartype.beartype")
