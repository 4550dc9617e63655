"""`quorate act choose`: which model annotates, which one criticizes, and how much review that needs."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson, Bad, Folder, OnBad
from quorate.cli.policy import pairs
from quorate.cli.source import opened, recorded_prices, size
from quorate.cli.terminal import console, count, figure, notes, percent, plural, print_json, table
from quorate.errors import DataError, SettingError

if TYPE_CHECKING:
    from quorate.act.advice import Price
    from quorate.act.propose import Proposal
    from quorate.measure.intervals import Interval

LEAST = 20  # test items of a task


class WayName(StrEnum):
    """How the criticizer is chosen."""

    MEASURED = "measured"
    SECOND = "second"


def choose(
    folder: Folder,
    task: Annotated[list[str] | None, typer.Option(help="These tasks only; may be given often.")] = None,
    items: Annotated[
        int | None, typer.Option(min=1, help="Items to label in all.", show_default="those of the folder")
    ] = None,
    way: Annotated[
        WayName, typer.Option(help="The criticizer: the one that finds most mistakes, or the second best model.")
    ] = WayName.MEASURED,
    buffer: Annotated[
        float, typer.Option(min=0, max=1, help="Reviews beyond the expected mistakes, a share of all items.")
    ] = 0.1,
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=NUMBER", help="Dollars of one answer of a model; may be given often. Default: its cost_usd."
        ),
    ] = None,
    person_price: Annotated[float | None, typer.Option(min=0, help="Dollars of one answer of a person.")] = None,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Choose annotator and criticizer on items that people have labeled, and say how many labels to have reviewed.

    FOLDER holds the answers of two models or more beside gold or people's labels, as `quorate label` writes it; one or
    two hundred items are enough. A model's criticism is taken to be its doubt of the annotator's answer.
    Example: quorate act choose labeled --items 50000 --person-price 0.08
    """
    from quorate.act.cases import cases_of
    from quorate.act.propose import Prices, propose

    data = opened(folder, on_bad)
    coded = data.encode()
    prices = Prices(recorded_prices(data) | pairs("--price", price), person_price)
    cases = {case.task: case for case in cases_of(coded, LEAST)}
    missing = [name for name in task or () if name not in cases]
    if missing or not cases:
        _refuse(missing, [each.name for each in coded.schema.tasks], str(folder))
    n_items = coded.n_items if items is None else items
    tested = max(len(case.truth) for case in cases.values())
    if n_items < tested:
        raise SettingError(f"--items {n_items}: {tested:,} items were tested already; give how many there are in all")
    found = [
        propose(case, prices, n_items=n_items, way=way.value, buffer=buffer)
        for case in cases.values()
        if not task or case.task in task
    ]
    if as_json:
        print_json({"data": size(coded)._asdict(), "tasks": {each.task: _json(each) for each in found}})
        return
    console().print(size(coded).line())
    for proposal in found:
        _show(proposal)


# ---- parts ----------------------------------------------------------------------------------------------------------
def _refuse(missing: list[str], known: list[str], folder: str) -> None:
    unknown = [name for name in missing if name not in known]
    if unknown:
        raise SettingError(f"there is no task {unknown[0]!r}; there are: {', '.join(known)}")
    whose = f"task {missing[0]!r}" if missing else "any task"
    raise DataError(
        f"fewer than two models that answered {LEAST} items of {whose} whose truth is known",
        mend="label a test set by two models (`quorate label`) and by people (`gold`, or two `labels` an item)",
        source=folder,
    )


def _json(of: Proposal) -> dict[str, Any]:
    choice = of.choice
    return {
        "annotator": choice.annotator,
        "criticizer": choice.criticizer,
        "way": choice.way,
        "clear": choice.clear,
        "test_items": of.n_test,
        "items": of.n_items,
        "budget": of.advice.budget,
        "wrong": of.advice.ideal._asdict(),
        "models": [
            {"model": each.model, "accuracy": each.accuracy._asdict(), "behind": each.behind and each.behind._asdict()}
            for each in choice.abilities
        ],
        "critics": [
            {"model": each.model, "abs": each.area._asdict(), "behind": each.behind and each.behind._asdict()}
            for each in choice.critics
        ],
        "price": None if of.price is None else _priced(of.price),
        "unpriced": list(of.unpriced),
    }


def _priced(of: Price) -> dict[str, float]:
    return {**of._asdict(), "total_usd": of.total_usd, "saved": of.saved}


def _show(of: Proposal) -> None:
    screen, choice = console(), of.choice
    screen.print(f"\n{of.task}, judged on {plural(of.n_test, 'item')}\n", markup=False, soft_wrap=True)
    areas = {each.model: each.area for each in choice.critics}
    rows = [
        (each.model, percent(each.accuracy.estimate), _percents(each.accuracy), *_area(areas.get(each.model)))
        for each in choice.abilities
    ]
    screen.print(table(("model", "right", "95% interval", "ABS as critic", "95% interval"), rows))
    screen.print()
    screen.print(notes(list(_said(of))))
    if of.price is not None:
        screen.print()
        screen.print(table(("annotation", "criticism", "review", "in all", "people alone", "saved"), [_money(of.price)],
                           text_columns=0))  # fmt: skip


def _said(of: Proposal) -> list[str]:
    choice, ideal = of.choice, of.advice.ideal
    critic = "itself" if choice.criticizer == choice.annotator else choice.criticizer
    said = [f"{choice.annotator} annotates, criticized by {critic}{_why(of)}."]
    if not choice.clear:
        runner_up = choice.abilities[1]
        lead = runner_up.behind
        between = "" if lead is None else f" ({lead.low:+.1%} to {lead.high:+.1%})"
        said.append(
            f"Its lead over {runner_up.model} may be chance{between}: take the cheaper one, or test more items."
        )
    said.append(
        f"Of {plural(of.n_items, 'item')}, have {count(of.advice.budget)} reviewed "
        f"({percent(of.advice.share(of.n_items))}): about {ideal.estimate:,.0f} labels are wrong "
        f"({ideal.low:,.0f} to {ideal.high:,.0f})."
    )
    if of.price is not None and of.unpriced:
        said.append(f"No price of {' and '.join(of.unpriced)} is known; it counts as nothing: --price MODEL=NUMBER.")
    return said


def _why(of: Proposal) -> str:
    from quorate.act.choose import LEAST_WRONG

    if of.choice.way == "measured":
        return ", which finds most of its mistakes"
    mistakes = round((1 - of.choice.abilities[0].accuracy.estimate) * of.n_test)
    if mistakes >= LEAST_WRONG:
        return ", the second best"
    return f", the second best ({plural(mistakes, 'mistake')} here: too few to measure who finds them)"


def _percents(of: Interval) -> str:
    return f"{percent(of.low)} to {percent(of.high)}"


def _area(of: Interval | None) -> tuple[str, str]:
    return ("-", "-") if of is None else (figure(of.estimate), f"{figure(of.low)} to {figure(of.high)}")


def _money(of: Price) -> tuple[str, ...]:
    paid = (of.annotation_usd, of.criticism_usd, of.review_usd, of.total_usd, of.human_only_usd)
    return (*(f"${each:,.2f}" for each in paid), percent(of.saved))
