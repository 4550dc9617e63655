"""What a fit of `calco` leaves: numpy arrays, so that prediction and archives need no torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.consensus.calco.problem import Scaling

Array = np.ndarray


class Encoder(NamedTuple):
    """Weights of the guide's network: tanh layer, outer layer, straight way."""

    inner: Float64[Array, "hidden inputs"]
    inner_bias: Float64[Array, "hidden"]
    outer: Float64[Array, "components hidden"]
    outer_bias: Float64[Array, "components"]
    straight: Float64[Array, "components inputs"]


class Rows(NamedTuple):
    """Dirichlet weights of every row per task, (agents, classes, classes); the expert is the last of the people."""

    people: tuple[Float64[Array, "_people _classes _classes"], ...]
    models: tuple[Float64[Array, "_models _classes _classes"], ...]
    archetypes: tuple[Float64[Array, "_archetypes _classes _classes"], ...]


class Learned(NamedTuple):
    """All parameters."""

    mean: Float64[Array, "components"]  # mu
    root: Float64[Array, "components components"]  # diag(sigma) L
    concentration: float  # lambda
    rows: Rows
    membership: Float64[Array, "models archetypes"]
    encoder: Encoder
    scaling: Scaling


def located(learned: Learned, inputs: Float64[Array, "items inputs"]) -> Float64[Array, "items components"]:
    """E[q_i] under the guide, equation 16."""
    net = learned.encoder
    hidden = np.tanh(inputs @ net.inner.T + net.inner_bias)
    return learned.mean + hidden @ net.outer.T + net.outer_bias + inputs @ net.straight.T


def row_means(weights: Float64[Array, "agents classes classes"]) -> Float64[Array, "agents classes classes"]:
    """E[row] of Dirichlet rows."""
    return weights / weights.sum(axis=-1, keepdims=True)
