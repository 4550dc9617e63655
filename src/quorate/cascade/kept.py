"""Cascades in one JSON file that reads back whole: one policy per task, with the figures it was judged by.

A consensus among the strategies is kept as the bytes of its archive (`quorate.consensus.archive`), which guards itself.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from quorate.cascade.answers import Agent
from quorate.cascade.combine import Combination
from quorate.cascade.policy import Cascade
from quorate.cascade.pool import Pool
from quorate.cascade.readings import Reading
from quorate.cascade.tree import Node
from quorate.consensus.archive import load, save
from quorate.consensus.estimator import Model
from quorate.data.write import whole
from quorate.errors import DataError, QuorateError
from quorate.schema import Schema, Task

KIND, VERSION = "quorate cascade", 1
MEND = "give a file that `quorate cascade fit` wrote"


class Kept(NamedTuple):
    """A cascade and what was measured of it."""

    cascade: Cascade
    figures: Mapping[str, Any]


def to_json(kept: Iterable[Kept]) -> dict[str, Any]:
    """Everything, for `from_json`."""
    return {"kind": KIND, "version": VERSION, "cascades": [_entry(each) for each in kept]}


def to_file(kept: Iterable[Kept], path: Path) -> None:
    """Write them, whole or not at all."""
    text = json.dumps(to_json(kept), indent=1, allow_nan=False) + "\n"
    with whole(path) as unfinished:
        unfinished.write_text(text, "utf-8")


def from_file(path: Path) -> tuple[Kept, ...]:
    """Read them. Raises DataError for a file that holds none."""
    try:
        return from_json(json.loads(path.read_text("utf-8")))
    except DataError as error:
        raise DataError(error.problem, mend=error.mend, source=str(path)) from None
    except (ValueError, RecursionError):
        raise DataError("this file is no JSON", mend=MEND, source=str(path)) from None


def from_json(value: Any) -> tuple[Kept, ...]:
    """The cascades that were kept. Raises DataError for what is none."""
    try:
        if value["kind"] != KIND:
            raise DataError("this is no cascade", mend=MEND)
        if value["version"] != VERSION:
            raise DataError(f"version {value['version']} is unknown here", mend="fit it again with this version")
        return tuple(Kept(_cascade(each), each["figures"]) for each in value["cascades"])
    except QuorateError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise DataError("this cascade is incomplete or altered", mend=MEND) from None


# ---- one cascade ----------------------------------------------------------------------------------------------------
def _entry(kept: Kept) -> dict[str, Any]:
    cascade = kept.cascade
    sets = sorted({*_sets(cascade.tree, 0), (1 << len(cascade.agents)) - 1})
    return {
        "schema": json.loads(Schema((cascade.task,)).to_json()),
        "agents": [agent._asdict() for agent in cascade.agents],
        "readings": [reading.to_json() for reading in cascade.readings],
        "combinations": {str(called): _plain(cascade.pool.combinations[called]) for called in sets},
        "consensus": None if cascade.pool.consensus is None else _packed(cascade.pool.consensus),
        "signal": cascade.signal,
        "cost_weight": cascade.cost_weight,
        "tree": cascade.tree.to_json(),
        "figures": dict(kept.figures),
    }


def _cascade(value: Mapping[str, Any]) -> Cascade:
    task: Task = Schema.from_json(json.dumps(value["schema"])).tasks[0]
    agents = tuple(Agent(str(each["name"]), _kind(each["kind"]), float(each["price"])) for each in value["agents"])
    readings = tuple(Reading.from_json(each) for each in value["readings"])
    combinations = {int(called): _combination(each) for called, each in value["combinations"].items()}
    packed = value["consensus"]
    pool = Pool(combinations, None if packed is None else _unpacked(packed))
    tree = Node.from_json(value["tree"])
    _check(tree, agents, readings, pool, task)
    signal = value["signal"]
    if signal not in {"own", "pooled"}:
        raise ValueError(signal)
    return Cascade(task, agents, readings, pool, signal, tree, float(value["cost_weight"]))


def _check(tree: Node, agents: Sequence[Agent], readings: Sequence[Reading], pool: Pool, task: Task) -> None:
    """Raises ValueError where parts do not fit together."""
    sets = _sets(tree, 0)
    fits = len(agents) == len(readings) and tree.call is not None
    fits &= all(called in pool.combinations and called < 1 << len(agents) for called in sets)
    fits &= all(reading.rows.shape == (len(task.classes),) * 2 for reading in readings)
    fits &= all(len(each.bias) == len(task.classes) for each in pool.combinations.values())
    fits &= all(len(each.weights) == called.bit_count() for called, each in pool.combinations.items())
    if not fits or not _answerable(tree, 0, pool):
        raise ValueError("parts do not fit")


def _answerable(node: Node, called: int, pool: Pool) -> bool:
    """Whether every node answers with agents that were called before it."""
    if node.answer is None:
        own = called == 0
    elif node.answer.name == "single":
        own = node.answer.agent is not None and bool(called >> node.answer.agent & 1)
    else:
        own = node.answer.name in {"majority", "weighted", "learned", "consensus"}
        own &= node.answer.name != "consensus" or pool.consensus is not None
    after = called if node.call is None else called | 1 << node.call
    return own and (node.call is None or after != called) and all(_answerable(each, after, pool) for each in node.then)


def _sets(node: Node, called: int) -> set[int]:
    """Every set of agents that a tree may have called."""
    if node.call is None:
        return set()
    after = called | 1 << node.call
    return {after}.union(*(_sets(each, after) for each in node.then))


def _kind(name: str) -> Any:
    if name not in {"model", "person"}:
        raise ValueError(name)
    return name


def _plain(of: Combination) -> dict[str, list[float]]:
    return {"weights": of.weights.tolist(), "bias": of.bias.tolist()}


def _combination(value: Mapping[str, Any]) -> Combination:
    return Combination(np.array(value["weights"], np.float64), np.array(value["bias"], np.float64))


# ---- a consensus ----------------------------------------------------------------------------------------------------
def _packed(model: Model) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "consensus.quorate"
        save(model, path)
        return base64.b64encode(path.read_bytes()).decode("ascii")


def _unpacked(text: str) -> Model:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise DataError("the consensus of this cascade is altered", mend=MEND) from None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "consensus.quorate"
        path.write_bytes(content)
        return load(path)
