"""`quorate import` and `quorate export`: the layouts of other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson, Bad, Folder, OnBad
from quorate.cli.source import opened, size, tell_set_aside
from quorate.cli.terminal import console, print_json
from quorate.cli.tools import Choices, from_tool, to_tool
from quorate.errors import SettingError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from quorate.data.dataset import Dataset


class Layout(StrEnum):
    """Layouts of other tools."""

    CROWD_KIT = "crowd-kit"
    CLEANLAB = "cleanlab"
    MULTI_SELECT = "multi-select"
    LABEL_STUDIO = "label-studio"
    ARGILLA = "argilla"
    PRODIGY = "prodigy"


LayoutName = Annotated[
    Layout,
    typer.Argument(
        metavar="FORMAT",
        help="crowd-kit (task, worker, label), cleanlab (a row per item, a column per annotator), multi-select "
        "(item, task, annotator and all labels that apply), label-studio (JSON or JSON_MIN), argilla (records) or "
        "prodigy (JSONL).",
        show_default=False,
    ),
]
Question = Annotated[
    str | None, typer.Option(help="The task's name; crowd-kit, cleanlab and prodigy hold one question.")
]
Delimiter = Annotated[str | None, typer.Option(help="multi-select: what stands between labels in a text.")]
Probs = Annotated[Path | None, typer.Option(help="cleanlab: an .npz file with one array of scores per model.")]
Consensus = Annotated[
    Path | None,
    typer.Option(
        help="A table that `quorate predict --out` wrote. multi-select: write its labels, not people's. label-studio, "
        "argilla, prodigy: propose its answers, and only where it is not yet sure."
    ),
]
Sure = Annotated[
    float | None, typer.Option(help="With --consensus: a confidence from which a question counts as answered (0.95).")
]
WithLabels = Annotated[
    bool | None,
    typer.Option(
        "--labels/--no-labels", help="label-studio, argilla, prodigy: people's labels too (the default), or not."
    ),
]


def import_file(
    layout: LayoutName,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="The table or export: .csv, .jsonl, .json or .parquet.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="The dataset folder to make.", show_default=False)],
    gold: Annotated[Path | None, typer.Option(help="crowd-kit and multi-select: a table of trusted labels.")] = None,
    question: Question = None,
    classes: Annotated[str | None, typer.Option(help="cleanlab: class names, with commas, where labels count.")] = None,
    probs: Probs = None,
    delimiter: Delimiter = None,
    config: Annotated[
        Path | None,
        typer.Option(help="label-studio: the project's labeling configuration (XML). argilla: settings.json."),
    ] = None,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a dataset folder from another tool's table or export."""
    from quorate.data.write import write_table

    set_aside = on_bad if on_bad is OnBad.QUARANTINE else None
    given = {"gold": gold, "question": question, "classes": classes, "probs": probs, "delimiter": delimiter}
    _check(layout, **given, config=config, on_bad=set_aside)
    notes: tuple[str, ...] = ()
    if layout is Layout.CROWD_KIT:
        data = _from_crowd_kit(source, gold, question, on_bad)
    elif layout is Layout.CLEANLAB:
        data = _from_cleanlab(source, question, classes, probs)
    elif layout is Layout.MULTI_SELECT:
        data = _from_multi_select(source, gold, delimiter, on_bad)
    else:
        data, notes = from_tool(layout.value, source, config, question, on_bad)
    data.write(out)
    if len(data.quarantined):
        write_table(data.quarantined, out / "quarantine" / "imported.jsonl")
        tell_set_aside(data, out)
    counts = size(data.encode())
    if as_json:
        left_out = {"left_out": list(notes)} if notes else {}
        print_json({"format": layout.value, "data": counts._asdict(), "out": str(out), **left_out})
    else:
        left_out = "".join(f"\nleft out: {note}" for note in notes)
        console().print(f"{counts.line()}{left_out}\nwritten to {out}", markup=False)


def export_folder(
    layout: LayoutName,
    folder: Folder,
    out: Annotated[
        Path, typer.Option(help="The file to write: .csv, .jsonl or .parquet; .json for a tool.", show_default=False)
    ],
    gold: Annotated[Path | None, typer.Option(help="Where trusted labels go: crowd-kit and multi-select.")] = None,
    question: Question = None,
    probs: Probs = None,
    delimiter: Delimiter = None,
    consensus: Consensus = None,
    sure: Sure = None,
    labels: WithLabels = None,
    config: Annotated[
        Path | None,
        typer.Option(help="label-studio, argilla: where the labeling configuration or the settings go."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write people's labels as another tool reads them."""
    given = {"gold": gold, "question": question, "probs": probs, "delimiter": delimiter, "consensus": consensus}
    _check(layout, **given, sure=sure, labels=labels, config=config)
    if layout is Layout.PRODIGY and question is not None:
        raise SettingError("prodigy has no use for --question in an export: every line says what it asks")
    data = opened(folder)
    if layout is Layout.CROWD_KIT:
        told = _to_crowd_kit(data, out, gold, question)
    elif layout is Layout.CLEANLAB:
        told = _to_cleanlab(data, out, question, probs)
    elif layout is Layout.MULTI_SELECT:
        told = _to_multi_select(data, out, gold, delimiter, consensus)
    else:
        proposed = None if consensus is None else _frame(consensus)
        choices = Choices(proposed, 0.95 if sure is None else sure, labels is not False)
        told = to_tool(layout.value, data, out, config, choices)
    if as_json:
        print_json({"format": layout.value, **told})
    else:
        lines = [f"{name}: {', '.join(value) if isinstance(value, list) else value}" for name, value in told.items()]
        console().print("\n".join(lines), markup=False)


TAKES = {
    Layout.CROWD_KIT: {"gold", "question", "on_bad"},
    Layout.CLEANLAB: {"question", "classes", "probs"},
    Layout.MULTI_SELECT: {"gold", "delimiter", "consensus", "on_bad"},
    Layout.LABEL_STUDIO: {"config", "consensus", "sure", "labels", "on_bad"},
    Layout.ARGILLA: {"config", "consensus", "sure", "labels", "on_bad"},
    Layout.PRODIGY: {"question", "consensus", "sure", "labels", "on_bad"},
}


def _check(layout: Layout, **options: object) -> None:
    """Raises SettingError for an option that this layout does not take: ignoring it would be silent."""
    for name, value in options.items():
        if value is not None and name not in TAKES[layout]:
            takes = ", ".join(f"--{other.replace('_', '-')}" for other in sorted(TAKES[layout] & options.keys()))
            raise SettingError(f"{layout.value} has no use for --{name.replace('_', '-')}; it takes {takes}")


# ---- crowd-kit ------------------------------------------------------------------------------------------------------
def _from_crowd_kit(source: Path, gold: Path | None, question: str | None, on_bad: OnBad) -> Dataset:
    from quorate.data.formats.crowd_kit import from_crowd_kit

    return from_crowd_kit(source, gold=gold, question=question or "label", on_bad=on_bad.value)


def _to_crowd_kit(data: Dataset, out: Path, gold: Path | None, question: str | None) -> dict[str, Any]:
    from quorate.data.formats.crowd_kit import to_crowd_kit

    tables = to_crowd_kit(data, question)
    return _written(out, tables.labels) | _gold_written(gold, tables.gold)


# ---- cleanlab -------------------------------------------------------------------------------------------------------
def _from_cleanlab(source: Path, question: str | None, classes: str | None, probs: Path | None) -> Dataset:
    from quorate.data.formats.cleanlab import from_cleanlab

    return from_cleanlab(
        source,
        pred_probs=_read_probs(probs) if probs else None,
        classes=[name.strip() for name in classes.split(",")] if classes else None,
        question=question or "label",
    )


def _read_probs(path: Path) -> dict[str, np.ndarray]:
    """One array per model. Raises SettingError for a file that numpy does not read without pickle."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, AttributeError) as error:
        raise SettingError(f"{path} is no .npz file of arrays ({error}); write it with numpy.savez") from None


def _to_cleanlab(data: Dataset, out: Path, question: str | None, probs: Path | None) -> dict[str, Any]:
    import numpy as np
    import pyarrow as pa

    from quorate.data.formats.cleanlab import to_cleanlab
    from quorate.data.write import whole

    wide = to_cleanlab(data, question)
    told = _written(out, wide.labels.add_column(0, "item", pa.array(wide.items, pa.string())))
    if probs is not None:
        with whole(probs) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **wide.pred_probs)
        told |= {"probs": str(probs), "models": list(wide.pred_probs)}
    return {**told, "classes": list(wide.classes)}


# ---- choose all that apply ------------------------------------------------------------------------------------------
def _from_multi_select(source: Path, gold: Path | None, delimiter: str | None, on_bad: OnBad) -> Dataset:
    from quorate.data.formats.multi_select import from_multi_select

    tables = {"labels": _frame(source), "gold": _frame(gold) if gold else None}
    return from_multi_select(**tables, delimiter=delimiter, on_bad=on_bad.value)


def _to_multi_select(
    data: Dataset, out: Path, gold: Path | None, delimiter: str | None, consensus: Path | None
) -> dict[str, Any]:
    from quorate.data.formats.multi_select import join_options, to_multi_select

    if consensus is not None:
        answers = _frame(consensus).select(["item", "task", "label"])
        return _written(out, join_options(answers, data.schema, delimiter))
    tables = to_multi_select(data, delimiter)
    if "labels" not in tables:
        raise SettingError("there are no labels of people in this folder to write")
    return _written(out, tables["labels"]) | _gold_written(gold, tables.get("gold"))


def _frame(path: Path) -> pa.Table:
    import pyarrow as pa

    from quorate.data.columns import plain
    from quorate.data.files import read_file

    return pa.table({name: plain(column) for name, column in read_file("labels", path).columns.items()})


# ---- files ----------------------------------------------------------------------------------------------------------
def _written(out: Path, table: pa.Table) -> dict[str, Any]:
    from quorate.data.write import write_table

    write_table(table, out)
    return {"out": str(out), "rows": len(table)}


def _gold_written(out: Path | None, table: pa.Table | None) -> dict[str, Any]:
    if out is None:
        return {}
    if table is None:
        raise SettingError("there is no gold in this folder to write")
    return {"gold": _written(out, table)["out"], "gold_rows": len(table)}
