"""One page for all studies of a folder, with everything inside it: it opens offline and asks nobody for anything."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from quorate.data.write import whole
from quorate.study.section import Section

ORDER = ("theorem", "efficiency", "tasks", "policies", "recorded", "calibration", "act")
PAGE, TEMPLATE = "study.html", "page.html.jinja"


def kept(out: Path, section: Section, *, quick: bool) -> Path:
    """Keep a section as JSON and its figures as PNG, and write the page of all sections kept; the path of the page."""
    for drawing in section.drawings:
        with whole(out / f"{drawing.name}.png") as part:
            part.write_bytes(drawing.png)
    with whole(out / f"{section.kind}.json") as part:
        part.write_text(json.dumps(as_json(section, quick=quick), indent=1, allow_nan=False) + "\n", "utf-8")
    with whole(out / PAGE) as part:
        part.write_text(page(out), "utf-8")
    return out / PAGE


def as_json(section: Section, *, quick: bool) -> dict[str, Any]:
    """A section without its pictures, which stand beside it as files."""
    return {
        "kind": section.kind,
        "title": section.title,
        "quick": quick,
        "asks": section.asks,
        "found": list(section.found),
        "tables": [table._asdict() for table in section.tables],
        "drawings": [{"name": drawing.name, "shows": drawing.shows} for drawing in section.drawings],
        "failed": dict(section.failed),
        "remarks": list(section.remarks),
        "data": dict(section.data),
    }


def page(out: Path) -> str:
    """The page of every section that is kept in the folder."""
    from jinja2 import Environment, StrictUndefined

    sections = [json.loads(path.read_text("utf-8")) for kind in ORDER if (path := out / f"{kind}.json").is_file()]
    template = files("quorate.study").joinpath(TEMPLATE).read_text("utf-8")
    rooms = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return rooms.from_string(template).render(sections=_unfolded([_shown(out, each) for each in sections]))


def _shown(out: Path, section: Mapping[str, Any]) -> dict[str, Any]:
    """Pictures inside, choices apart from results, bold cells looked up by place."""
    tables = [{**table, "bold": {tuple(place) for place in table["bold"]}} for table in section["tables"]]
    choices = [table for table in tables if "in the paper" in table["headings"]]
    drawings = [{**each, "uri": _data_uri(out / f"{each['name']}.png")} for each in section["drawings"]]
    results = [table for table in tables if table not in choices]
    return {**section, "tables": results, "choices": choices, "drawings": drawings}


def _unfolded(sections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choices stand open where a table of them comes for the first time, and folded where all were seen above."""
    seen: set[str] = set()
    for section in sections:
        captions = {table["caption"] for table in section["choices"]}
        section["open"] = bool(captions - seen)
        seen |= captions
    return sections


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
