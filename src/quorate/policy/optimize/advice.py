"""Why no policy keeps to the constraints, and what would do."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, log, log10
from typing import NamedTuple

from quorate.errors import SettingError
from quorate.policy.certify import labels_needed
from quorate.policy.optimize.attempt import LIMIT_WORDS, Attempt, accuracy_at_best, attempt
from quorate.policy.optimize.choice import Choice
from quorate.policy.optimize.constraints import ALL_TASKS, LIMITS, Constraints
from quorate.policy.optimize.ground import Ground
from quorate.policy.optimize.prove import Check, highest_floor, p_values
from quorate.policy.optimize.standing import accuracy_of

MOST_EXTRAPOLATED = 100  # labels per item-task; beyond it more labels are no advice
TIGHT = 0.95  # of a limit that is used
ROOM = (1.0, 1.02, 1.05, 1.1, 1.2, 1.5)  # over what one policy takes
WORTH_SAYING = 0.9  # of the labels of the policy that is proven


class Why(NamedTuple):
    """The constraints that decide, and sentences."""

    binding: tuple[str, ...]
    advice: tuple[str, ...]


def why_none(ground: Ground, constraints: Constraints, tried: Attempt) -> Why:
    """Where nothing keeps to the constraints: which of them stand in the way, and what would do."""
    floors = constraints.floors(ground.steps.schema)
    if not floors:
        return Why(tuple(constraints.limits()), ("No policy keeps to these limits; they exclude one another.",))
    relaxed = _relaxed(ground, constraints)
    if relaxed:
        return Why(tuple(relaxed), tuple(relaxed.values()))
    free = constraints.without_limits()
    if constraints.limits() and free is not None:
        tried = attempt(ground, free, "cost")
        if tried.picked is not None:
            needed = _all_it_takes(ground, tried.choices[tried.picked], constraints)
            return Why(tuple(needed), tuple(needed.values()))
    missed = {task: wanted for task, wanted in floors.items() if not _holds(ground, tried, task)} or floors
    advice = [each for task, wanted in missed.items() for each in _of_floor(ground, tried, task, wanted)]
    if constraints.limits():
        advice.append("Looser limits would not help: this is without any.")
    return Why(tuple(_floor_name(task) for task in missed), tuple(advice))


def why_this(constraints: Constraints, chosen: Choice, floors: dict[str, float]) -> tuple[str, ...]:
    """Where a policy was found: the constraints without which it would be another."""
    tight = [LIMIT_WORDS[name] for name, limit in constraints.limits().items() if chosen.at_most[name] >= TIGHT * limit]
    return (*(_floor_name(task) for task in floors if chosen.labels > 0), *tight)


def price_of_proof(tried: Attempt, constraints: Constraints, floors: dict[str, float]) -> tuple[str, ...]:
    """What the proof costs: the saving that the estimates alone would allow, where it is much more."""
    assert tried.picked is not None
    chosen = tried.choices[tried.picked]
    likely = [
        choice
        for choice in tried.choices
        if all(accuracy_of(choice, task) >= wanted for task, wanted in floors.items()) and not choice.breaks
    ]
    cheapest = min(likely, key=lambda choice: choice.labels, default=chosen)
    if constraints.floor is None or cheapest.labels > WORTH_SAYING * chosen.labels:
        return ()
    sentence = (
        f"By the estimates alone {_percent(cheapest.share_saved)} of the labels could be saved, not "
        f"{_percent(chosen.share_saved)}: more items with a truth would let more of that be proven."
    )
    return (sentence,)


# ---- limits ---------------------------------------------------------------------------------------------------------
def _relaxed(ground: Ground, constraints: Constraints) -> dict[str, str]:
    """Of every limit without which a policy would be found: what it would have to be."""
    found: dict[str, str] = {}
    for option, quantity in LIMITS.items():
        looser = constraints.without(option)
        if quantity not in constraints.limits() or looser is None:
            continue
        tried = attempt(ground, looser, "cost")
        if tried.picked is not None:
            enough = _enough(ground, constraints, {quantity: tried.choices[tried.picked].at_most[quantity]})
            found |= {LIMIT_WORDS[name]: _takes(name, amount, constraints) for name, amount in enough.items()}
    return found


def _all_it_takes(ground: Ground, choice: Choice, constraints: Constraints) -> dict[str, str]:
    """Of every limit that this policy breaks: what it would have to be."""
    broken = {
        name: choice.at_most[name] for name, limit in constraints.limits().items() if choice.at_most[name] > limit
    }
    enough = _enough(ground, constraints, broken)
    return {LIMIT_WORDS[name]: _takes(name, amount, constraints) for name, amount in enough.items()}


def _enough(ground: Ground, constraints: Constraints, amounts: Mapping[str, float]) -> dict[str, float]:
    """These amounts, or a little more, until a search under them does find a policy: another limit, another search."""
    for room in ROOM:
        limits = {name: _up(amount * room, name) for name, amount in amounts.items()}
        if attempt(ground, constraints.with_limits(limits), "cost").picked is not None:
            return limits
    return {name: _up(amount * ROOM[-1], name) for name, amount in amounts.items()}


def _takes(quantity: str, needed: float, constraints: Constraints) -> str:
    limit = constraints.limits()[quantity]
    if quantity == "reviewed":
        return (
            f"The floor needs people on {_percent(needed)} of the answers, not on {_percent(limit)}: allow that "
            "share, or lower the floor."
        )
    if quantity == "labels":
        assert constraints.labels_per_day is not None
        days = ceil(10 * needed / constraints.labels_per_day) / 10
        return (
            f"The floor needs {needed:,.10g} labels, which take {days:,.10g} days, not "
            f"{constraints.deadline_days:g}: allow them, find more people, or lower the floor."
        )
    return f"The floor needs a budget of {needed:,.10g}, not {limit:,.6g}: raise it, or lower the floor."


def _up(amount: float, quantity: str) -> float:
    """Rounded up, to three digits or a tenth of a percent, so that it suffices."""
    if quantity == "reviewed":
        return min(ceil(1000 * amount - 1e-6) / 1000, 1.0)
    if amount <= 0:
        return 0.0
    digits = 2 - floor(log10(amount))
    return round(ceil(amount * 10.0**digits - 1e-9) / 10.0**digits, max(digits, 0))


# ---- floors ---------------------------------------------------------------------------------------------------------
def _holds(ground: Ground, tried: Attempt, task: str) -> bool:
    """Whether this floor at least is held by the nearest policy."""
    near = tried.nearest
    if near is None or not ground.judgeable(task):
        return False
    return any(
        float(p_values(check, [tried.judged[near]], ground.delta)[0]) <= ground.delta
        for check in tried.checks
        if check.task == task
    )


def _of_floor(ground: Ground, tried: Attempt, task: str, wanted: float) -> list[str]:
    whose = "" if task == ALL_TASKS else f" on task {task!r}"
    near = tried.nearest
    if near is None or not ground.judgeable(task):
        return [f"Nothing can be judged{whose}: add gold labels, or more people's labels per item."]
    best = accuracy_at_best(tried, task)
    if best <= wanted:
        return [
            f"Even the best policy is right in {_percent(best)} of the answers{whose}, below {_percent(wanted)}.",
            more_labels(ground, task, wanted),
            _lower_floor(ground, tried, task),
        ]
    return [_more_validation(ground, task, wanted, best), _lower_floor(ground, tried, task)]


def _more_validation(ground: Ground, task: str, wanted: float, best: float) -> str:
    whose = "" if task == ALL_TASKS else f" on task {task!r}"
    has = f"right in {_percent(best)} of the answers{whose}, but {len(ground.proving):,} validation items"
    begin = f"A policy is {has} are too few to prove {_percent(wanted)} at a risk of {_percent(ground.delta)}"
    try:
        needed = 2 * labels_needed(wanted, ground.delta, min(best, 1.0))
    except SettingError:
        return f"{begin}, and no realistic number would do."
    return (
        f"{begin}: with about {max(needed, 2 * len(ground.proving) + 2):,} items that have a truth it could be proven."
    )


def more_labels(ground: Ground, task: str, wanted: float) -> str:
    """Whether more labels per item would reach this accuracy, from how it rises with those there are.

    From the last 2m + 1 accuracies: gains of m labels each are taken to fall by one ratio (Aitken's extrapolation).
    """
    by_labels = ground.accuracy_by_labels(task)
    has = len(by_labels) - 1
    if has < 2:
        return f"Whether more labels would help cannot be told from {max(has, 0)} labels per item and task."
    best, m = float(by_labels[-1]), has // 2
    if best >= wanted:
        return f"Answers with {has} labels or more are right in {_percent(best)}: label the others as often."
    first, last = float(by_labels[-1 - m] - by_labels[-1 - 2 * m]), best - float(by_labels[-1 - m])
    if last <= 0:
        return f"More labels per item would not help: up to {has} labels the accuracy has stopped rising."
    if last >= first:
        return f"At {has} labels per item and task the accuracy still rises as before: ask more people of some items."
    ratio = (last / first) ** (1 / m)
    ceiling = best + last * ratio**m / (1 - ratio**m)
    if ceiling <= wanted:
        return (
            f"More labels per item would not do either: the accuracy rises toward {_percent(min(ceiling, 1.0))} at "
            "most, if it goes on as up to now."
        )
    more = ceil(log((ceiling - wanted) / (ceiling - best)) / log(ratio) - 1e-9)
    if has + more > MOST_EXTRAPOLATED:
        return f"It would take over {MOST_EXTRAPOLATED} labels per item and task, if the accuracy goes on as up to now."
    return (
        f"With about {has + more} labels per item and task, not {has}, it could be reached, if it goes on as up to now."
    )


def _lower_floor(ground: Ground, tried: Attempt, task: str) -> str:
    reach = highest_provable(ground, tried, task)
    whose = "" if task == ALL_TASKS else f" for task {task!r}"
    if reach <= 0:
        return f"No floor{whose} can be proven on {len(ground.proving):,} validation items."
    return f"The highest floor{whose} that could be proven with these items is about {_percent(reach)}."


def highest_provable(ground: Ground, tried: Attempt, task: str) -> float:
    """The highest floor that the policy most right in the search would pass, down to half a percent."""
    if not tried.sequence or not ground.judgeable(task):
        return 0.0
    first = max(range(len(tried.sequence)), key=lambda at: accuracy_of(tried.sequence[at].choice, task))
    return highest_floor(Check(task, ground.column(task), 0.5), tried.judged[first], ground.delta)


def _floor_name(task: str) -> str:
    return "floor" if task == ALL_TASKS else f"floor of {task}"


def _percent(share: float) -> str:
    return f"{round(1000 * share) / 10:g} %"
