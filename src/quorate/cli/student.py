"""`quorate student fit | predict`: a small model of texts, taught by a judge, a consensus or people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.terminal import console, notes, plural, print_json, progress, table, verb
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.judge.student.figures import Figure
    from quorate.judge.student.teaching import Teaching

DEFAULT_FILE, DEFAULT_OUT = Path("student.npz"), Path("by-student")

student = typer.Typer(
    no_args_is_help=True, help="Teach a small text model what a judge, a consensus or people say; let it label."
)
Show = Annotated[
    str, typer.Option(help="Columns that are read, commas between. Default: `text`, or the only text there is.")
]
Embeddings = Annotated[
    Path | None, typer.Option(help="A .npy file with a row of numbers per item; an `embedding` column is read anyway.")
]


# ---- fit ------------------------------------------------------------------------------------------------------------
def fit(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="A judge's folder, or a dataset folder with labels.", show_default=False),
    ],
    items: Annotated[
        Path | None, typer.Option(help="The items with their texts: a table or folder. Default: those of FOLDER.")
    ] = None,
    show: Show = "",
    embeddings: Embeddings = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="A model of the tables, `people`, or a consensus file. Default: who speaks alone."
        ),
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="A dataset folder with people's labels to measure on. Default: those of FOLDER.")
    ] = None,
    held_out: Annotated[
        float, typer.Option(min=0, help="Share of items not taught but measured on, of those people graded.")
    ] = 0.2,
    group: Annotated[
        str | None, typer.Option(help="A column of the items; items alike in it are held out together.")
    ] = None,
    weight: Annotated[str | None, typer.Option(help="A column of the items: how much each counts.")] = None,
    words_only: Annotated[
        bool, typer.Option("--words-only", help="Leave out runs of letters: quicker on long texts.")
    ] = False,
    most_terms: Annotated[int, typer.Option(min=1, help="Terms per column, words and letters apart.")] = 50_000,
    seed: Annotated[int, typer.Option(min=0, help="Decides what is held out, and folds.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the student goes.")] = DEFAULT_FILE,
    *,
    teacher_alone: Annotated[
        bool, typer.Option("--teacher-alone", help="Do not teach what people said where they and the teacher did.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Teach a student, and say how well it agrees with people on items it was not taught on.

    Example: quorate student fit judge --items everything.csv
    """
    from quorate.judge.student.contents import read_contents
    from quorate.judge.student.kept import save
    from quorate.judge.student.lesson import weights_of
    from quorate.judge.student.model import Options
    from quorate.judge.student.teaching import source_of, teach

    _check_name(out)
    source = source_of(folder, teacher, people)
    source = source._replace(also=None) if teacher_alone else source
    contents = read_contents(items or folder, columns(show), embeddings)
    groups = None if group is None else [name or "" for name in contents.column(group)]
    weights = None if weight is None else weights_of(contents, weight)
    options = Options(letters=not words_only, most_terms=most_terms, seed=seed)
    with progress("student") as step:
        done = teach(contents, source, options, share=held_out, groups=groups, weights=weights, progress=step)
    save(done.student, out, [each._asdict() for each in done.figures])
    if as_json:
        print_json({**_taught_json(done), "out": str(out)})
        return
    _show_taught(done)
    console().print(
        f"\nwritten to {out}; use it with: quorate student predict ITEMS --student {out}", markup=False, soft_wrap=True
    )


def columns(text: str) -> tuple[str, ...] | None:
    """Names with commas between; None where there are none."""
    return tuple(filter(None, (name.strip() for name in text.split(",")))) or None


def _check_name(out: Path) -> None:
    if out.suffix != ".npz":
        raise SettingError(f"cannot write {out.name!r}: the name of a student must end in .npz")


def _taught_json(done: Teaching) -> dict[str, Any]:
    return {
        "teacher": done.student.teacher,
        "taught": done.student.n_taught,
        "held_out": done.n_held_out,
        "terms": done.student.words.width,
        "tasks": {head.task.name: {"penalty": _finite(head.penalty)} for head in done.student.heads},
        "figures": [each._asdict() for each in done.figures],
        "notes": list(done.notes),
    }


def _finite(value: float) -> float | None:
    return None if value == float("inf") else value


def _show_taught(done: Teaching) -> None:
    screen = console()
    by = f"taught by {done.student.teacher} on {plural(done.student.n_taught, 'item')}"
    screen.print(f"{by}, {plural(done.student.words.width, 'term')}", markup=False, soft_wrap=True)
    if done.figures:
        screen.print(f"with people, on {plural(done.n_held_out, 'item')} held out (95% intervals):\n")
        screen.print(figures_table(done.figures))
    said = [*done.notes, *(_SAID if done.figures else ())]
    if said:
        screen.print()
        screen.print(notes(said))


_SAID = ("constant: what people say most often, their mean grade, or their shares; log_loss in nats, less is better",)
_HEADINGS = ("task", "figure", "student", "teacher", "constant", "student - teacher")


def figures_table(figures: Sequence[Figure]) -> Any:
    """A row per task and figure."""
    rows = list[tuple[str, ...]]()
    for task, figure in dict.fromkeys((each.task, each.figure) for each in figures):
        of = {each.party: each for each in figures if (each.task, each.figure) == (task, figure)}
        constant = of["constant"].estimate
        rows.append(
            (task, figure, _cell(of.get("student")), _plain(of.get("teacher")),
             "-" if constant is None else f"{constant:.3f}", _cell(of.get("student - teacher")))
        )  # fmt: skip
    return table(_HEADINGS, rows, text_columns=2)


def _cell(of: Figure | None) -> str:
    if of is None or of.estimate is None:
        return "-"
    if of.low is None or of.high is None:
        return f"{of.estimate:.3f}"
    return f"{of.estimate:.2f} ({of.low:.2f} to {of.high:.2f})"


def _plain(of: Figure | None) -> str:
    return "-" if of is None or of.estimate is None else f"{of.estimate:.3f}"


# ---- predict --------------------------------------------------------------------------------------------------------
def predict(
    items: Annotated[
        Path, typer.Argument(metavar="ITEMS", help="What is to be labeled: a table or folder.", show_default=False)
    ],
    student_file: Annotated[
        Path, typer.Option("--student", help="A file that `quorate student fit` wrote.")
    ] = DEFAULT_FILE,
    embeddings: Embeddings = None,
    name: Annotated[str, typer.Option(help="What the student is called in the tables.")] = "student",
    out: Annotated[Path, typer.Option(help="The dataset folder that is written.")] = DEFAULT_OUT,
    *,
    as_json: AsJson = False,
) -> None:
    """Label items with a student: a dataset folder of scores and labels, asking nobody.

    Example: quorate student predict new.csv --student student.npz
    """
    from quorate.judge.student.contents import read_contents
    from quorate.judge.student.kept import load

    taught = load(student_file)
    contents = read_contents(items, taught.words.columns, embeddings)
    data = taught.label(contents, name)
    data.write(out)
    labels = data.model_labels
    n_labels = 0 if labels is None else len(labels)
    if as_json:
        tasks = [task.name for task in taught.schema.tasks]
        print_json({"items": len(contents), "tasks": tasks, "labels": n_labels, "out": str(out)})
        return
    console().print(f"{plural(n_labels, 'label')} of {plural(len(contents), 'item')} in {out}", markup=False)


student.command("fit")(verb(fit))
student.command("predict")(verb(predict))
