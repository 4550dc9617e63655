"""What everybody else says about the truth: the measure of an agent must not contain the agent's own answers.

A person's label is held against the posterior of its cell without that label (people and models); two people's labels
against the posterior without both; a model's answer against the posterior from people alone, so that models that err
together cannot confirm each other. Where gold is known, it is the truth. The posterior is read as the expert's label on
tasks whose target is gold, else as the latent class by its name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.consensus.estimator import Model
from quorate.consensus.panel import panel_readout
from quorate.consensus.posterior import Consensus
from quorate.data.encode import Coded, ModelOutput

Array = np.ndarray

MANY = 51  # people of the panel whose majority is the truth, where there is no gold
FLOOR = 1e-9  # a probability below it is taken as this, so that one confident label cannot divide by zero


class Witness(NamedTuple):
    """Of one task."""

    position: Int64[Array, "labels"]  # place in Coded.labels, rising
    item: Int64[Array, "labels"]
    of_label: Float64[Array, "labels classes"]  # P(true class), without that label
    of_item: Float64[Array, "items classes"]  # P(true class), from people alone
    known: Bool[Array, "items"]  # people or gold have spoken
    gold: Int64[Array, "items"]  # -1: none
    latent_of_label: Float64[Array, "labels latent"]
    latent_of_item: Float64[Array, "items latent"]  # from everybody
    table: Float64[Array, "latent classes"]

    def of_pair(self, left: Int64[Array, "pairs"], right: Int64[Array, "pairs"]) -> Float64[Array, "pairs classes"]:
        """P(true class) without two labels of the same item: q_a q_b / q, up to its sum.

        Exact where labels are independent given the latent class: leaving a label out divides by its likelihood.
        """
        everybody = np.maximum(self.latent_of_item[self.item[left]], FLOOR)
        without = [np.maximum(self.latent_of_label[side], FLOOR) for side in (left, right)]
        latent = without[0] * without[1] / everybody
        return with_gold(normal(latent @ self.table), self.gold[self.item[left]])


def witnesses(model: Model, coded: Coded) -> list[Witness]:
    """Of every task; the data in the schema of the model, with its own annotators and models."""
    everybody = model.predict(coded)
    people = model.predict(without_models(coded))
    held = model.held_out(coded, np.arange(len(coded.labels.code)), "others")
    cell = coded.cell_of_label()
    found: list[Witness] = []
    for t in range(coded.n_tasks):
        order = np.argsort(held.positions[t], kind="stable")
        position, latent = held.positions[t][order], held.latent[t][order].astype(np.float64)
        table, gold = _table(everybody, t), coded.gold[:, t].astype(np.int64)
        item = cell[position] // coded.n_tasks
        of_label = with_gold(normal(latent @ table), gold[item])
        of_item = with_gold(normal(people.belief.marginal(t) @ table), gold)
        known = (gold >= 0) | (np.bincount(item, minlength=coded.n_items) > 0)
        all_latent = everybody.belief.marginal(t).astype(np.float64)
        found.append(Witness(position, item, of_label, of_item, known, gold, latent, all_latent, table))
    return found


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
