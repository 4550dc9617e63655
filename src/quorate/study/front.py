"""Which stopping policies stand on the Pareto front of labels saved and quality, in figures and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from quorate.study.order import difference, gap, order_found, over_seeds, ranked
from quorate.study.section import figure, listed, with_error
from quorate.study.stopping_runs import TABLE_4

Array = np.ndarray
INNER = slice(5, 96)  # of the grid: efficiencies .05 to .95; at the ends all buy everything or nothing

Curves = Mapping[str, Sequence[Mapping[str, Any]]]


def front(curves: Curves, what: str = "accuracy") -> dict[str, float]:
    """Share of the efficiencies from .05 to .95 at which no other policy is clearly better.

    >>> flat, low = {"accuracy": [0.9] * 101}, {"accuracy": [0.8] * 101}
    >>> front({"a": [flat], "b": [low]})
    {'a': 1.0, 'b': 0.0}
    """
    most = what == "accuracy"
    values = {
        name: np.array([each[what] for each in of])[:, INNER] * (1 if most else -1) for name, of in curves.items()
    }
    return {name: float(np.mean(_undefeated(name, values))) for name in values}


def _undefeated(name: str, values: Mapping[str, Float64[Array, "seeds points"]]) -> Bool[Array, "points"]:
    own = values[name]
    standing = np.ones(own.shape[1], bool)
    for other, of in values.items():
        if other != name:
            apart = of - own
            se = apart.std(axis=0, ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.zeros(apart.shape[1])
            standing &= ~(apart.mean(axis=0) > 2 * se)
    return standing


# ---- words ----------------------------------------------------------------------------------------------------------
def sentences(curves: Curves) -> tuple[str, ...]:
    """Who is best and worst, who stands on the front, and whether that is what the paper found."""
    paper = {name: of for name, of in curves.items() if name in TABLE_4}
    aucs = {name: [each["auc"] for each in of] for name, of in paper.items()}
    areas = {name: [each["log_loss_area"] for each in of] for name, of in paper.items()}
    return (
        order_found(aucs, "AUC of the policies of Table 4"),
        _expected(aucs, front(paper)),
        order_found(areas, "Area of the log loss, in nats", most=False),
        _on_front(paper),
        _gone(paper),
        _today(curves),
        f"Joint less product: AUC {difference(gap(aucs, 'joint', 'product'))}.",
    )


def _expected(aucs: Mapping[str, Sequence[float]], standing: Mapping[str, float]) -> str:
    names = ranked(aucs)
    single = all(name.startswith("per-task") for name in names[:2])
    last = names[-1] == "maximum"
    share = figure(standing["per-task-confidence"], 2)
    return (
        f"The paper finds per-task confidence on the front and maximum worst. Here per-task confidence stands on the "
        f"front at {share} of the efficiencies, the two per-task policies are {'' if single else 'not '}the two best, "
        f"and maximum is {'' if last else 'not '}the worst{'' if last else f', which is {names[-1]}'}."
    )


def _on_front(paper: Curves) -> str:
    parts = [
        f"{title}: {', '.join(f'{name} {figure(share, 2)}' for name, share in _standing(paper, what))}"
        for what, title in (("accuracy", "for accuracy"), ("log_loss", "for log loss"))
    ]
    never = [name for name in paper if front(paper)[name] == 0 == front(paper, "log_loss")[name]]
    tail = f"; never: {listed(never)}" if never else ""
    return f"On the Pareto front, as a share of the efficiencies from .05 to .95, {'; '.join(parts)}{tail}."


def _standing(paper: Curves, what: str) -> list[tuple[str, float]]:
    """Those on the front anywhere, most often first."""
    found = [(name, share) for name, share in front(paper, what).items() if share > 0]
    return sorted(found, key=lambda entry: -entry[1])


def _gone(paper: Curves) -> str:
    """What is left of the per-task policies' advantage when they pay for everything they learn from."""
    parts: list[str] = []
    for name, of in paper.items():
        if "as_it_goes" in of[0]:
            went, minimum = (
                [each["auc"] for each in group] for group in ([e["as_it_goes"] for e in of], paper["minimum"])
            )
            apart = over_seeds([one - other for one, other in zip(went, minimum, strict=True)])
            parts.append(f"{name} {with_error(over_seeds(went))}, {difference(apart)} to minimum")
    return f"AUC as it goes, tasks learning from bought labels only: {'; '.join(parts)}."


def _today(curves: Curves) -> str:
    rest = [name for name in curves if name not in TABLE_4]
    parts = [f"{name} {with_error(over_seeds([each['auc'] for each in curves[name]]))}" for name in rest]
    return f"What is used today reaches, by AUC, with the same consensus: {', '.join(parts)}."
