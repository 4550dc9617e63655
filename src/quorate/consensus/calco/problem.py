"""What a fit of `calco` reads, as arrays, and where it starts: numpy only.

Tasks with the same number of classes are fitted side by side, as one group. Scores enter by their logarithms, floored
at SCORE_FLOOR; a hard answer enters as the scores 1 - ANSWER_DOUBT (K - 1) / K on the answer and ANSWER_DOUBT / K
elsewhere.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from quorate.data.encode import Coded, ModelOutput

Array = np.ndarray
SCORE_FLOOR = 1e-6  # a score of 0 is a rounding, not a certainty
ANSWER_DOUBT = 0.1
SMOOTHING = 1.0  # pseudo-votes spread over the classes of an item, where the start is made
SHRINKAGE = 0.2  # of the empirical correlation towards none
START_SIGMA = 1.5
START_CONCENTRATION = 3.0
RIGHT, WRONG = 3.0, 1.0  # Dirichlet weights of a row: on the diagonal, off it
GOLD_RIGHT = 30.0


class Group(NamedTuple):
    """Tasks with the same number of classes; labels lie item after item, the expert last of the annotators."""

    tasks: Int64[Array, "tasks"]  # places in the schema
    components: Int64[Array, "tasks components"]  # where the task's log-odds lie among all
    log_scores: Float32[Array, "items tasks models classes"]  # 0 where a model said nothing
    spoken: Float32[Array, "items tasks models"]
    begin: Int64[Array, "items_plus_1"]
    task: Int64[Array, "labels"]  # place in `tasks`
    annotator: Int64[Array, "labels"]
    label: Int64[Array, "labels"]


class Start(NamedTuple):
    """Where the fit begins: empirical Bayes from averaged scores and votes, as section 5.3 of the paper asks."""

    mean: Float64[Array, "components"]
    sigma: Float64[Array, "components"]
    root: Float64[Array, "components components"]  # Cholesky factor of a correlation matrix
    people: tuple[Float64[Array, "_tasks agents _classes _classes"], ...]  # Dirichlet weights, per group
    models: tuple[Float64[Array, "_tasks models _classes _classes"], ...]  # mean scores given the class


class Problem(NamedTuple):
    """Everything a fit reads."""

    n_items: int
    n_components: int
    n_annotators: int  # without the expert
    n_models: int
    groups: tuple[Group, ...]
    encoded: Float32[Array, "items inputs"]
    scaling: Scaling
    family: Int64[Array, "models"] | None
    start: Start
    classes: tuple[int, ...]


class Scaling(NamedTuple):
    """How features are standardised; of width 0 when the encoder reads scores."""

    mean: Float64[Array, "features"]
    scale: Float64[Array, "features"]
    names: tuple[str, ...] = ()


def problem_of(
    coded: Coded, family: Int64[Array, "models"] | None, *, encoded: Literal["scores", "features"]
) -> Problem:
    """The data as a fit reads it."""
    classes = tuple(len(task.classes) for task in coded.schema.tasks)
    groups = tuple(_group(coded, classes, size) for size in sorted(set(classes)))
    scaling = _scaling(coded) if encoded == "features" else Scaling(np.zeros(0), np.ones(0))
    beliefs = [_first_belief(coded, t) for t in range(coded.n_tasks)]
    return Problem(
        n_items=coded.n_items,
        n_components=sum(k - 1 for k in classes),
        n_annotators=len(coded.annotators),
        n_models=len(coded.models),
        groups=groups,
        encoded=encoder_input(coded, scaling).astype(np.float32),
        scaling=scaling,
        family=family,
        start=_start(groups, beliefs, len(coded.annotators)),
        classes=classes,
    )


def first_components(classes: tuple[int, ...]) -> Int64[Array, "tasks_plus_1"]:
    """Where the log-odds of every task begin."""
    return np.concatenate([[0], np.cumsum([k - 1 for k in classes])]).astype(np.int64)


def doubted_scores(output: ModelOutput) -> Float64[Array, "items models classes"]:
    """Scores above 0 that sum to about 1; 0 where a model said nothing."""
    n_classes = output.scores.shape[2]
    scores = output.scores.astype(np.float64)
    doubted = scores * (1.0 - ANSWER_DOUBT) + ANSWER_DOUBT / n_classes
    kind = output.kind[:, :, None]
    return np.where(kind == 0, 0.0, np.where(kind == 2, doubted, np.maximum(scores, SCORE_FLOOR)))


def log_scores(output: ModelOutput) -> Float64[Array, "items models classes"]:
    """Their logarithms; 0 where a model said nothing."""
    scores = doubted_scores(output)
    return np.log(np.where(scores > 0, scores, 1.0))


def encoder_input(coded: Coded, scaling: Scaling) -> Float64[Array, "items inputs"]:
    """Averaged scores of all tasks side by side, even where no model spoke; or standardised features, 0 if unknown."""
    if len(scaling.mean):
        coded = coded.with_features(scaling.names, len(scaling.mean))
        scaled = (coded.features - scaling.mean) / scaling.scale
        return np.where(coded.features_known[:, None], scaled, 0.0)
    parts = []
    for output in coded.outputs:
        scores, spoken = doubted_scores(output), (output.kind > 0).sum(axis=1)[:, None]
        even = 1.0 / scores.shape[2]
        parts.append(np.where(spoken > 0, scores.sum(axis=1) / np.maximum(spoken, 1), even) - even)
    return np.concatenate(parts, axis=1) if parts else np.zeros((coded.n_items, 0))


def _scaling(coded: Coded) -> Scaling:
    known = coded.features[coded.features_known].astype(np.float64)
    if not known.size:
        width = coded.features.shape[1]
        return Scaling(np.zeros(width), np.ones(width), coded.feature_names)
    spread = known.std(axis=0)
    return Scaling(known.mean(axis=0), np.where(spread > 0, spread, 1.0), coded.feature_names)


def _group(coded: Coded, classes: tuple[int, ...], size: int) -> Group:
    tasks = np.array([t for t, k in enumerate(classes) if k == size], np.int64)
    place = np.full(len(classes), -1, np.int64)
    place[tasks] = np.arange(len(tasks))
    item, task = np.divmod(coded.cell_of_label(), max(coded.n_tasks, 1))
    gold_item, gold_task = np.nonzero(coded.gold >= 0)
    item, task = np.append(item, gold_item), np.append(task, gold_task)
    expert = np.full(len(gold_item), len(coded.annotators))
    annotator = np.append(coded.labels.annotator.astype(np.int64), expert)
    label = np.append(coded.labels.code.astype(np.int64), coded.gold[gold_item, gold_task])
    kept = np.flatnonzero(place[task] >= 0)
    kept = kept[np.argsort(item[kept], kind="stable")]
    outputs = [coded.outputs[t] for t in tasks]
    return Group(
        tasks=tasks,
        components=first_components(classes)[tasks][:, None] + np.arange(size - 1),
        log_scores=np.stack([log_scores(output) for output in outputs], axis=1).astype(np.float32),
        spoken=np.stack([output.kind > 0 for output in outputs], axis=1).astype(np.float32),
        begin=np.searchsorted(item[kept], np.arange(coded.n_items + 1)).astype(np.int64),
        task=place[task[kept]],
        annotator=annotator[kept],
        label=label[kept],
    )


def _first_belief(coded: Coded, t: int) -> Float64[Array, "items classes"]:
    """Averaged scores and vote shares together, smoothed: one voice per model, one per person."""
    counts, gold = coded.counts(t).astype(np.float64), coded.gold[:, t]
    n_classes = counts.shape[1]
    known: Bool[Array, "items"] = gold >= 0
    counts[known, gold[known]] += GOLD_RIGHT
    voices = counts + doubted_scores(coded.outputs[t]).sum(axis=1) + SMOOTHING / n_classes
    return voices / voices.sum(axis=1, keepdims=True)


def _start(groups: tuple[Group, ...], beliefs: list[Float64[Array, "items _classes"]], n_annotators: int) -> Start:
    log_odds = np.concatenate([np.log(belief[:, :-1] / belief[:, -1:]) for belief in beliefs], axis=1)
    share = [
        belief.mean(axis=0) if len(belief) else np.full(belief.shape[1], 1.0 / belief.shape[1]) for belief in beliefs
    ]
    n_components = log_odds.shape[1]
    return Start(
        mean=np.concatenate([np.log(each[:-1] / each[-1]) for each in share]),
        sigma=np.full(n_components, START_SIGMA),
        root=np.linalg.cholesky(_correlation(log_odds)),
        people=tuple(_counted_people(group, beliefs, n_annotators) for group in groups),
        models=tuple(_mean_scores(group, beliefs) for group in groups),
    )


def _correlation(log_odds: Float64[Array, "items components"]) -> Float64[Array, "components components"]:
    n_items, n_components = log_odds.shape
    if n_items < 2:
        return np.eye(n_components)
    centred = log_odds - log_odds.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(spread > 0, spread, 1.0)
    found = (1 - SHRINKAGE) * (scaled.T @ scaled)
    np.fill_diagonal(found, 1.0)
    return found


def row_prior(n_classes: int, right: float = RIGHT) -> Float64[Array, "classes classes"]:
    """Dirichlet weights of the rows before any data."""
    return WRONG + (right - WRONG) * np.eye(n_classes)


def people_prior(group_tasks: int, n_annotators: int, n_classes: int) -> Float64[Array, "tasks agents classes classes"]:
    """Of every annotator, the expert last."""
    prior = np.broadcast_to(row_prior(n_classes), (group_tasks, n_annotators + 1, n_classes, n_classes)).copy()
    prior[:, -1] = row_prior(n_classes, GOLD_RIGHT)
    return prior


def _counted_people(
    group: Group, beliefs: list[Float64[Array, "items _classes"]], n_annotators: int
) -> Float64[Array, "tasks agents classes classes"]:
    n_classes = group.components.shape[1] + 1
    counts = people_prior(len(group.tasks), n_annotators, n_classes)
    item = np.repeat(np.arange(len(group.begin) - 1), np.diff(group.begin))
    for place, t in enumerate(group.tasks):
        chosen = group.task == place
        np.add.at(
            counts[place].transpose(0, 2, 1), (group.annotator[chosen], group.label[chosen]), beliefs[t][item[chosen]]
        )
    return counts


def _mean_scores(
    group: Group, beliefs: list[Float64[Array, "items _classes"]]
) -> Float64[Array, "tasks models classes classes"]:
    n_classes = group.components.shape[1] + 1
    belief = np.stack([beliefs[t] for t in group.tasks], axis=1)
    scores = np.exp(group.log_scores) * group.spoken[..., None]
    total = np.einsum("itc,itmk->tmck", belief, scores) + row_prior(n_classes)
    return total / total.sum(axis=-1, keepdims=True)
