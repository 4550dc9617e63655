"""What is known of the truth when an agent is judged, and what may not testify.

The truth is gold where it is known, and the expert's label on tasks whose target is gold; else what most people would
say: the majority of a large fresh panel. (Latent classes may drift from the names of classes; a panel cannot.) Where
the target is the latent class, it is that.

Models testify on a task only where people's labels, each left out in turn, are foretold better with the models than
without: some estimators take models that copy each other for independent witnesses, and grow too sure.

A person is held against the posterior without that person's label, two people against the posterior without both: their
labels are independent of all others given the latent class, so what the vagueness of that posterior costs can be made
good (see `quorate.measure.accuracy`). Models are not independent of each other nor of what people find hard, so a
posterior without them could not be made good. They are held against the posterior of all who testify, in which a model
has the weight that people's labels gave it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.consensus.estimator import HeldOut, Model
from quorate.consensus.panel import panel_readout
from quorate.consensus.posterior import Consensus
from quorate.data.encode import Coded, ModelOutput

Array = np.ndarray

MANY = 51  # people of the panel whose majority is the truth, where there is no gold
FLOOR = 1e-9  # a probability below it is taken as this, so that one confident label cannot divide by zero


class Witness(NamedTuple):
    """Of one task. States: the latent classes, then the classes as known by gold."""

    position: Int64[Array, "labels"]  # place in Coded.labels, rising
    item: Int64[Array, "labels"]
    of_label: Float64[Array, "labels states"]  # posterior without that label
    credit: Float64[Array, "states classes"]  # P(true class | state)
    of_item: Float64[Array, "items classes"]  # P(true class)
    models_testify: bool  # whether all this has heard the models
    known: Bool[Array, "items"]  # people or gold have spoken
    gold: Int64[Array, "items"]  # -1: none
    latent_of_label: Float64[Array, "labels latent"]
    latent_of_item: Float64[Array, "items latent"]
    named: Float64[Array, "latent classes"]  # one class per latent class: the most probable

    def of_pair(self, left: Int64[Array, "pairs"], right: Int64[Array, "pairs"]) -> Float64[Array, "pairs classes"]:
        """P(true class) without two labels of the same item: q_a q_b / q, up to its sum.

        Exact where labels are independent given the latent class: leaving a label out divides by its likelihood.
        """
        everybody = np.maximum(self.latent_of_item[self.item[left]], FLOOR)
        without = [np.maximum(self.latent_of_label[side], FLOOR) for side in (left, right)]
        latent = without[0] * without[1] / everybody
        return with_gold(normal(latent @ self.named), self.gold[self.item[left]])


def witnesses(model: Model, coded: Coded) -> list[Witness]:
    """Of every task; the data in the schema of the model, with its own annotators and models."""
    silent, every_label = without_models(coded), np.arange(len(coded.labels.code))
    everybody, people = model.predict(coded), model.predict(silent)
    held = model.held_out(coded, every_label, "others")
    held_by_people = model.held_out(silent, every_label, "others")
    return [_witness(coded, t, (everybody, held), (people, held_by_people)) for t in range(coded.n_tasks)]


def _witness(
    coded: Coded, task: int, everybody: tuple[Consensus, HeldOut], people: tuple[Consensus, HeldOut]
) -> Witness:
    testify = _log_likelihood(coded, everybody[1], task) > _log_likelihood(coded, people[1], task)
    consensus, held = everybody if testify else people
    order = np.argsort(held.positions[task], kind="stable")
    position, latent = held.positions[task][order], normal(held.latent[task][order])
    item = coded.cell_of_label()[position] // coded.n_tasks
    table, gold = _table(consensus, task), coded.gold[:, task].astype(np.int64)
    return Witness(
        position=position,
        item=item,
        of_label=_states(latent, gold[item], table.shape[1]),
        credit=np.vstack([table, np.eye(table.shape[1])]),
        of_item=with_gold(normal(consensus.belief.marginal(task) @ table), gold),
        models_testify=testify,
        known=(gold >= 0) | (np.bincount(item, minlength=coded.n_items) > 0),
        gold=gold,
        latent_of_label=latent,
        latent_of_item=normal(consensus.belief.marginal(task)),
        named=np.eye(table.shape[1])[table.argmax(axis=1)],
    )


def _log_likelihood(coded: Coded, held: HeldOut, task: int) -> float:
    """Mean log probability of people's labels, each without itself, in nats; 0 without labels."""
    said = coded.labels.code[held.positions[task]]
    given = held.label[task][np.arange(len(said)), said]
    return float(np.log(np.maximum(given, FLOOR)).mean()) if len(said) else 0.0


def _states(
    latent: Float64[Array, "labels latent"], gold: Int64[Array, "labels"], n_classes: int
) -> Float64[Array, "labels states"]:
    """Where gold is known, the state is that class of gold."""
    on_gold = (gold >= 0)[:, None]
    return np.hstack([np.where(on_gold, 0.0, latent), on_gold * np.eye(n_classes)[gold]])


def without_models(coded: Coded) -> Coded:
    """The same data before any model answered."""
    silent = [
        ModelOutput(np.zeros_like(out.kind), np.zeros_like(out.scores), np.full_like(out.answer, -1))
        for out in coded.outputs
    ]
    return replace(coded, outputs=tuple(silent))


def normal(weights: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
    """Rows that sum to 1."""
    weights = np.maximum(np.asarray(weights, np.float64), FLOOR)
    return weights / weights.sum(axis=1, keepdims=True)


def with_gold(probs: Float64[Array, "rows classes"], gold: Int64[Array, "rows"]) -> Float64[Array, "rows classes"]:
    """Certain where gold is known."""
    return np.where((gold >= 0)[:, None], np.eye(probs.shape[1])[gold], probs)


def _table(consensus: Consensus, task: int) -> Float64[Array, "latent classes"]:
    """P(true class | latent class)."""
    rows, kind = consensus.people[task], consensus.targets[task].kind
    if kind == "gold" and rows.gold is not None:
        return rows.gold
    if kind == "panel" and rows.population is not None:
        nobody = np.zeros((1, rows.population.shape[1]), np.int32)
        return panel_readout(rows.population, nobody, MANY)[0][0]
    return rows.named
