"""A cascade in words: its decision tree, a line per bin, and the table of what it is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quorate.cli.terminal import console, count, notes, percent, table

if TYPE_CHECKING:
    from rich.console import Console

    from quorate.cascade.answers import Agent
    from quorate.cascade.kept import Kept
    from quorate.cascade.tree import Node

WIDTH = 79
STRATEGY_WORDS = {
    "majority": "the majority of those called",
    "weighted": "their weighted majority",
    "learned": "their learned combination",
    "consensus": "their consensus",
}


def show(kept: Iterable[Kept]) -> None:
    """Every cascade: its tree, then its table."""
    screen = console()
    for at, each in enumerate(kept):
        if at:
            screen.print()
        _show_tree(screen, each)
        screen.print()
        _show_figures(screen, each.figures)


def _show_tree(screen: Console, kept: Kept) -> None:
    cascade = kept.cascade
    what = "its score" if cascade.signal == "own" else "the score of all called so far"
    screen.print(f"Task {cascade.task.name}, {what} in bins", markup=False)
    for line in tree_lines(cascade.tree, cascade.agents):
        screen.print(line, markup=False, soft_wrap=True)


def tree_lines(tree: Node, agents: Sequence[Agent]) -> list[str]:
    """The tree, a line per bin, indented by calls."""
    return _lines(tree, agents, tree.n, "")


def _lines(node: Node, agents: Sequence[Agent], n_all: int, indent: str) -> list[str]:
    if node.call is None:
        return []
    lines = [_cut(f"{indent}call {agents[node.call].name}, {agents[node.call].price:g}")]
    ends = (*node.edges, None)
    low = 0.0
    for high, then in zip(ends, node.then, strict=True):
        bin_of = f"from {low:.3f}" if high is None else f"{low:.3f} to {high:.3f}"
        if len(node.then) == 1:
            bin_of = "any score"
        said = f"{indent}  {bin_of}: {then.n / n_all:.1%} of items, "
        if then.call is None:
            lines.append(_cut(f"{said}{_answer(then, agents)}, {then.right or 0.0:.1%} right"))
        else:
            lines.append(_cut(f"{said}{then.right or 0.0:.1%} right if it stopped; go on"))
            lines += _lines(then, agents, n_all, f"{indent}    ")
        low = high or 0.0
    return lines


def _answer(node: Node, agents: Sequence[Agent]) -> str:
    assert node.answer is not None
    if node.answer.agent is not None:
        return f"answer of {agents[node.answer.agent].name}"
    return STRATEGY_WORDS[node.answer.name]


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def _show_figures(screen: Console, figures: Mapping[str, Any]) -> None:
    policies, positive = figures["policies"], figures.get("positive")
    average = "averaged over classes" if positive is None else f"of class {positive}"
    absolute = [
        (each["policy"], _share(each["accuracy"]), _share(each["f1"]), _share(each["precision"]),
         _share(each["recall"]), f"{each['cost']['estimate']:.4g}")
        for each in policies
    ]  # fmt: skip
    screen.print(table(("policy", "right", "F1", "precision", "recall", "cost"), absolute))
    screen.print(f"\nRelative to {policies[0]['policy']}\n", markup=False)
    relative = [
        (each["policy"], *(_ratio(each["relative"][name]) for name in ("f1", "precision", "recall")),
         _times(each["relative"]["cost"]))
        for each in policies
    ]  # fmt: skip
    screen.print(table(("policy", "F1", "precision", "recall", "cost"), relative))
    calls = ", ".join(f"{name} {percent(share)}" for name, share in figures["called"].items())
    screen.print()
    screen.print(notes([
        f"Judged on {count(figures['items'])} items, none by what was fitted on it.",
        f"F1, precision and recall: {average}.",
        f"The cascade calls: {calls}. Costs are per item.",
        "Whole intervals (95 %, over items) are in --json.",
    ]))  # fmt: skip


def _share(of: Mapping[str, float] | None) -> str:
    return "-" if of is None else f"{100 * of['estimate']:.1f}±{50 * (of['high'] - of['low']):.1f}"


def _ratio(of: Mapping[str, float] | None) -> str:
    return "-" if of is None else f"{of['estimate']:.3f}±{(of['high'] - of['low']) / 2:.3f}"


def _times(of: Mapping[str, float] | None) -> str:
    return "-" if of is None else f"{of['estimate']:.3g}x"
