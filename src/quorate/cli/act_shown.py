"""What `quorate act review` says: where the review stands, and whether more of it is worth its price."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorate.cli.terminal import console, count, notes, percent, plural, table

if TYPE_CHECKING:
    from quorate.act.foretold import Foretold, Range
    from quorate.act.reviewing import Reviewed

SUGGEST = 0.1  # errors among the labels ahead, above which another round is suggested


def reviewed_json(found: Reviewed, record: Mapping[str, Any]) -> dict[str, Any]:
    """Where it stands, for programs."""
    of = found.foretold
    ahead: dict[str, Any] | None = None
    if of is not None:
        ahead = {
            "labels": of.n,
            "reviewed": of.reviewed,
            "found": of.found,
            "errors": of.errors._asdict(),
            "ideal_budget": of.ideal,
            "buffer": of.buffer,
            "right_at_first": of.at_first._asdict(),
            "right_now": of.now._asdict(),
            "next": of.next,
            "next_found": of.next_found._asdict(),
            "learned": of.learned,
            "extrapolated": of.guessed,
        }
    return {
        "rule": record["rule"],
        "drawn": found.drawn,
        "answered": found.answered,
        "left": found.left,
        "aside": found.aside,
        "sources": list(found.sources),
        "held_out": None if found.held_out is None else found.held_out._asdict(),
        "spent_usd": found.spent_usd,
        "queue": record["queue"],
        "foretold": ahead,
    }


def show_reviewed(found: Reviewed, record: Mapping[str, Any], where: Path) -> None:
    """Where it stands, for people."""
    screen = console()
    screen.print(
        f"{plural(found.drawn, 'label')} drawn by {record['rule']}, {found.answered:,} answered, {found.left:,} open\n",
        markup=False,
    )
    if found.foretold is not None:
        screen.print(table(("labels", "now", "95% interval"), _rows(found.foretold)))
        screen.print()
    screen.print(notes(remarks(found)))
    screen.print(f"\n{_next(found, record, where)}", markup=False, soft_wrap=True)


def remarks(found: Reviewed) -> list[str]:
    """What else there is to know, a sentence each."""
    of = found.foretold
    said: list[str] = []
    if of is None:
        said.append(
            "The criticism is an order, not a probability: how many are wrong is told after 10 answers of people."
        )
    else:
        said.append(advice(of))
        if of.guessed:
            said.append(
                "Most labels are less doubtful than all that were reviewed: what is said of them is an extrapolation. "
                "--even 0.2 spreads a fifth of a budget over all labels, and makes it a measurement."
            )
        if not of.learned:
            said.append("All of this is as the critics say; 10 answers of people are needed to check it.")
    if found.held_out is not None:
        out = found.held_out
        said.append(
            f"Log loss on labels that did not teach: {out.learned:.3f} learned, {out.mean:.3f} as the plain mean, "
            f"{out.constant:.3f} for a constant (nats)."
        )
    if found.aside:
        said.append(f"{plural(found.aside, 'answer')} left aside: nobody asked about those labels.")
    if found.spent_usd is not None:
        said.append(f"${found.spent_usd:,.2f} spent on people.")
    return said


def advice(of: Foretold) -> str:
    """Whether more review is worth its price, in a sentence."""
    buffer = f" (and {of.buffer:,} more to be safe)" if of.buffer else ""
    ideal = f"The ideal budget is {plural(of.ideal, 'review')}{buffer}; {of.reviewed:,} are done."
    if not of.next:
        return f"{ideal} Every label was looked at."
    rate = of.next_found.estimate / of.next
    ahead = f"Of the next {of.next:,}, about {of.next_found.estimate:.0f} would be wrong ({rate:.0%})."
    return f"{ideal} {ahead}" + ("" if rate >= SUGGEST else " More review finds little.")


def _rows(of: Foretold) -> list[tuple[str, str, str]]:
    errors, found = of.errors, f"{of.found:,} of {of.reviewed:,}"
    return [
        ("right, as the machine gave them", percent(of.at_first.estimate), _bounds(of.at_first)),
        ("right now", percent(of.now.estimate), _bounds(of.now)),
        ("wrong at first, of those for review", count(round(errors.estimate)), _bounds(errors, "{:,.0f}")),
        ("found wrong, of those reviewed", found, ""),
    ]


def _bounds(of: Range, form: str = "{:.1%}") -> str:
    return "-" if of.low is None or of.high is None else f"{form.format(of.low)} to {form.format(of.high)}"


def _next(found: Reviewed, record: Mapping[str, Any], where: Path) -> str:
    act = "" if where == Path("act") else f" --act {where}"
    if found.left and record.get("campaigns"):
        return f"people answer in the service; then: quorate act review --fetch{act}"
    if found.left:
        return (
            f"fill in `label` in {record['queue']} (and `annotator`, if you like), then:\n"
            f"quorate act review --answers {record['queue']}{act}"
        )
    return f"next: quorate act train{act}; quorate act report{act}"
