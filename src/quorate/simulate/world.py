"""A world whose truth is known: correlated tasks, models of families, people with confusion matrices.

Assumes what the consensus models assume, with fixed parameters in place of priors. Source: Algorithm 2 and appendix 9.4
of [nguyen2026]. What the paper lacks is off unless a setting asks for it: models that err together (`errors_together`),
people with halo, drift, spam and unequal work (`people`), ordered tasks, tasks left out. Every part draws from a random
stream of its own, and item after item, so that a world of more items has the same parameters.
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
from quorate.simulate.errors_together import Readings, draw_readings, readings_law
from quorate.simulate.people import Habits, arrivals, carelessness, draw_habits, habitual_answers, spammers, with_spam
from quorate.simulate.setting import SETTINGS, Setting, Together, families, shared_components
from quorate.simulate.tables import gold_table, labels_table, numbered, scores_table

__all__ = [
    "SETTINGS",
    "Parameters",
    "Setting",
    "Together",
    "World",
    "draw_parameters",
    "draw_truth",
    "families",
    "model_readings",
    "prevalence",
    "shared_components",
    "simulate",
    "world",
]

Array = np.ndarray
STREAMS = (  # one random stream each; new ones at the end, so that the others stay as they are
    *("truth", "panel", "scores", "answers"),
    *("readings", "spam", "workload", "drift", "time", "mood", "skips"),
)
CAMPAIGN_START, CAMPAIGN_DAYS = np.datetime64("2026-01-05T08:00:00", "us"), 30.0


# ---- parameters -----------------------------------------------------------------------------------------------------
class Parameters(NamedTuple):
    """The true parameters of a world."""

    mean: Float64[Array, "components"]  # of the log-odds against the last class, task after task
    covariance: Float64[Array, "components components"]
    models: tuple[Float64[Array, "models _classes _classes"], ...]  # per task: mean score given the true class
    people: tuple[Float64[Array, "annotators _classes _classes"], ...]  # per task: P(label | true class)
    concentration: float
    habits: Habits | None = None  # None: people only err by their rows


def draw_parameters(setting: Setting, rng: np.random.Generator) -> Parameters:
    """Means, covariance, models by the Gaussian copula, people's Dirichlet rows."""
    mean = setting.mean_sd * rng.standard_normal(sum(k - 1 for k in setting.classes))
    ability = rng.multivariate_normal(np.zeros(len(setting.model_correlation)), setting.model_correlation)
    lowest, highest = setting.model_accuracy
    accuracy = lowest + (highest - lowest) * ndtr(ability)
    wrong = [_spread(k, t in setting.ordered) for t, k in enumerate(setting.classes)]
    return Parameters(
        mean,
        setting.sigma**2 * setting.task_correlation,
        tuple(_model_rows(accuracy, each) for each in wrong),
        tuple(_people_rows(setting, each, rng) for each in wrong),
        setting.concentration,
    )


def _spread(n_classes: int, ordered: bool) -> Float64[Array, "classes classes"]:
    """By what the probability of all wrong answers is divided: by distance on a scale, else all alike."""
    place = np.arange(n_classes)
    distance = np.abs(place[:, None] - place) if ordered else 1 - np.eye(n_classes)
    np.fill_diagonal(distance, 1)  # not a wrong answer: replaced by the right one's
    return distance * ((1.0 / distance).sum(axis=1, keepdims=True) - 1.0)


def _model_rows(
    accuracy: Float64[Array, "models"], wrong: Float64[Array, "classes classes"]
) -> Float64[Array, "models classes classes"]:
    return np.where(np.eye(len(wrong), dtype=bool), accuracy[:, None, None], (1.0 - accuracy[:, None, None]) / wrong)


def _people_rows(
    setting: Setting, wrong: Float64[Array, "classes classes"], rng: np.random.Generator
) -> Float64[Array, "annotators classes classes"]:
    weight = np.where(np.eye(len(wrong), dtype=bool), setting.diagonal, setting.off_diagonal / wrong)
    return dirichlet(rng, np.broadcast_to(weight, (setting.n_annotators, *wrong.shape)))


def _with_habits(parameters: Parameters, setting: Setting, rng: dict[str, np.random.Generator]) -> Parameters:
    kind = spammers(setting.spammers, setting.n_annotators, rng["spam"])
    people = tuple(with_spam(rows, kind, rng["spam"]) for rows in parameters.people)
    streams = rng["workload"], rng["drift"]
    habits = draw_habits(people, kind >= 0, setting.halo, setting.drift, setting.workload_sd, streams)
    return parameters._replace(people=people, habits=habits)


def model_readings(setting: Setting, parameters: Parameters, t: int) -> Readings | None:
    """How the models read task t; None where scores are the paper's Dirichlet."""
    if not setting.readings:
        return None
    rows = parameters.models[t]
    family = np.array(setting.model_family or range(len(rows)), np.int64)
    return readings_law(rows, parameters.concentration, family, setting.together, setting.readings, setting.doubt)


# ---- the world ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class World:
    """Items with their truth, what people and models say of them, and the parameters behind it all."""

    setting: Setting
    parameters: Parameters
    truth: Int16[Array, "items tasks"]
    scores: tuple[Float32[Array, "items models _classes"], ...] = field(repr=False)  # per task
    panel: Int32[Array, "items seats"] = field(repr=False)  # annotators in order of arrival; -1: empty seat
    answers: Int16[Array, "items tasks seats"] = field(repr=False)  # their labels; -1: empty seat, or task left out
    time: Float64[Array, "items seats"] | None = field(default=None, repr=False)  # of arrival, as share of the campaign

    @property
    def schema(self) -> Schema:
        """Tasks task-01, task-02, ...; classes a, b, c, ... (c-0001, ... above 26)."""
        classes, ordered = self.setting.classes, self.setting.ordered
        names = numbered("task", len(classes))
        return Schema(tuple(Task(names[t], _class_names(k), t in ordered) for t, k in enumerate(classes)))

    def select(self, index: Int64[Array, "kept"]) -> World:
        """The same world with only these items."""
        return replace(
            self,
            truth=self.truth[index],
            scores=tuple(scores[index] for scores in self.scores),
            panel=self.panel[index],
            answers=self.answers[index],
            time=None if self.time is None else self.time[index],
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
        labels = labels_table(coded.schema, coded.items, coded.annotators, self.panel, self.answers)
        if self.time is not None:
            labels = labels.append_column("created_at", _created_at(self.time, self.answers))
        return Dataset(
            labels=labels,
            scores=scores_table(coded.schema, coded.items, coded.models, self.scores) if coded.models else None,
            gold=gold_table(coded.schema, coded.items, self.truth) if gold else None,
            items=pa.table({"item": pa.array(coded.items, pa.string())}),
            schema=coded.schema,
        )


def world(name: str, n_items: int = 10_000, seed: int = 1) -> World:
    """One of the named worlds: "paper", "coupled" (the same with stronger ties between tasks) or "real-like".

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
    parts = np.random.SeedSequence(seed).spawn(len(STREAMS))
    rng = {name: np.random.default_rng(part) for name, part in zip(STREAMS, parts, strict=True)}
    parameters = draw_parameters(setting, np.random.default_rng(seed))
    if setting.habitual:
        parameters = _with_habits(parameters, setting, rng)
    truth = draw_truth(parameters, setting.classes, n_items, rng["truth"])
    scores = tuple(_draw_scores(setting, parameters, t, truth[:, t], rng) for t in range(len(setting.classes)))
    return World(setting, parameters, truth, scores, *_labels(setting, parameters, truth, rng))


class _Labels(NamedTuple):
    """Who labels what, how, and when, as in `World`."""

    panel: Int32[Array, "items seats"]
    answers: Int16[Array, "items tasks seats"]
    time: Float64[Array, "items seats"] | None


def _labels(
    setting: Setting, parameters: Parameters, truth: Int16[Array, "items tasks"], rng: dict[str, np.random.Generator]
) -> _Labels:
    fewest, most = setting.labels_per_item
    habits = parameters.habits
    size = rng["panel"].integers(fewest, most + 1, len(truth))
    panel = panels(rng["panel"], size, setting.n_annotators, None if habits is None else habits.workload)
    time = arrivals(panel.shape[0], panel.shape[1], rng["time"]) if setting.timed else None
    if habits is None:
        said = answers(rng["answers"], parameters.people, truth, panel)
    else:
        careless = carelessness(habits, panel, rng["mood"])
        said = habitual_answers(rng["answers"], parameters.people, habits, truth, panel, time, careless)
    if setting.skipped:
        said[rng["skips"].random(said.shape) < setting.skipped] = -1
    return _Labels(panel, said, time)


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
    setting: Setting, parameters: Parameters, t: int, truth: Int16[Array, "items"], rng: dict[str, np.random.Generator]
) -> Float32[Array, "items models classes"]:
    law = model_readings(setting, parameters, t)
    if law is None:
        rows = parameters.models[t].transpose(1, 0, 2)  # true class first, so that one index picks all models
        weight = parameters.concentration * rows[truth]
    else:
        weight = draw_readings(law, truth, rng["readings"]) + law.doubt / setting.classes[t]
    return dirichlet(rng["scores"], weight).astype(np.float32)


def _created_at(time: Float64[Array, "items seats"], answers: Int16[Array, "items tasks seats"]) -> pa.Array:
    """In the order of the table of labels."""
    item, _, seat = np.nonzero(answers >= 0)
    passed = (time[item, seat] * CAMPAIGN_DAYS * 86_400e6).astype("timedelta64[us]")
    return pa.array(CAMPAIGN_START + passed, pa.timestamp("us", tz="UTC"))


def _output(scores: Float32[Array, "items models classes"]) -> ModelOutput:
    kind = np.ones(scores.shape[:2], np.int8)
    return ModelOutput(kind, scores, scores.argmax(axis=2).astype(np.int16))


def _class_names(n: int) -> tuple[str, ...]:
    return tuple("abcdefghijklmnopqrstuvwxyz"[:n]) if n <= 26 else numbered("class", n)
