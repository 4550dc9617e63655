"""What the figures say, in sentences computed from them."""

from __future__ import annotations

from typing import NamedTuple

from quorate.consensus.findings import worth as independent
from quorate.measure.efficiency import Estimate
from quorate.report.absent import Absent
from quorate.report.gather import Models, Report
from quorate.report.ladder import SLACK
from quorate.report.people import People
from quorate.report.savings import CHOSEN, OVERLAP, Family, Savings
from quorate.report.trust import Proof
from quorate.report.words import count, listed, money, percent, signed, signed_percent, with_error
from quorate.report.worth import LABELS_MARGIN, MARGIN, Loss, Worth

HARDLY = 0.005  # a share that rounds to nothing, or to everything
SURELY = 2.0  # standard errors


class Card(NamedTuple):
    """One of the three figures that matter."""

    heading: str
    figure: str
    below: str


def headline(of: Savings | Absent) -> str:
    """What was saved, in one sentence with money."""
    if isinstance(of, Absent):
        return "What was saved cannot be told."
    share, cost = of.stop.share.estimate, of.cost
    paid = f"{money(share * cost)} instead of {money(cost)}"
    need = f"{percent(share)} of the labels: {paid}"
    if share > 1 - HARDLY:
        need = f"all of the labels: {money(cost)}"
    elif share < HARDLY:
        need = f"hardly any label: {paid}"
    if of.reached:
        return f"At a floor of {percent(of.floor)} you need {need}."
    missed = f"No threshold reaches a floor of {percent(of.floor)}"
    return f"{missed}; to come within a point of all labels you need {need}."


def under_headline(of: Report) -> str:
    """What is meant by right, and how to do it."""
    if isinstance(of.saved, Absent):
        return of.saved.why
    return (
        f"{_before_labels(of)}Close each question as soon as its confidence reaches {of.saved.stop.threshold:.3g}. "
        f"An answer counts as right when it agrees with {of.saved.target}."
    )


def _before_labels(of: Report) -> str:
    """Where the floor is out of reach, or asks for nothing, that comes first: the headline alone would mislead."""
    if isinstance(of.saved, Absent):
        return ""
    if not of.saved.reached:
        return f"All labels together are right in {percent(of.saved.all.value, 1)}. "
    if of.saved.none.value < of.saved.floor:
        return ""
    who = "models are" if of.sizes.models else "the usual answer of each task is"
    return (
        f"This floor asks for nothing: before any label {who} right in {percent(of.saved.none.value, 1)}, averaged "
        "over tasks. Look at the single tasks below, or raise it. "
    )


# ---- three figures --------------------------------------------------------------------------------------------------
def cards(of: Report) -> tuple[Card, ...]:
    """What was saved, how right that is, and what of it is proven."""
    return (_money_card(of.saved), _right_card(of.saved), _proof_card(of.proof, of.saved))


def _money_card(of: Savings | Absent) -> Card:
    if isinstance(of, Absent):
        return Card("Saved", "–", "Needs labels by people.")
    share = of.stop.share
    return Card(
        "Saved",
        money((1 - share.estimate) * of.cost),
        f"{percent(1 - share.estimate)} of {of.labels:,} labels; {percent(1 - share.high)} to {percent(1 - share.low)} "
        "with other items of this kind",
    )


def _right_card(of: Savings | Absent) -> Card:
    if isinstance(of, Absent):
        return Card("Right", "–", "Needs something to judge by.")
    others = f"{percent(of.all.value)} with all labels, {percent(of.none.value)} with none"
    return Card("Right", with_error(of.stop.accuracy), f"of the answers; {others}{_check(of)}")


def _check(of: Savings) -> str:
    """A warning where the threshold of one half fails on the other."""
    right = of.stop.checked
    if right is None or right.value + SURELY * (right.se or 0.0) >= of.goal:
        return ""
    return f". Fragile: chosen on one half, {with_error(right)} on the other"


def _proof_card(of: Proof | Absent, saved: Savings | Absent) -> Card:
    if isinstance(of, Absent):
        return Card("Proven", "nothing", "Needs answers whose truth is known.")
    found = of.certificate
    if found.threshold is None:
        needed = f"; about {of.needed:,} checked answers would do" if of.needed else ""
        return Card("Proven", "not yet", f"These data do not prove a floor of {percent(found.floor)}{needed}")
    share = share_at(saved, found.threshold)
    cost = "" if share is None else f", which takes {percent(share)} of the labels"
    return Card(
        "Proven",
        f"≥ {percent(found.floor)}",
        f"when closing at {found.threshold:.3g}{cost}; wrong with a risk of at most {percent(found.delta)}",
    )


def share_at(of: Savings | Absent, threshold: float) -> float | None:
    """Share of the labels bought when questions close at this confidence or the next that was tried above it."""
    if isinstance(of, Absent):
        return None
    chosen = next(family for family in of.families if family.name == CHOSEN)
    above = [share for level, share in zip(chosen.threshold, chosen.share, strict=True) if level >= threshold - 1e-9]
    return above[0] if above else 1.0


# ---- sections -------------------------------------------------------------------------------------------------------
def compared(of: Savings) -> str:
    """What other policies would have cost for the same."""
    others = {
        family.name: (family.title, min(_enough(of, family)))
        for family in of.families
        if family.name != CHOSEN and _enough(of, family)
    }
    if not others:
        return "No other policy that was tried is as right for any number of labels."
    name = min(others, key=lambda each: others[each][1])
    title, share = others[name]
    if share < of.stop.share.low:
        return f"As right for less: {title}, {percent(share)} of the labels ({money(share * of.cost)})."
    words = (
        f"No other policy is clearly cheaper. Next: {title}, {percent(share)} of the labels ({money(share * of.cost)})"
    )
    if name == OVERLAP or OVERLAP not in others:
        return f"{words}{'' if name == OVERLAP else '; as many labels for all never are as right'}."
    title, share = others[OVERLAP]
    return f"{words}; {title}, {percent(share)} ({money(share * of.cost)})."


def _enough(of: Savings, family: Family) -> list[float]:
    """The shares at which a family is as right as asked."""
    return [share for share, right in zip(family.share, family.accuracy, strict=True) if right >= of.goal - SLACK]


def on_people(of: People) -> str:
    """How many are worth a look."""
    everybody = count(len(of.shown), "person", "people")
    if not of.judged:
        return f"{everybody} labeled, none of them enough, or beside others, to tell how often they are right."
    told = "" if of.judged == len(of.shown) else f"; {len(of.shown) - of.judged} gave too few answers to be judged"
    if not of.flagged:
        return f"{everybody} labeled, and nobody stands out{told}."
    return f"{of.flagged} of {everybody} {'is' if of.flagged == 1 else 'are'} worth a look{told}."


def on_models(of: Models) -> str:
    """Their effective number, and who errs with whom."""
    if of.shared.effective is None:
        names = len(of.names)
        return "One model: nobody to err with." if names == 1 else "Too few common errors to tell who errs with whom."
    words = independent(of.shared.models, of.shared.effective)
    found = [
        f"{listed(family.members, 3)} err together (correlation {family.correlation:.2f})."
        for family in of.shared.families[:2]
    ]
    return " ".join([f"{words[:1].upper()}{words[1:]}.", *found])


def on_worth(of: Worth, price: float | None, labels: int) -> str:
    """Who can go, and what all of them bring."""
    parts = [_spare(of)] if len(of.each) > 1 else []
    parts.append(_together(of, price, labels))
    return " ".join(part for part in parts if part)


def _spare(of: Worth) -> str:
    if of.spare is not None:
        who = listed(of.spare.models, 6)
        return f"Drop {who}: you lose nothing ({_loss(of.spare)})."
    best = of.each[0]
    if best.nats is not None and best.nats.se is not None and best.nats.value > SURELY * best.nats.se:
        return f"None is shown to be spare. {best.models[0]} brings most: {_loss(best)} without it."
    return (
        f"These data are too few to show that any model can go: a loss below {MARGIN:g} nats per label and below "
        f"{percent(LABELS_MARGIN)} of the labels would have to be sure."
    )


def _loss(of: Loss) -> str:
    parts = [] if of.nats is None else [f"{signed(of.nats)} nats per label"]
    if of.labels is not None:
        parts.append(f"{signed_percent(of.labels)} labels")
    return ", ".join(parts)


def _together(of: Worth, price: float | None, labels: int) -> str:
    who = "the model" if len(of.each) == 1 else "any model"
    gap = of.together.labels
    if gap is None:
        return f"Without {who}: {_loss(of.together)}." if of.together.nats is not None else ""
    if gap.se is not None and abs(gap.value) < SURELY * gap.se:
        return f"Without {who}: {_loss(of.together)}; whether models save labels cannot be told."
    amount = "" if price is None else f", {money(gap.value * labels * price)}"
    size = Estimate(abs(gap.value), gap.se)
    return f"Without {who} it takes {with_error(size)} of the labels {'more' if gap.value > 0 else 'less'}{amount}."
