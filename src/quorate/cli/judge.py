"""`quorate judge`: people's grades teach a model to grade, a gate lets it through, anchors watch it.

Everything lies in one folder, named by `--judge`; a step that was taken is in its log for good, and `status` says where
the judge stands and what comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.judge_after import discrepancy, estimate
from quorate.cli.judge_amplify import amplify
from quorate.cli.judge_calibrate import calibrate
from quorate.cli.judge_gate import gate, watch
from quorate.cli.judge_where import DEFAULT_FOLDER, Where, there
from quorate.cli.terminal import console, notes, plural, print_json, table, tell, verb
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.data.dataset import Dataset
    from quorate.judge.folder import Standing
    from quorate.judge.people import PeopleAgree
    from quorate.judge.seeding import Seeding

judge = typer.Typer(no_args_is_help=True, help="Teach a model to grade as people do, let it through a gate, watch it.")


class ByName(StrEnum):
    """How the items that people grade are chosen."""

    RANDOM = "random"
    STRATUM = "stratum"
    DOUBT = "doubt"


NEXT = {
    None: "quorate judge seed DATA",
    "seeded": "quorate judge calibrate DATA",
    "calibrated": "quorate judge gate DATA",
    "gated": "quorate judge amplify ITEMS",
    "amplifying": "quorate judge amplify ITEMS, until everything is labeled; quorate judge watch DATA",
    "watched": "quorate judge amplify ITEMS; quorate judge watch DATA, now and then",
}


def seed(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A dataset folder or a table of items.", show_default=False)
    ],
    where: Where = DEFAULT_FOLDER,
    items: Annotated[int, typer.Option(min=3, help="Items that people grade, in all.")] = 200,
    people: Annotated[int, typer.Option(min=1, help="People who grade each.")] = 2,
    by: Annotated[
        ByName, typer.Option(help="Chosen at random, from every value of a column, or where models are in doubt.")
    ] = ByName.RANDOM,
    column: Annotated[str | None, typer.Option(help="by stratum: the column of the items.")] = None,
    rubric: Annotated[
        Path | None,
        typer.Option(help="What is asked (YAML): needed where the data has no schema; kept with the judge."),
    ] = None,
    grades: Annotated[
        Path | None, typer.Option(help="to_grade.csv as it came back from people, with annotator and label filled in.")
    ] = None,
    also: Annotated[
        Path | None,
        typer.Option(help="Items to be graded and learned from beside those drawn: to_people.csv, or any item column."),
    ] = None,
    least_alpha: Annotated[
        float, typer.Option(help="Krippendorff's alpha of people below which the rubric is to be mended first.")
    ] = 0.4,
    random_seed: Annotated[int, typer.Option("--seed", min=0, help="Decides the choice.")] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Choose what people grade; take their grades in; say whether they agree."""
    from quorate.judge.asked import take_rubric
    from quorate.judge.folder import JudgeFolder
    from quorate.judge.seeding import Wish, begin

    found = _read(data, rubric)
    wish = Wish(items, people, by.value, column, least_alpha=least_alpha, seed=random_seed)
    with JudgeFolder(where).held() as folder:
        came = begin(folder, found, wish, grades=_grades(grades), also=_listed(also))
        if rubric is not None:
            take_rubric(folder, rubric)
    if as_json:
        print_json(_seeding_json(came))
    else:
        _show_seeding(came, where)


def status(where: Where = DEFAULT_FOLDER, *, as_json: AsJson = False) -> None:
    """Where the judge stands, what happened, and what comes next."""
    folder = there(where)
    standing = folder.standing()
    if as_json:
        print_json({**_standing_json(standing), "events": [each._asdict() for each in folder.events()]})
        return
    screen = console()
    screen.print(f"{where}: {standing.line()}\n", markup=False, soft_wrap=True)
    rows = [(event.at.replace("T", " ")[:19], event.step, _told(event.step, event.detail)) for event in folder.events()]
    screen.print(table(("when", "step", "what came of it"), rows, text_columns=3))
    screen.print(f"\nnext: {_next(standing)}", markup=False)


# ---- reading --------------------------------------------------------------------------------------------------------
def _read(path: Path, rubric: Path | None) -> Dataset:
    """The data; with a rubric its tasks too. Raises SettingError where nobody says what is asked."""
    from quorate.data.dataset import Dataset
    from quorate.llm.items import read_items
    from quorate.llm.labeled import merged_schema
    from quorate.llm.rubric_file import read_rubric

    if path.is_dir():
        data = Dataset.read(path)
    else:
        data = read_items(path, show=()).data
        assert data is not None
    if rubric is not None:
        schema = merged_schema(read_items(path, show=()), read_rubric(rubric).schema) if data.items else None
        schema = schema or read_rubric(rubric).schema
        return Dataset(data.labels, data.scores, data.model_labels, data.gold, data.items, schema=schema)
    if not len(data.schema):
        raise SettingError("nobody says what is asked: give --rubric, or a schema.json beside the tables")
    return data


def _grades(path: Path | None) -> Any:
    """The rows of a table that came back from people, empty cells and all."""
    if path is None:
        return None
    import pyarrow as pa

    from quorate.data.files import read_file

    raw = read_file("labels", path)
    rows = [raw.record(row) for row in raw.row]
    return pa.table({name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in raw.columns})


def _listed(path: Path | None) -> list[str]:
    """The items of a list."""
    if path is None:
        return []
    from quorate.data.dataset import Dataset
    from quorate.data.files import read_file

    items = Dataset.from_raw([read_file("items", path)]).items
    assert items is not None
    return items["item"].to_pylist()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


# ---- showing --------------------------------------------------------------------------------------------------------
def _seeding_json(came: Seeding) -> dict[str, Any]:
    from quorate.judge.seed import ROLES

    return {
        "items": len(came.seed.items),
        "roles": {role: len(came.seed.of(role)) for role in ROLES},
        "graded": came.graded,
        "missing": came.missing,
        "people": [each.as_json() for each in came.people],
        **_standing_json(came.standing),
    }


def _standing_json(standing: Standing) -> dict[str, Any]:
    return {
        "stage": standing.stage,
        "gate": list(standing.open),
        "version": standing.version,
        "alarm": standing.alarm,
        "next": _next(standing),
    }


def _show_seeding(came: Seeding, where: Path) -> None:
    from quorate.judge.folder import TO_GRADE
    from quorate.judge.seed import ROLES

    screen = console()
    roles = ", ".join(f"{len(came.seed.of(role))} for {word}" for role, word in zip(ROLES, FOR, strict=True))
    screen.print(f"{plural(len(came.seed.items), 'item')} in the seed: {roles}", markup=False)
    screen.print(f"{plural(came.graded, 'grade')} by people, {came.missing:,} still wanted\n", markup=False)
    if came.people:
        screen.print(table(_PEOPLE, [_people_row(each) for each in came.people]))
        screen.print()
        screen.print(notes(sentences(came.people)))
    if came.missing:
        tell(f"to be graded: {where / TO_GRADE}; hand it in with --grades when it is filled in")


def sentences(people: Sequence[PeopleAgree]) -> list[str]:
    """What follows for the tasks, those of one fate together."""
    found = list[str]()
    for says in dict.fromkeys(each.says for each in people):
        tasks = [each for each in people if each.says == says]
        names = ", ".join(repr(each.task) for each in tasks)
        found.append(tasks[0].sentence().replace(repr(tasks[0].task), names, 1))
    return found


FOR = ("calibration", "the gate", "anchors")
_PEOPLE = ("task", "items", "agree", "alpha (95%)", "people")


def _people_row(each: PeopleAgree) -> tuple[str, ...]:
    agree = "-" if each.agreement is None else f"{each.agreement:.0%}"
    bounds = "" if each.low is None or each.high is None else f" ({each.low:.2f} to {each.high:.2f})"
    alpha = "-" if each.alpha is None else f"{each.alpha:.2f}{bounds}"
    return each.task, f"{each.n_items:,}", agree, alpha, each.says


def _told(step: str, detail: Any) -> str:
    match step:
        case "seeded":
            says = [f"{each['task']}: {each['says']}" for each in detail.get("people", ())]
            return f"{plural(detail.get('items', 0), 'item')}; people {', '.join(says) or 'have not graded yet'}"
        case "gated":
            closed: Sequence[str] = detail.get("closed", ())
            parts = [f"open for {', '.join(detail['open'])}"] if detail["open"] else []
            return "; ".join(parts + ([f"closed for {', '.join(closed)}"] if closed else [])) or "closed"
        case _:
            return str(detail.get("told", ""))


def _next(standing: Standing) -> str:
    if standing.stage == "gated" and not standing.open:
        return "look at gate.html; then grade more, or calibrate again: quorate judge calibrate DATA"
    return NEXT[standing.stage]


judge.command("seed")(verb(seed))
judge.command("calibrate")(verb(calibrate))
judge.command("gate")(verb(gate))
judge.command("amplify")(verb(amplify))
judge.command("watch")(verb(watch))
judge.command("estimate")(verb(estimate))
judge.command("discrepancy")(verb(discrepancy))
judge.command("status")(verb(status))
