"""What `import quorate` costs and gives."""

from __future__ import annotations

import subprocess
import sys

import pytest

import quorate

HEAVY = {
    "numba",
    "numpy",
    "pyarrow",
    "scipy",
    "pandas",
    "polars",
    "sklearn",
    "matplotlib",
    "rich",
    "typer",
    "jaxtyping",
}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n' + ' '.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_importing_quorate_loads_no_package_but_its_own() -> None:
    """`import quorate` stays under half a second because it loads nothing until it is asked."""
    assert not loaded_by("import quorate") & HEAVY


def test_help_loads_only_what_it_takes_to_print_it() -> None:
    """`quorate --help` stays under half a second: no numerics, no tables."""
    statement = "from quorate.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    found = loaded_by(f"sys.argv = ['quorate', '--help']\n{statement}")
    assert "quorate.cli.app" in found
    assert not found & (HEAVY - {"rich", "typer"})


@pytest.mark.parametrize("name", quorate.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """What __all__ promises can be had, and is listed."""
    assert getattr(quorate, name) is not None
    assert name in dir(quorate)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for any module."""
    with pytest.raises(AttributeError, match="no_such_name"):
        quorate.__getattr__("no_such_name")
