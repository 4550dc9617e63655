"""What stands out among agents, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from quorate.consensus.reliability import AgentFigure, Kind
from quorate.consensus.shared_errors import TOGETHER, PairFigure, SharedErrors
from quorate.measure.intervals import Interval

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
LEAST_COMMON_ERRORS = 5  # of two people, before anybody is asked about them
MOST_NAMED = 5  # of a kind of finding; the others are counted


def sentences(agents: Sequence[AgentFigure], shared: SharedErrors) -> tuple[str, ...]:
    """Models and their worth first, then what is odd, then who cannot be judged."""
    found = [*_worth(shared), *_families(shared), *_best(agents)]
    for flag_sentences in (_constant(agents), _below_chance(agents), _people_together(shared)):
        found += flag_sentences[:MOST_NAMED]
        if len(flag_sentences) > MOST_NAMED:
            found.append(f"and {_number(len(flag_sentences) - MOST_NAMED)} more of this kind.")
    return (*found, *_too_few(agents))


def of_one_kind(archetypes: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """Models that a fitted model sorts into the same archetype.

    >>> of_one_kind({"a": (0.9, 0.1), "b": (0.8, 0.2), "c": (0.0, 1.0)})
    ("'a' and 'b' are of one archetype (80 % or surer).",)
    """
    surest = {name: max(range(len(shares)), key=shares.__getitem__) for name, shares in archetypes.items()}
    kinds = [[name for name, kind in surest.items() if kind == each] for each in sorted(set(surest.values()))]
    return tuple(
        f"{_listed(kind)} are of one archetype ({100 * min(max(archetypes[name]) for name in kind):.0f} % or surer)."
        for kind in kinds
        if len(kind) > 1
    )


def worth(models: int, effective: Interval) -> str:
    """The effective number in words.

    >>> worth(6, Interval(1.9, 1.7, 2.2, 0.1))
    'six models, worth 1.9 independent ones (1.7 to 2.2)'
    """
    value, low, high, _ = effective
    return f"{_number(models)} models, worth {value:.1f} independent ones ({low:.1f} to {high:.1f})"


def _worth(shared: SharedErrors) -> list[str]:
    if shared.effective is None:
        return []
    text = worth(shared.models, shared.effective)
    return [f"{text[0].upper()}{text[1:]}."]


def _families(shared: SharedErrors) -> list[str]:
    found: list[str] = []
    for family in shared.families:
        what = f", variants of {family.variants_of!r}," if family.variants_of else ""
        found.append(
            f"{_listed(family.members)}{what} err together: their errors correlate with {family.correlation:.2f}."
        )
    return found


def _best(agents: Sequence[AgentFigure]) -> list[str]:
    """The most accurate model of every task, if several answered it."""
    found: list[str] = []
    models = [figure for figure in agents if figure.kind == "model" and figure.accuracy is not None]
    for task, group in groupby(models, key=lambda figure: figure.task):
        several = list(group)
        if len(several) > 1:
            best = max(several, key=lambda figure: figure.accuracy or 0.0)
            found.append(f"On {task!r} the most accurate model is {best.agent!r}: {_share(best)}.")
    return found


def _constant(agents: Sequence[AgentFigure]) -> list[str]:
    return [
        f"{_who(figure)} gave the same answer to all {figure.n} items of {figure.task!r}."
        for figure in agents
        if "constant" in figure.flags
    ]


def _below_chance(agents: Sequence[AgentFigure]) -> list[str]:
    return [
        f"{_who(figure)} is worse than chance on {figure.task!r}: {_share(figure)}, blind answers {figure.chance:.0%}."
        for figure in agents
        if "worse than chance" in figure.flags
    ]


def _people_together(shared: SharedErrors) -> list[str]:
    """Pairs whose whole interval lies above the correlation of a family, the most correlated first."""
    pairs = [pair for pair in shared.pairs if pair.kind == "annotator" and _clearly_together(pair)]
    pairs.sort(key=lambda pair: -(pair.correlation or 0.0))
    return [
        f"Annotators {pair.first!r} and {pair.second!r} err together on {pair.task!r} "
        f"(correlation {pair.correlation:.2f}, {pair.low:.2f} to {pair.high:.2f}): ask whether they work independently."
        for pair in pairs
    ]


def _clearly_together(pair: PairFigure) -> bool:
    return (pair.low or 0.0) > TOGETHER and pair.n * (pair.both_wrong or 0.0) >= LEAST_COMMON_ERRORS


def _too_few(agents: Sequence[AgentFigure]) -> list[str]:
    found: list[str] = []
    kinds: tuple[Kind, ...] = ("annotator", "model")
    for kind in kinds:
        everybody = {figure.agent for figure in agents if figure.kind == kind}
        told = {
            figure.agent for figure in agents if figure.kind == kind and "too few labels to tell" not in figure.flags
        }
        if everybody - told:
            count = f"{len(everybody - told)} of {len(everybody)} {kind}s"
            found.append(f"{count} answered too little, or on items too uncertain, to tell how reliable they are.")
    return found


def _who(figure: AgentFigure) -> str:
    return f"{figure.kind.capitalize()} {figure.agent!r}"


def _share(figure: AgentFigure) -> str:
    return f"right on {figure.accuracy:.0%} ({figure.low:.0%} to {figure.high:.0%})"


def _listed(names: Sequence[str]) -> str:
    """All but the last with commas, or as many as are readable."""
    shown = [repr(name) for name in names[:MOST_NAMED]]
    rest = len(names) - len(shown)
    if rest:
        return f"{', '.join(shown)} and {_number(rest)} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _number(n: int) -> str:
    return NUMBERS[n] if n < len(NUMBERS) else f"{n:,}"
