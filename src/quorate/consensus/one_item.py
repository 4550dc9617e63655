"""One item as it comes in online, as a data set in a fitted model's vocabulary: its models' outputs, no label yet."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from quorate.consensus.door import Said, Scores, class_code
from quorate.consensus.estimator import Model
from quorate.data.encode import Coded, Labels, ModelOutput, no_output
from quorate.errors import DataError
from quorate.schema import Task

Array = np.ndarray


def one_item(
    model: Model, scores: Scores | None, features: Float64[Array, "features"] | None, item: str, *, n_features: int
) -> Coded:
    """A data set of this one item; models that the fit never met say nothing.

    Raises SchemaError for an unknown task or class, DataError for scores that are no probabilities or for features of
    another number than the fit had.
    """
    schema, said = model.schema, scores or {}
    for name in said:
        schema.task(name)
    check_features(features, n_features)
    known: Float32[Array, "one features"] = np.zeros((1, n_features), np.float32)
    if features is not None:
        known[0] = features
    nobody = (np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros(0, np.int64))
    return Coded(
        schema=schema,
        items=(item,),
        annotators=model.annotators,
        models=model.models,
        labels=Labels(np.zeros(len(schema) + 1, np.int64), *nobody),
        outputs=tuple(_output(model, task, said) for task in schema.tasks),
        gold=np.full((1, len(schema)), -1, np.int16),
        features=known,
        features_known=np.array([features is not None]),
    )


def _output(model: Model, task: Task, scores: Scores) -> ModelOutput:
    output = no_output(1, len(model.models), len(task.classes))
    place = {name: m for m, name in enumerate(model.models)}
    for name, said in scores.get(task.name, {}).items():
        if name in place:
            _fill(output, place[name], task, said)
    return output


def _fill(output: ModelOutput, m: int, task: Task, said: Said) -> None:
    found = heard(task, said)
    if isinstance(found, int):
        output.kind[0, m], output.scores[0, m, found], output.answer[0, m] = 2, 1.0, found
        return
    output.scores[0, m] = found
    output.kind[0, m], output.answer[0, m] = 1, int(output.scores[0, m].argmax())


def heard(task: Task, said: Said) -> list[float] | int:
    """A score per class in their order, or the code of a hard answer.

    Raises SchemaError for an unknown class, DataError for scores that are no probabilities.
    """
    if isinstance(said, str):
        return class_code(task, said)
    scores = [0.0] * len(task.classes)
    for label, score in said.items():
        scores[class_code(task, label)] = score
    total = sum(scores)
    if not abs(total - 1.0) <= 1e-3 or min(scores) < 0:
        raise DataError(
            f"scores of task {task.name!r} sum to {total:.4g} or are negative",
            mend="give one score per class, none negative, that sum to 1",
        )
    return scores


def check_features(features: Float64[Array, "features"] | None, n_features: int) -> None:
    """Raises DataError for features of another number than the fit had."""
    if features is not None and len(features) != n_features:
        raise DataError(
            f"{len(features)} features were given, the fit had {n_features}",
            mend="give the same features in the same order as the fit data",
        )
