"""`quorate ranker fit | predict`: trees that rank documents as a judge, a consensus or people grade them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.student import Embeddings, Show, columns
from quorate.cli.terminal import console, notes, plural, print_json, progress, table, verb
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.judge.ranker.teaching import Teaching

DEFAULT_FOLDER, DEFAULT_OUT = Path("ranker"), Path("ranking.parquet")
ENDINGS = (".parquet", ".csv", ".jsonl")

ranker = typer.Typer(
    no_args_is_help=True, help="Teach trees to rank as a judge, a consensus or people grade; let them rank."
)


class GainChoice(StrEnum):
    """What a grade is worth."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"


Query = Annotated[str, typer.Option(help="The column of the items that names their query.")]
QueryTexts = Annotated[
    Path | None,
    typer.Option("--queries", help="A table (query, text) with the words of queries. Default: their names."),
]


# ---- fit ------------------------------------------------------------------------------------------------------------
def fit(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="A judge's folder, or a dataset folder with grades.", show_default=False),
    ],
    items: Annotated[
        Path | None, typer.Option(help="The documents, each under its query: a table or folder. Default: of FOLDER.")
    ] = None,
    query: Query = "query",
    queries: QueryTexts = None,
    show: Show = "",
    embeddings: Embeddings = None,
    task: Annotated[
        str | None, typer.Option(help="The task that grades. Default: the only one, or only scale.")
    ] = None,
    gain: Annotated[
        GainChoice, typer.Option(help="What a grade is worth: 2^grade - 1, or the grade; the lowest is 0.")
    ] = GainChoice.EXPONENTIAL,
    positive: Annotated[
        str | None, typer.Option(help="The class that is relevant, where classes are no scale.")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="A model of the tables, `people`, or a consensus file. Default: who speaks alone."
        ),
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="A dataset folder with people's grades to measure on. Default: those of FOLDER.")
    ] = None,
    held_out: Annotated[
        float, typer.Option(min=0, help="Share not taught but measured on, whole queries that people graded.")
    ] = 0.2,
    k: Annotated[int, typer.Option("--at", min=1, help="Places of a ranking that count.")] = 10,
    leaves: Annotated[int, typer.Option(min=2, help="Leaves of a tree.")] = 31,
    rate: Annotated[float, typer.Option(help="How much of each tree is added.")] = 0.05,
    most_trees: Annotated[int, typer.Option(min=1, help="Trees, at most; validation queries say how many.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="Decides what is held out, and which queries validate.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder of the ranker.")] = DEFAULT_FOLDER,
    *,
    as_json: AsJson = False,
) -> None:
    """Teach a ranker (LambdaMART), and say its NDCG against people's grades on queries it was not taught on.

    Example: quorate ranker fit judge --items documents.csv --query query
    """
    from quorate.judge.ranker.kept import save
    from quorate.judge.ranker.model import Options
    from quorate.judge.ranker.teaching import Meant, queries_of, query_texts, teach
    from quorate.judge.ranker.teaching import as_json as told
    from quorate.judge.student.contents import read_contents
    from quorate.judge.student.teaching import source_of

    source = source_of(folder, teacher, people)
    contents = read_contents(items or folder, columns(show), embeddings)
    asked = queries_of(contents, query, None if queries is None else query_texts(queries))
    options = Options(k=k, leaves=leaves, rate=rate, most_trees=most_trees, seed=seed)
    meant = Meant(task, gain.value, positive)
    with progress("ranker") as step:
        step(0.1, "growing trees")
        done = teach(contents, asked, source, meant, options, share=held_out)
    save(done.ranker, out, [each._asdict() for each in done.figures])
    if as_json:
        print_json({**told(done), "out": str(out)})
        return
    _show(done)
    line = f"\nwritten to {out}; use it with: quorate ranker predict ITEMS --ranker {out}"
    console().print(line, markup=False, soft_wrap=True)


def _show(done: Teaching) -> None:
    screen, ranker = console(), done.ranker
    of = f"{plural(ranker.n_documents, 'document')} of {plural(ranker.n_queries, 'query', 'queries')}"
    told = f"taught by {ranker.teacher} on {of}: {plural(ranker.n_trees, 'tree')}"
    screen.print(told, markup=False, soft_wrap=True)
    if done.figures:
        n, k = plural(done.n_held_out, "query", "queries"), done.figures[0].k
        screen.print(f"NDCG@{k} against people, on {n} held out:\n", markup=False)
        rows = [
            (each.party, f"{each.estimate:.3f}", "-" if each.low is None else f"{each.low:.3f} to {each.high:.3f}")
            for each in done.figures
        ]
        screen.print(table(("ranked by", f"NDCG@{k}", "95% interval"), rows))
    if done.notes:
        screen.print()
        screen.print(notes(done.notes))


# ---- predict --------------------------------------------------------------------------------------------------------
def predict(
    items: Annotated[
        Path, typer.Argument(metavar="ITEMS", help="Documents, each under its query.", show_default=False)
    ],
    ranker_folder: Annotated[
        Path, typer.Option("--ranker", help="A folder that `quorate ranker fit` wrote.")
    ] = DEFAULT_FOLDER,
    query: Query = "query",
    queries: QueryTexts = None,
    embeddings: Embeddings = None,
    out: Annotated[Path, typer.Option(help="Where the ranking goes: .parquet, .csv or .jsonl.")] = DEFAULT_OUT,
    *,
    as_json: AsJson = False,
) -> None:
    """Rank the documents of every query: a table of query, rank, item and score, asking nobody.

    Example: quorate ranker predict new.csv --ranker ranker --out ranking.csv
    """
    from quorate.data.write import write_table
    from quorate.judge.ranker.kept import load
    from quorate.judge.ranker.teaching import queries_of, query_texts
    from quorate.judge.student.contents import read_contents

    if out.suffix.lower() not in ENDINGS:
        raise SettingError(f"cannot write {out.name!r}: the name must end in {', '.join(ENDINGS)}")
    taught = load(ranker_folder)
    fields = tuple(field.column for field in taught.matches.fields)
    contents = read_contents(items, fields, embeddings)
    asked = queries_of(contents, query, None if queries is None else query_texts(queries))
    write_table(taught.rank(contents, asked), out)
    if as_json:
        print_json({"documents": len(contents), "queries": len(asked.names), "out": str(out)})
        return
    n_queries = plural(len(asked.names), "query", "queries")
    console().print(f"{plural(len(contents), 'document')} of {n_queries} ranked in {out}", markup=False)


ranker.command("fit")(verb(fit))
ranker.command("predict")(verb(predict))
