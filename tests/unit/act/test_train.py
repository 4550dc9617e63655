"""Students: they learn what people corrected, are the same after saving, and say what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from quorate.act.students import ImageStudent, Lesson, TextStudent, load_student
from quorate.act.train import learned, train, tuned
from quorate.errors import DataError, FormatError, SettingError

CLASSES = ("cat", "dog", "owl")
WORDS = (("purrs", "meows", "whiskers"), ("barks", "fetches", "leash"), ("hoots", "feathers", "night"))


def texts(n: int = 240, seed: int = 0):
    """Sentences whose words tell the class, most of the time."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    of = [WORDS[k] if rng.random() < 0.85 else WORDS[rng.integers(3)] for k in truth]
    return [f"it {' '.join(rng.choice(words, 2))} and {rng.choice(['runs', 'sleeps'])}" for words in of], truth


def images(n: int = 120, seed: int = 0):
    """Bright squares: at the left, at the right, below."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    x = 0.3 * rng.random((n, 8, 8))
    for place, k in enumerate(truth):
        x[place, slice(5, 8) if k == 2 else slice(1, 4), slice(4, 7) if k == 1 else slice(1, 4)] += 0.6
    return x, truth


def review(truth, *, inclusion: float = 0.5, seed: int = 0) -> pa.Table:
    """A machine that is wrong on a quarter of the items, and people who have seen half of them."""
    rng = np.random.default_rng(seed)
    machine = np.where(rng.random(len(truth)) < 0.25, (truth + 1) % 3, truth)
    reviewed = rng.random(len(truth)) < inclusion
    columns = {
        "item": [f"i{k}" for k in range(len(truth))],
        "task": ["animal"] * len(truth),
        "label": [CLASSES[k] for k in np.where(reviewed, truth, machine)],
        "machine_label": [CLASSES[k] for k in machine],
        "reviewed": reviewed,
        "inclusion": np.full(len(truth), inclusion),
    }
    return pa.table(columns)


def accuracy(student, contents, truth) -> float:
    return float((student.scores(contents).argmax(axis=1) == truth).mean())


def test_a_text_student_learns_and_is_the_same_after_saving(tmp_path: Path) -> None:
    """Better than the machine on new texts; scores add up to 1 and come back the same from JSON and arrays."""
    told, truth = texts()
    contents = {f"i{k}": text for k, text in enumerate(told)}
    found = train(review(truth), contents, CLASSES, rule="normalization")
    assert (found.items, found.student.classes) == (240, CLASSES)
    assert 0 <= found.lambda_ <= 1
    new, right = texts(300, seed=1)
    assert accuracy(found.student, new, right) > 0.75
    found.student.save(tmp_path / "model")
    scores = found.student.scores(new)
    assert scores.sum(axis=1) == pytest.approx(1)
    assert load_student(tmp_path / "model").scores(new) == pytest.approx(scores)
    assert found.mended == pytest.approx(30, abs=15)


def test_two_classes_and_a_class_that_nobody_named_work(tmp_path: Path) -> None:
    """The missing class has no chance; two classes have the same heights with opposite signs."""
    told, truth = texts()
    two = truth < 2
    lesson = Lesson(truth[two], truth[two], np.ones(two.sum()))
    student = TextStudent.fit([t for t, keep in zip(told, two, strict=True) if keep], lesson, CLASSES)
    scores = student.scores(told)
    assert (scores[:, 2] == 0).all()
    assert scores.sum(axis=1) == pytest.approx(1)
    assert accuracy(student, [t for t, keep in zip(told, two, strict=True) if keep], truth[two]) > 0.8
    student.save(tmp_path)
    assert load_student(tmp_path).scores(told) == pytest.approx(scores)


@pytest.mark.slow
def test_an_image_student_learns_from_arrays_and_files(tmp_path: Path) -> None:
    """A residual network, better than the machine on new images; the same after saving, and from pictures on disk."""
    x, truth = images()
    contents = {f"i{k}": image for k, image in enumerate(x)}
    found = train(review(truth), contents, CLASSES, kind="image")
    assert found.lambda_ == 1.0
    new, right = images(60, seed=1)
    assert accuracy(found.student, list(new), right) > 0.8
    found.student.save(tmp_path / "model")
    again = load_student(tmp_path / "model")
    assert again.scores(list(new)) == pytest.approx(found.student.scores(list(new)))
    paths = []
    for k, image in enumerate(x[:40]):
        paths.append(tmp_path / f"{k}.png")
        Image.fromarray((255 * np.clip(image, 0, 1)).astype(np.uint8)).save(paths[-1])
    lesson = Lesson(truth[:40], truth[:40], np.ones(40))
    student = ImageStudent.fit(paths, lesson, CLASSES, epochs=2)
    assert student.scores(paths[:3]).shape == (3, 3)


def test_lambda_is_tuned_on_what_the_student_did_not_learn_from() -> None:
    """A machine that is right gets full trust, one that answers at random little; certain reviews need none."""
    told, truth = texts(200)
    rng = np.random.default_rng(5)
    weight = np.where(rng.random(200) < 0.5, 2.0, 0.0)
    human = np.where(weight > 0, truth, -1)
    good = tuned(told, Lesson(truth, human, weight), CLASSES)
    poor = tuned(told, Lesson(rng.integers(0, 3, 200), human, weight), CLASSES)
    assert good == pytest.approx(1.0)
    assert poor < 0.75
    assert tuned(told, Lesson(truth, human, np.minimum(weight, 1.0)), CLASSES) == 1.0


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """Columns, contents, classes, kinds, models."""
    told, truth = texts(30)
    table, contents = review(truth), dict(zip([f"i{k}" for k in range(30)], told, strict=True))
    with pytest.raises(DataError, match="inclusion"):
        train(table.drop_columns(["inclusion"]), contents, CLASSES)
    with pytest.raises(DataError, match="no item"):
        train(table, {}, CLASSES)
    with pytest.raises(DataError, match="'owl' is no class"):
        train(table, contents, CLASSES[:2])
    with pytest.raises(SettingError, match="no task"):
        train(table, contents, CLASSES, task="plant")
    with pytest.raises(SettingError, match="no image"):
        train(table, contents, CLASSES, kind="image")
    with pytest.raises(DataError, match="one class"):
        learned(told, Lesson(np.zeros(30, np.int64), np.zeros(30, np.int64), np.zeros(30)), CLASSES)
    with pytest.raises(FormatError, match="no student"):
        load_student(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"text\.png"):
        ImageStudent.fit([tmp_path / "text.png"], Lesson(*np.zeros((2, 1), np.int64), np.zeros(1)), CLASSES)
