"""The demonstration: real images, real classifiers whose errors really correlate in families, simulated people.

The images are scikit-learn's digits [alpaydin1998]. Each family has its own sixty training images and its own way of
seeing (linear: blurred to 4 x 4; neighbours and trees: without the lower three rows), so that its members
err together; every member answers every task by a classifier of its own. People are simulated: a right answer with
their own probability, a wrong digit the sooner the more its average image resembles the right one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Float64, Int16, Int64

from quorate.data.dataset import Dataset
from quorate.errors import MissingExtraError, SettingError
from quorate.schema import Schema, Task
from quorate.simulate.draw import answers, panels
from quorate.simulate.tables import labels_table, numbered, scores_table

Array = np.ndarray
SCHEMA = Schema(
    (
        Task("digit", tuple("0123456789")),
        Task("parity", ("even", "odd")),
        Task("above_four", ("no", "yes")),
    )
)
FAMILIES = {
    "linear": ("logistic", "discriminant", "gaussian"),
    "neighbour": ("nearest", "extra-trees", "forest"),
}
TRAINING_IMAGES = 60  # per family by default, never among the items
SKILL = (0.65, 0.95)  # people's probability of a right answer, spread evenly over the annotators


class Digits(NamedTuple):
    """The data set, and the truth it is without."""

    data: Dataset
    truth: Int16[Array, "items tasks"]  # in the order of the items table


class _View(NamedTuple):
    """How a family sees an image, and what its members are."""

    see: Callable[[Float64[Array, "images rows columns"]], Float64[Array, "images pixels"]]
    members: tuple[Any, ...]


def digits(
    n_items: int = 1_500,
    *,
    n_annotators: int = 12,
    labels_per_item: int = 5,
    training_images: int = TRAINING_IMAGES,
    seed: int = 0,
) -> Digits:
    """Images to label in three tasks, with six models' scores and `labels_per_item` people's labels each.

    training_images: from which each family of models learned. Raises MissingExtraError without scikit-learn,
    SettingError for more items than there are images.

    >>> digits(40).truth.shape
    (40, 3)
    """
    images, digit = _load()
    n_training = training_images * len(FAMILIES)
    if not 1 <= n_items <= len(digit) - n_training or not 0 <= labels_per_item <= n_annotators:
        raise SettingError(
            f"n_items must be 1 to {len(digit) - n_training} and labels_per_item 0 to {n_annotators}, "
            f"not {n_items} and {labels_per_item}"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digit))
    item, training = order[n_training : n_training + n_items], order[:n_training].reshape(len(FAMILIES), -1)
    truth = np.column_stack([digit, digit % 2, digit > 4]).astype(np.int16)
    scores = _scores(images, truth, item, training)
    panel = panels(rng, np.full(n_items, labels_per_item), n_annotators)
    said = answers(rng, _people(images, digit, n_annotators, rng), truth[item], panel)
    return Digits(_dataset(item, scores, panel, said, n_annotators), truth[item])


def digit_images() -> Float64[Array, "images rows columns"]:
    """All images, darkness from 0 to 16; the items table's `digits_row` counts them. Raises MissingExtraError."""
    return _load()[0]


def _load() -> tuple[Float64[Array, "images rows columns"], Int64[Array, "images"]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "demo") from error
    pixels, digit = load_digits(return_X_y=True)
    return np.asarray(pixels).reshape(-1, 8, 8), np.asarray(digit)


def _views() -> tuple[_View, ...]:
    """In the order of FAMILIES, members in its order."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier

    linear = (
        LogisticRegression(C=0.05, max_iter=1_000),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3),
        GaussianNB(var_smoothing=0.05),
    )
    neighbour = (
        KNeighborsClassifier(7, weights="distance"),
        ExtraTreesClassifier(50, max_depth=5, random_state=0),
        RandomForestClassifier(50, max_depth=5, random_state=0),
    )
    return _View(_blurred, linear), _View(_upper, neighbour)


def _blurred(images: Float64[Array, "images rows columns"]) -> Float64[Array, "images pixels"]:
    return images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(len(images), -1)


def _upper(images: Float64[Array, "images rows columns"]) -> Float64[Array, "images pixels"]:
    return images[:, :5].reshape(len(images), -1)


def _scores(
    images: Array, truth: Int16[Array, "images tasks"], item: Int64[Array, "items"], training: Array
) -> list[Float32[Array, "items models _classes"]]:
    """Every member of every family, trained on its family's images for each task by itself."""
    of_task: list[Float32[Array, "items models _classes"]] = []
    for t, task in enumerate(SCHEMA.tasks):
        of_model: list[Array] = []
        for (see, members), part in zip(_views(), training, strict=True):
            seen, asked, right = see(images[part]), see(images[item]), truth[part, t]
            for member in members:
                scores = np.zeros((len(item), len(task.classes)), np.float32)
                scores[:, np.unique(right)] = member.fit(seen, right).predict_proba(asked)
                of_model.append(scores)
        of_task.append(np.stack(of_model, axis=1))
    return of_task


def _people(
    images: Array, digit: Int64[Array, "images"], n_annotators: int, rng: np.random.Generator
) -> tuple[Float64[Array, "annotators _classes _classes"], ...]:
    """Confusion rows per task: skill on the diagonal; wrong digits by likeness, the only other class for yes or no."""
    average = np.stack([images[digit == k].mean(axis=0).ravel() for k in range(10)])
    distance = np.sqrt(((average[:, None] - average[None]) ** 2).sum(axis=2))
    likeness = np.exp(-4.0 * distance / distance.max())
    np.fill_diagonal(likeness, 0.0)
    skill = rng.permutation(np.linspace(*SKILL, n_annotators))
    return tuple(_rows(skill, likeness if len(task.classes) == 10 else 1.0 - np.eye(2)) for task in SCHEMA.tasks)


def _rows(skill: Float64[Array, "annotators"], wrong: Float64[Array, "classes classes"]) -> Array:
    share = wrong / wrong.sum(axis=1, keepdims=True)
    return skill[:, None, None] * np.eye(len(wrong)) + (1.0 - skill[:, None, None]) * share


def _dataset(item: Int64[Array, "items"], scores: list[Array], panel: Array, said: Array, n_annotators: int) -> Dataset:
    names = numbered("image", len(item))
    models = [name for family in FAMILIES.values() for name in family]
    return Dataset(
        labels=labels_table(SCHEMA, names, numbered("annotator", n_annotators), panel, said),
        scores=scores_table(SCHEMA, names, models, scores),
        items=pa.table({"item": pa.array(names, pa.string()), "digits_row": item}),
        schema=SCHEMA,
    )
