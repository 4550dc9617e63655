"""A ranker as a folder: its trees in LightGBM's own text, and all else in JSON that names the digest of that text.

    model.txt      what any LightGBM reads; its columns are `features` of the JSON, in order
    ranker.json    kind, format, task, gains, words of the documents, what was measured

The JSON is written last, so a folder whose writing was cut off is told by its digest. The words that stand in two
documents or more are in it: it is as confidential as they are.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from quorate import __version__
from quorate.data.write import whole
from quorate.errors import ArchiveError, FormatError, QuorateError
from quorate.judge.ranker.matches import Field, Matches
from quorate.judge.ranker.model import Ranker
from quorate.schema import Schema

KIND, FORMAT = "quorate ranker", 1
TREES, HEAD = "model.txt", "ranker.json"
AGAIN = "copy the folder again, or teach the ranker again"


def save(ranker: Ranker, folder: Path, figures: Any = None) -> None:
    """Write the ranker, and what was measured of it. Raises FormatError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole(folder / TREES) as part:
            part.write_text(ranker.trees, "utf-8", newline="\n")
        with whole(folder / HEAD) as part:
            text = json.dumps(_head(ranker, figures), ensure_ascii=False, allow_nan=False, indent=1)
            part.write_text(text + "\n", "utf-8", newline="\n")
    except OSError as error:
        mend = "check the path, the space and the rights to write"
        raise FormatError(f"the folder cannot be written ({error})", mend=mend, source=str(folder)) from None


def load(folder: Path) -> Ranker:
    """Read a ranker that `save` wrote. Raises ArchiveError, which says what is wrong with it and what to do."""
    head = _read_head(folder)
    try:
        trees = (folder / TREES).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(folder, f"its {TREES} cannot be read ({error})") from None
    if _digest(trees) != head.get("trees"):
        raise _refused(folder, f"its {TREES} is not the one that was written with its {HEAD}")
    try:
        return _ranker(head, trees)
    except (QuorateError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise _refused(folder, f"the parts of its {HEAD} do not fit together ({error})") from None


# ---- inside ---------------------------------------------------------------------------------------------------------
def _head(ranker: Ranker, figures: Any) -> dict[str, Any]:
    return {
        "kind": KIND,
        "format": FORMAT,
        "quorate": __version__,
        "trees": _digest(ranker.trees),
        "n_trees": ranker.n_trees,
        "schema": json.loads(Schema((ranker.task,)).to_json()),
        "gain": ranker.gain,
        "positive": ranker.positive,
        "k": ranker.k,
        "teacher": ranker.teacher,
        "n_queries": ranker.n_queries,
        "n_documents": ranker.n_documents,
        "features": list(ranker.names),
        "numbers": list(ranker.numbers),
        "figures": figures,
        "fields": [
            {
                "column": field.column,
                "n_documents": field.n_documents,
                "mean_length": field.mean_length,
                "held": dict(field.held),
            }
            for field in ranker.matches.fields
        ],
    }


def _read_head(folder: Path) -> dict[str, Any]:
    path, mend = folder / HEAD, "give a folder that `quorate ranker fit` wrote"
    if not path.is_file():
        raise _refused(folder, f"holds no {HEAD}, so it is no ranker", mend)
    try:
        head: dict[str, Any] = json.loads(path.read_text("utf-8"))
        kind, written = head["kind"], head["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refused(folder, f"its {HEAD} cannot be read, or is torn ({type(error).__name__})") from None
    if kind != KIND:
        raise _refused(folder, f"holds {str(kind)[:40]!r}, no ranker", mend)
    if written != FORMAT:
        by = str(head.get("quorate", "another version"))[:40]
        problem = f"was written in format {str(written)[:10]} by quorate {by}; this quorate reads format {FORMAT}"
        raise _refused(folder, problem, f"install quorate {by}, or teach the ranker again")
    return head


def _ranker(head: dict[str, Any], trees: str) -> Ranker:
    schema = Schema.from_json(json.dumps(head["schema"]))
    fields = tuple(
        Field(
            str(each["column"]),
            int(each["n_documents"]),
            float(each["mean_length"]),
            {str(term): int(n) for term, n in each["held"].items()},
        )
        for each in head["fields"]
    )
    ranker = Ranker(
        schema.tasks[0],
        Matches(fields),
        tuple(map(str, head["numbers"])),
        trees,
        int(head["n_trees"]),
        head["gain"],
        head["positive"],
        int(head["k"]),
        str(head["teacher"]),
        int(head["n_queries"]),
        int(head["n_documents"]),
    )
    if list(ranker.names) != head["features"]:
        raise ValueError("its features are not those of its trees")
    return ranker


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _refused(folder: Path, problem: str, mend: str = AGAIN) -> ArchiveError:
    return ArchiveError(f"{folder}: {problem}. To mend: {mend}.")
