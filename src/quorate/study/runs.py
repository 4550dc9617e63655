"""Parts of a study, each computed once and kept, so that a study that was cut short goes on where it stopped.

A part is one JSON file. It is used again only if the digest of everything that it depends on is the same: its
settings, its data, and the source code of the modules that computed it, with all that they import.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import Any

from quorate.data.write import whole
from quorate.errors import QuorateError

ROOT = Path(__file__).resolve().parents[1]  # of the package
PACKAGE = "quorate"
LONGEST = 400  # characters of a reason
Part = dict[str, Any]


@dataclass(frozen=True)
class Runs:
    """A folder of parts."""

    folder: Path

    def once(self, name: str, settings: Mapping[str, Any], modules: Iterable[str], work: Callable[[], Part]) -> Part:
        """The part of that name: as it was kept, or computed now and kept. modules: names of those that compute it."""
        digest = digest_of(settings, source_digest(*sorted(modules)))
        path = self.folder / f"{name}.json"
        kept = self._kept(path)
        if kept.get("digest") == digest:
            return kept["part"]
        part = work()
        with whole(path) as unfinished:
            text = json.dumps({"digest": digest, "settings": settings, "part": part}, allow_nan=False)
            unfinished.write_text(text + "\n", "utf-8")
        return part

    def _kept(self, path: Path) -> Part:
        """What stands in the file; nothing where it cannot be read, which costs only the time to compute it again."""
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) and "part" in found else {}


def digest_of(*parts: Any) -> str:
    """One SHA-256 of anything that JSON can hold.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def file_digest(paths: Iterable[Path]) -> str:
    """One SHA-256 of these files, by name and content."""
    total = hashlib.sha256()
    for path in sorted(paths):
        with path.open("rb") as file:
            total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


@cache
def source_digest(*modules: str) -> str:
    """One SHA-256 of the source of these modules of quorate and of all modules of quorate that they import."""
    return digest_of({name: text for module in modules for name, text in _closure(module).items()})


def _closure(module: str) -> dict[str, str]:
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _path_of(name)
        if name in found or path is None:
            continue
        found[name] = path.read_text("utf-8")
        waiting += _imports(found[name])
    return found


def _path_of(module: str) -> Path | None:
    """The file of a module; None for what is no module of ours, such as a function imported from one."""
    place = ROOT.joinpath(*module.split(".")[1:])
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _imports(text: str) -> list[str]:
    """Modules of quorate that a source imports anywhere, functions included."""
    names: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return [name for name in names if name.split(".")[0] == PACKAGE]


def reason(error: Exception) -> str:
    """Why something failed, in one line of bearable length; what we did not foresee with its type."""
    text = shorten(str(error), LONGEST, placeholder=" ...")
    return text if isinstance(error, QuorateError) else f"{type(error).__name__}: {text}"
