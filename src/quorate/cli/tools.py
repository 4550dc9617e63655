"""Files of labeling tools, for `quorate import` and `quorate export`: Label Studio, Argilla, Prodigy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from quorate.errors import SettingError

if TYPE_CHECKING:
    import pyarrow as pa

    from quorate.cli.arguments import OnBad
    from quorate.data.dataset import Dataset
    from quorate.data.formats.gathered import Imported


class Choices(NamedTuple):
    """What of a data set goes to a tool."""

    consensus: pa.Table | None
    sure: float
    labels: bool


def from_tool(tool: str, source: Path, config: Path | None, question: str | None, on_bad: OnBad) -> Imported:
    """The data set in a tool's export, and what was left out of it."""
    if tool == "label-studio":
        from quorate.data.formats.json_tree import read_bytes
        from quorate.data.formats.label_studio import from_label_studio

        text = read_bytes(config).decode("utf-8", "replace") if config else None
        return from_label_studio(source, config=text, on_bad=on_bad.value)
    if tool == "argilla":
        from quorate.data.formats.argilla import from_argilla

        return from_argilla(source, settings=config, on_bad=on_bad.value)
    from quorate.data.formats.prodigy import from_prodigy

    return from_prodigy(source, question=question or "label", on_bad=on_bad.value)


def to_tool(tool: str, data: Dataset, out: Path, config: Path | None, choices: Choices) -> dict[str, Any]:
    """Write what the tool reads; what was written, for the user."""
    if tool == "label-studio":
        from quorate.data.formats.label_studio_write import to_label_studio

        made = to_label_studio(data, choices.consensus, sure=choices.sure, labels=choices.labels)
        return _lines(out, made.tasks) | _config(config, made.config)
    if tool == "argilla":
        from quorate.data.formats.argilla_write import to_argilla

        records = to_argilla(data, choices.consensus, sure=choices.sure, labels=choices.labels)
        settings = json.dumps(records.settings, ensure_ascii=False, indent=2) + "\n"
        if out.suffix.lower() == ".parquet":
            from quorate.data.write import write_table

            write_table(records.table(), out)
            return {"out": str(out), "records": len(records.records)} | _config(config, settings)
        return _lines(out, records.records) | _config(config, settings)
    from quorate.data.formats.prodigy_write import to_prodigy

    return _lines(out, to_prodigy(data, choices.consensus, sure=choices.sure, labels=choices.labels))


def _lines(out: Path, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A list of records as one JSON document, or as JSONL, by the ending of the path."""
    texts = [json.dumps(record, ensure_ascii=False, allow_nan=False) for record in records]
    match out.suffix.lower():
        case ".json":
            text = "[\n" + ",\n".join(texts) + "\n]\n"
        case ".jsonl":
            text = "".join(line + "\n" for line in texts)
        case _:
            raise SettingError(f"cannot write {out.name!r}: the name must end in .json or .jsonl")
    _write(out, text)
    return {"out": str(out), "records": len(texts)}


def _config(path: Path | None, text: str) -> dict[str, Any]:
    if path is None:
        return {}
    _write(path, text)
    return {"config": str(path)}


def _write(path: Path, text: str) -> None:
    from quorate.data.write import whole

    with whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
