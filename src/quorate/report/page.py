"""The page: one file with everything inside, which opens offline and asks nobody for anything.

Whatever comes from the data is hostile: the template escapes it, figures get it as JSON without a "<", and a policy in
the page itself lets no script run but the two that are named by their digests, and no request leave.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quorate.data.write import whole
from quorate.errors import MissingExtraError
from quorate.report import figures, pictures, sentences, words
from quorate.report.absent import Absent
from quorate.report.figures import Figure
from quorate.report.gather import Report
from quorate.report.people import Person
from quorate.report.trust import verdict

PAGE, FIGURES, TEMPLATE, SCRIPT = "report.html", "report.json", "page.html.jinja", "page.js"
PEOPLE_SHOWN, MOST_PEOPLE, DOUBTS_SHOWN, MODELS_SHOWN = 12, 400, 8, 30


class Drawn(NamedTuple):
    """A figure as script and as picture."""

    figure: Figure
    png: bytes


def need_report() -> None:
    """Raises MissingExtraError where pages cannot be made: before the work, not after."""
    for package in ("plotly", "matplotlib", "jinja2"):
        try:
            __import__(package)
        except ImportError:
            raise MissingExtraError(package, "report") from None


def written(report: Report, out: Path) -> Path:
    """Write the page, its figures as PNG and all figures as JSON into a folder; the path of the page."""
    drawn = drawings(report)
    for name, each in drawn.items():
        with whole(out / f"{name}.png") as part:
            part.write_bytes(each.png)
    with whole(out / FIGURES) as part:
        part.write_text(json.dumps(as_json(report), indent=1, allow_nan=False) + "\n", "utf-8")
    with whole(out / PAGE) as part:
        part.write_text(page(report, drawn), "utf-8")
    return out / PAGE


def drawings(report: Report) -> dict[str, Drawn]:
    """The figures that these data can fill."""
    found: list[Drawn] = []
    if not isinstance(report.saved, Absent):
        found.append(Drawn(figures.curves(report.saved), pictures.curves(report.saved)))
    if not isinstance(report.trust, Absent):
        found.append(Drawn(figures.reliability(report.trust), pictures.reliability(report.trust)))
    if not isinstance(report.models, Absent) and report.models.shared.effective is not None:
        found.append(Drawn(figures.heatmap(report.models), pictures.heatmap(report.models)))
    if not isinstance(report.worth, Absent) and len(report.worth.each) > 1:
        found.append(Drawn(figures.losses(report.worth), pictures.losses(report.worth)))
    return {each.figure.name: each for each in found}


def page(report: Report, drawn: Mapping[str, Drawn]) -> str:
    """The page as HTML."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    here = files("quorate.report")
    rooms: Any = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    rooms.policies["json.dumps_kwargs"] = {"allow_nan": False, "sort_keys": False, "separators": (",", ":")}
    rooms.globals |= {
        "said": sentences,
        "words": words,
        "limits": (PEOPLE_SHOWN, MOST_PEOPLE, DOUBTS_SHOWN, MODELS_SHOWN),
    }
    rooms.filters |= {"picture": data_uri, "interval": strip, "verdict": verdict}
    rooms.tests["absent"] = lambda part: isinstance(part, Absent)
    scripts = [get_plotlyjs(), here.joinpath(SCRIPT).read_text("utf-8")]
    return rooms.from_string(here.joinpath(TEMPLATE).read_text("utf-8")).render(
        report=report,
        drawn=drawn,
        scripts=[Markup(script) for script in scripts] if drawn else [],  # noqa: S704 - ours and plotly's, no data
        digests=[digest(script) for script in scripts],
        losses=_losses(report),
    )


def digest(script: str) -> str:
    """How a content security policy names a script.

    >>> digest("")
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def data_uri(png: bytes) -> str:
    """A picture inside the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


class Strip(NamedTuple):
    """An interval as a strip from 0 to 100: where its line and dots lie."""

    low: float
    high: float
    at: float
    others: float | None


def strip(of: Person) -> Strip | None:
    """The interval of somebody's accuracy; None where it is unknown."""
    if of.accuracy is None or of.low is None or of.high is None:
        return None
    low, high, at = (round(100 * part, 1) for part in (of.low, of.high, of.accuracy))
    return Strip(low, high, at, None if of.others is None else round(100 * of.others, 1))


def _losses(report: Report) -> dict[str, tuple[str, str]]:
    """Per model, what is lost without it, in labels and in nats."""
    if isinstance(report.worth, Absent):
        return {}
    return {
        each.models[0]: (words.signed_percent(each.labels), words.signed(each.nats))
        for each in report.worth.each
        if len(each.models) == 1
    }


def as_json(report: Report) -> dict[str, Any]:
    """Every figure of the report as JSON holds it, with the sentences of the page."""
    figures_of: dict[str, Any] = plain(report)
    return {
        "headline": sentences.headline(report.saved).replace(words.SPACE, " "),
        "explained": sentences.under_headline(report).replace(words.SPACE, " "),
        **figures_of,
    }


def plain(value: Any) -> Any:
    """Named tuples and dataclasses as objects, arrays as lists, unknown numbers as null.

    >>> plain({"a": (1, np.array([0.5, np.nan]))})
    {'a': [1, [0.5, None]]}
    """
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        named: Any = value
        return {name: plain(part) for name, part in named._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
