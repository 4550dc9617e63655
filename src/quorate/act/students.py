"""Students: classifiers that learn from labels that people have corrected in part, of texts or of images.

Both minimize the ACT loss [lin2025act] with cross-entropy. Of texts: softmax regression on TF-IDF of words and pairs of
words (scikit-learn); the loss is convex, so the student is the same every time. Of images: a small residual network
[he2016], trained from scratch (PyTorch). Kept as arrays and JSON, never as pickles.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.act.images import BATCH, EPOCHS, Progress, device, learn_images, pixels, residual_network, torch_module
from quorate.act.losses import ACTLoss
from quorate.act.rows import rows
from quorate.data.write import whole
from quorate.errors import DataError, FormatError, MissingExtraError

Array = np.ndarray
WORDS = 50_000  # most frequent words and pairs of words
MOST_STEPS = 2_000
PENALTY = 1.0  # of softmax regression: C, the loss of all items against half the squared weights
FILE, ARRAYS = "student.json", "student.npz"


class Lesson(NamedTuple):
    """What there is to learn: class codes by the machine and by people, and what the latter weigh; see `correction`."""

    machine: Int64[Array, "items"]
    human: Int64[Array, "items"]  # -1 where there is none
    weight: Float64[Array, "items"]
    lambda_: float = 1.0

    def of(self, index: Int64[Array, "kept"]) -> Lesson:
        """These items only."""
        return Lesson(self.machine[index], self.human[index], self.weight[index], self.lambda_)


@dataclass(frozen=True)
class TextStudent:
    """Softmax regression on TF-IDF."""

    classes: tuple[str, ...]
    words: dict[str, int] = field(repr=False)
    idf: Float64[Array, "words"] = field(repr=False)
    slopes: Float64[Array, "classes words"] = field(repr=False)
    biases: Float64[Array, "classes"] = field(repr=False)
    converged: bool = True  # False: weights of rare reviews are so large that the lowest point was not reached

    kind = "text"

    @classmethod
    def fit(
        cls, texts: Sequence[str], lesson: Lesson, classes: Sequence[str], *, penalty: float = PENALTY
    ) -> TextStudent:
        """Learn. Raises MissingExtraError without scikit-learn, DataError where all labels are of one class."""
        try:
            from sklearn.linear_model import LogisticRegression
        except ImportError:
            raise MissingExtraError("scikit-learn", "demo") from None
        vectorizer = _vectorizer(max_features=WORDS)
        x = vectorizer.fit_transform(texts)
        learned = rows(lesson.machine, lesson.human, lesson.weight, lesson.lambda_)
        _check_classes(learned.label, classes)
        estimator = LogisticRegression(C=penalty, max_iter=MOST_STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it did not converge is said by `converged`
            fitted = learned.fit(estimator, x)
        slopes, biases = np.zeros((len(classes), x.shape[1])), np.full(len(classes), -np.inf)
        codes = np.asarray(fitted.classes_, np.int64)
        both = len(codes) == 2
        slopes[codes] = np.vstack([-fitted.coef_, fitted.coef_]) / 2 if both else fitted.coef_
        biases[codes] = np.append(-fitted.intercept_, fitted.intercept_) / 2 if both else fitted.intercept_
        words = {str(word): int(place) for word, place in vectorizer.vocabulary_.items()}
        idf = np.asarray(vectorizer.idf_, np.float64)
        return cls(tuple(classes), words, idf, slopes, biases, bool(np.max(fitted.n_iter_) < MOST_STEPS))

    def scores(self, texts: Sequence[str]) -> Float64[Array, "items classes"]:
        """A probability per class."""
        vectorizer = _vectorizer(vocabulary=self.words)
        vectorizer.idf_ = self.idf
        return _softmax(np.asarray(vectorizer.transform(texts) @ self.slopes.T) + self.biases)

    def save(self, folder: Path) -> None:
        """Write it into a folder, as JSON and arrays."""
        ordered = sorted(self.words, key=self.words.__getitem__)
        told = {"kind": self.kind, "classes": list(self.classes), "words": ordered, "converged": self.converged}
        _write(folder, told, {"idf": self.idf, "slopes": self.slopes, "biases": self.biases})  # fmt: skip


@dataclass(frozen=True)
class ImageStudent:
    """A small residual network."""

    classes: tuple[str, ...]
    side: int  # pixels
    channels: int
    weights: dict[str, Array] = field(repr=False)

    kind = "image"

    @classmethod
    def fit(
        cls,
        images: Sequence[Path | Array],
        lesson: Lesson,
        classes: Sequence[str],
        *,
        seed: int = 0,
        epochs: int = EPOCHS,
        progress: Progress | None = None,
    ) -> ImageStudent:
        """Learn. Images are files, or arrays of one size with values from 0 to 1.

        Raises MissingExtraError without PyTorch (and Pillow, for files), DataError for images that cannot be read.
        """
        torch = torch_module()
        x = pixels(images)
        _check_classes(np.append(lesson.machine, lesson.human[lesson.weight > 0]), classes)
        torch.manual_seed(seed)
        network = residual_network(x.shape[1], len(classes)).to(device())
        parts = (x, lesson.machine, lesson.human, lesson.weight.astype(np.float32))
        tensors = [torch.as_tensor(np.ascontiguousarray(part)).to(device()) for part in parts]
        learn_images(network, tensors, ACTLoss(lambda_=lesson.lambda_), np.random.default_rng(seed), epochs, progress)
        weights = {name: value.cpu().numpy() for name, value in network.state_dict().items()}
        return cls(tuple(classes), x.shape[2], x.shape[1], weights)

    def scores(self, images: Sequence[Path | Array]) -> Float64[Array, "items classes"]:
        """A probability per class."""
        torch = torch_module()
        network = residual_network(self.channels, len(self.classes))
        network.load_state_dict({name: torch.as_tensor(value) for name, value in self.weights.items()})
        network.to(device()).eval()
        x = torch.as_tensor(pixels(images, self.side, self.channels))
        with torch.inference_mode():
            heights = [network(part.to(device())).double() for part in x.split(BATCH * 8)] if len(x) else []
        found = [torch.softmax(part, dim=1).cpu().numpy() for part in heights]
        return np.concatenate(found) if found else np.zeros((0, len(self.classes)))

    def save(self, folder: Path) -> None:
        """Write it into a folder, as JSON and arrays."""
        told = {"kind": self.kind, "classes": list(self.classes), "side": self.side, "channels": self.channels}
        _write(folder, told, self.weights)


Student = TextStudent | ImageStudent


def load_student(folder: Path) -> Student:
    """A student that was saved. Raises FormatError where there is none."""
    try:
        told: dict[str, Any] = json.loads((folder / FILE).read_text("utf-8"))
        with np.load(folder / ARRAYS, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        classes = tuple(told["classes"])
        if told["kind"] == TextStudent.kind:
            words = {word: place for place, word in enumerate(told["words"])}
            return TextStudent(classes, words, arrays["idf"], arrays["slopes"], arrays["biases"], told["converged"])
        return ImageStudent(classes, int(told["side"]), int(told["channels"]), arrays)
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(f"no student ({error})", mend="train it again", source=str(folder)) from None


# ---- texts ----------------------------------------------------------------------------------------------------------
def _vectorizer(**options: Any) -> Any:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        raise MissingExtraError("scikit-learn", "demo") from None
    # words of one letter count: answers such as "A" are words too
    pattern = r"(?u)\b\w+\b"
    return TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode", token_pattern=pattern, **options
    )


def _softmax(heights: Float64[Array, "items classes"]) -> Float64[Array, "items classes"]:
    odds = np.exp(heights - heights.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


# ---- both -----------------------------------------------------------------------------------------------------------
def _check_classes(codes: Array, classes: Sequence[str]) -> None:
    seen = np.unique(codes)
    if len(seen) < 2:
        name = classes[int(seen[0])] if len(seen) else "none"
        raise DataError(f"all labels are of one class, {name!r}", mend="give items of two classes or more")


def _write(folder: Path, told: dict[str, Any], arrays: dict[str, Array]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / ARRAYS) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    with whole(folder / FILE) as part:
        part.write_text(json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
