"""A world whose truth is known: correlated tasks, models of families, people with confusion matrices.

Assumes what the consensus models assume, with fixed parameters in place of priors. Source: Algorithm 2 and appendix 9.4
of [nguyen2026]. Every part draws from a random stream of its own, and item after item, so that a world of more items
has the same parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Float64, Int16, Int32, Int64
from scipy.special import ndtr

from quorate.data.dataset import Dataset
from quorate.data.encode import Coded, Labels, ModelOutput
from quorate.errors import SettingError
from quorate.schema import Schema, Task
from quorate.simulate.draw import answers, categorical, dirichlet, panels
from quorate.simulate.tables import gold_table, labels_table, numbered, scores_table

Array = np.ndarray


# ---- settings -------------------------------------------------------------------------------------------------------
def shared_components(classes: Sequence[int], correlation: float) -> Float64[Array, "components components"]:
    """Task correlation: equal components of different tasks correlate, different components do not.

    Components lie task after task, classes - 1 of them each (log-odds against the last class).

    >>> shared_components((2, 3), 0.6)[0].tolist()
    [1.0, 0.6, 0.0]
    """
    component = np.concatenate([np.arange(k - 1) for k in classes])
    together = np.where(component[:, None] == component, correlation, 0.0)
    np.fill_diagonal(together, 1.0)
    return together


def families(family: Sequence[int], inside: float, across: float) -> Float64[Array, "models models"]:
    """Model correlation of the copula: `inside` a family, `across` families.

    >>> families((0, 0, 1), 0.7, 0.1)[0].tolist()
    [1.0, 0.7, 0.1]
    """
    code = np.asarray(family)
    together = np.where(code[:, None] == code, inside, across)
    np.fill_diagonal(together, 1.0)
    return together


@dataclass(frozen=True, eq=False)
class Setting:
    """What a world is made of, before any parameter is drawn. Raises SettingError for what cannot be."""

    classes: tuple[int, ...] = (3,) * 10  # per task
    task_correlation: Float64[Array, "components components"] = field(
        default_factory=lambda: shared_components((3,) * 10, 0.6)
    )
    sigma: float = 2.0  # sd of the log-odds of an item's prevalence
    mean_sd: float = 0.7  # sd of their means
    model_correlation: Float64[Array, "models models"] = field(default_factory=lambda: families((0, 0, 1), 0.7, 0.1))
    model_accuracy: tuple[float, float] = (0.40, 0.60)
    concentration: float = 2.0  # lambda of the Dirichlet scores: small is noisy
    n_annotators: int = 50
    diagonal: float = 3.0  # Dirichlet weight of the right answer in a person's rows
    off_diagonal: float = 2.0  # the same for all wrong answers together
    labels_per_item: tuple[int, int] = (5, 5)  # fewest and most; every number between is equally likely

    def __post_init__(self) -> None:
        components = sum(k - 1 for k in self.classes)
        if min(self.classes, default=0) < 2:
            raise SettingError(f"every task needs two classes or more, not {self.classes}")
        _check_correlation("task_correlation", self.task_correlation, components)
        _check_correlation("model_correlation", self.model_correlation, len(self.model_correlation))
        fewest, most = self.labels_per_item
        if not 0 <= fewest <= most <= self.n_annotators:
            raise SettingError(
                f"labels_per_item {self.labels_per_item} must rise and not pass {self.n_annotators} annotators"
            )


def _check_correlation(name: str, matrix: Array, size: int) -> None:
    whole = matrix.shape == (size, size) and np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 1.0)
    if not whole or (size and np.linalg.eigvalsh(matrix).min() < -1e-9):
        raise SettingError(f"{name} of shape {matrix.shape} is not a correlation matrix of {size} components")


SETTINGS: dict[str, Setting] = {
    "paper": Setting(),
    "coupled": Setting(task_correlation=shared_components((3,) * 10, 0.85), sigma=3.0),
}


# ---- parameters -----------------------------------------------------------------------------------------------------
class Parameters(NamedTuple):
    """The true parameters of a world."""

    mean: Float64[Array, "components"]  # of the log-odds against the last class, task after task
    covariance: Float64[Array, "components components"]
    models: tuple[Float64[Array, "models _classes _classes"], ...]  # per task: mean score given the true class
    people: tuple[Float64[Array, "annotators _classes _classes"], ...]  # per task: P(label | true class)
    concentration: float


def draw_parameters(setting: Setting, rng: np.random.Generator) -> Parameters:
    """Means, covariance, models by the Gaussian copula, people's Dirichlet rows."""
    mean = setting.mean_sd * rng.standard_normal(sum(k - 1 for k in setting.classes))
    ability = rng.multivariate_normal(np.zeros(len(setting.model_correlation)), setting.model_correlation)
    lowest, highest = setting.model_accuracy
    accuracy = lowest + (highest - lowest) * ndtr(ability)
    return Parameters(
        mean,
        setting.sigma**2 * setting.task_correlation,
        tuple(_uniform_errors(accuracy, k) for k in setting.classes),
        tuple(_people_rows(setting, k, rng) for k in setting.classes),
        setting.concentration,
    )


def _uniform_errors(accuracy: Float64[Array, "models"], n_classes: int) -> Float64[Array, "models classes classes"]:
    wrong = (1.0 - accuracy) / (n_classes - 1)
    return np.where(np.eye(n_classes, dtype=bool), accuracy[:, None, None], wrong[:, None, None])


def _people_rows(
    setting: Setting, n_classes: int, rng: np.random.Generator
) -> Float64[Array, "annotators classes classes"]:
    weight = np.where(np.eye(n_classes, dtype=bool), setting.diagonal, setting.off_diagonal / (n_classes - 1))
    return dirichlet(rng, np.broadcast_to(weight, (setting.n_annotators, n_classes, n_classes)))


# ---- the world ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class World:
    """Items with their truth, what people and models say of them, and the parameters behind it all."""

    setting: Setting
    parameters: Parameters
    truth: Int16[Array, "items tasks"]
    scores: tuple[Float32[Array, "items models _classes"], ...] = field(repr=False)  # per task
    panel: Int32[Array, "items seats"] = field(repr=False)  # annotators in order of arrival; -1: empty seat
    answers: Int16[Array, "items tasks seats"] = field(repr=False)  # their labels; -1: empty seat

    @property
    def schema(self) -> Schema:
        """Tasks task-01, task-02, ...; classes a, b, c, ... (c-0001, ... above 26)."""
        names = numbered("task", len(self.setting.classes))
        return Schema(tuple(Task(name, _class_names(k)) for name, k in zip(names, self.setting.classes, strict=True)))

    def select(self, index: Int64[Array, "kept"]) -> World:
        """The same world with only these items."""
        return replace(
            self,
            truth=self.truth[index],
            scores=tuple(scores[index] for scores in self.scores),
            panel=self.panel[index],
            answers=self.answers[index],
        )

    def coded(self) -> Coded:
        """As arrays of codes, ready for an estimator; no gold."""
        n_items, n_tasks, _ = self.answers.shape
        taken = self.answers >= 0
        start = np.append(0, np.cumsum(taken.sum(axis=2).ravel()))
        people = np.broadcast_to(self.panel[:, None, :], self.answers.shape)[taken]
        labels = Labels(start, people, self.answers[taken], np.arange(start[-1]))
        return Coded(
            schema=self.schema,
            items=numbered("item", n_items),
            annotators=numbered("annotator", self.setting.n_annotators),
            models=numbered("model", len(self.setting.model_correlation)),
            labels=labels,
            outputs=tuple(_output(scores) for scores in self.scores),
            gold=np.full((n_items, n_tasks), -1, np.int16),
            features=np.zeros((n_items, 0), np.float32),
            features_known=np.zeros(n_items, bool),
        )

    def dataset(self, *, gold: bool = False) -> Dataset:
        """As tables of labels, scores and items; the truth as a gold table where `gold` is asked for."""
        coded = self.coded()
        return Dataset(
            labels=labels_table(coded.schema, coded.items, coded.annotators, self.panel, self.answers),
            scores=scores_table(coded.schema, coded.items, coded.models, self.scores) if coded.models else None,
            gold=gold_table(coded.schema, coded.items, self.truth) if gold else None,
            items=pa.table({"item": pa.array(coded.items, pa.string())}),
            schema=coded.schema,
        )


def world(name: str, n_items: int = 10_000, seed: int = 1) -> World:
    """One of the named worlds, "paper" or "coupled" (the same with stronger ties between tasks).

    >>> world("paper", n_items=100).truth.shape
    (100, 10)
    """
    if name not in SETTINGS:
        raise SettingError(f"there is no world {name!r}; known: {', '.join(SETTINGS)}")
    return simulate(SETTINGS[name], n_items, seed=seed)


def simulate(setting: Setting, n_items: int, *, seed: int = 1) -> World:
    """A world of n_items items with parameters drawn for this setting.

    >>> simulate(Setting(labels_per_item=(0, 2)), 3, seed=4).panel.shape
    (3, 2)
    """
    if n_items < 0:
        raise SettingError(f"n_items must not be negative, not {n_items}")
    parameters = draw_parameters(setting, np.random.default_rng(seed))
    streams = [np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(4)]
    truth = draw_truth(parameters, setting.classes, n_items, streams[0])
    fewest, most = setting.labels_per_item
    panel = panels(streams[1], streams[1].integers(fewest, most + 1, n_items), setting.n_annotators)
    return World(
        setting,
        parameters,
        truth,
        tuple(_draw_scores(parameters, t, truth[:, t], streams[2]) for t in range(len(setting.classes))),
        panel,
        answers(streams[3], parameters.people, truth, panel),
    )


def draw_truth(
    parameters: Parameters, classes: Sequence[int], n_items: int, rng: np.random.Generator
) -> Int16[Array, "items tasks"]:
    """True classes: softmax of correlated normal log-odds, the last class at 0."""
    log_odds = rng.multivariate_normal(parameters.mean, parameters.covariance, n_items)
    ends = np.cumsum([k - 1 for k in classes])
    parts = np.split(log_odds, ends[:-1], axis=1)
    truth = [categorical(rng, prevalence(part)) for part in parts]
    return np.column_stack(truth)


def prevalence(log_odds: Float64[Array, "points components"]) -> Float64[Array, "points classes"]:
    """softmax([q, 0]): the inverse of the additive log-ratio [aitchison1980].

    >>> prevalence(np.zeros((1, 1))).tolist()
    [[0.5, 0.5]]
    """
    whole = np.column_stack([log_odds, np.zeros(len(log_odds))])
    share = np.exp(whole - whole.max(axis=1, keepdims=True))
    return share / share.sum(axis=1, keepdims=True)


def _draw_scores(
    parameters: Parameters, t: int, truth: Int16[Array, "items"], rng: np.random.Generator
) -> Float32[Array, "items models classes"]:
    rows = parameters.models[t].transpose(1, 0, 2)  # true class first, so that one index picks all models
    return dirichlet(rng, parameters.concentration * rows[truth]).astype(np.float32)


def _output(scores: Float32[Array, "items models classes"]) -> ModelOutput:
    kind = np.ones(scores.shape[:2], np.int8)
    return ModelOutput(kind, scores, scores.argmax(axis=2).astype(np.int16))


def _class_names(n: int) -> tuple[str, ...]:
    return tuple("abcdefghijklmnopqrstuvwxyz"[:n]) if n <= 26 else numbered("class", n)
