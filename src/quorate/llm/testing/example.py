"""A small campaign to try: reviews of kitchen tools, labels of simulated people, a rubric, and what two pretended
models answer, to the rubric and when asked whether a label is wrong. `quorate fake-llm --table` reads the answers;
nothing in it is real, and no key is needed.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.llm.label_ids import label_ids

Array = np.ndarray
TASKS = {"tone": ("positive", "negative", "mixed"), "safety": ("no", "yes")}
SKILL = {
    "fake-small": {"tone": 2.2, "safety": 1.6},
    "fake-large": {"tone": 3.6, "safety": 3.0},
}  # log odds of the truth
SHARED, OWN = 1.0, 0.8  # spread of what both models misread, and of what one does (log odds)
SHARPER = 1.6  # models are surer than they should be
DOUBTED = 2.0  # and less so of what others said: log odds are divided by this
PEOPLE = {"ada": 0.95, "ben": 0.9, "cleo": 0.9, "dev": 0.8, "eva": 0.85, "finn": 0.7}
LABELS_PER_TASK = 3
THINGS = ("peeler", "kettle", "skillet", "grater", "blender", "whisk", "toaster", "ladle", "colander", "mandoline")
GOOD = (
    "it does its work without a fuss",
    "my mornings are easier since it came",
    "I would buy it again tomorrow",
    "it feels solid and cleans in a minute",
    "even my father likes it",
)
BAD = (
    "it broke in the second week",
    "the handle came loose and nobody answers my letters",
    "it is half as big as in the picture",
    "I sent it back",
    "it rusts if you look at it",
)
HARM = (
    "I cut my thumb on the rim",
    "it threw sparks at my sleeve",
    "hot oil ran over my hand",
    "a splinter of it ended up in the soup",
)
CALM = (
    "it came in a brown box",
    "I use it twice a week",
    "mine is the blue one",
    "it fits the drawer",
    "we are four at table",
)
RUBRIC = """\
about: Reviews of kitchen tools, as buyers wrote them.
guidelines: Judge what the writer says, not what you think of the tool.
tasks:
  - name: tone
    question: What does the writer think of the tool?
    classes:
      positive: The writer is content with it.
      negative: The writer is not content with it.
      mixed: Praise and blame, neither clearly stronger.
  - name: safety
    kind: yes-no
    question: Does the review speak of somebody being hurt, or nearly?
    guidelines: A broken tool alone is no danger.
examples:
  - text: The lid is tight and the glass is thick. I am glad I chose this jar.
    labels: {tone: positive, safety: no}
  - text: A nice spoon, but the end is so sharp that my son bled.
    labels: {tone: mixed, safety: yes}
"""
COMMANDS = (
    "quorate fake-llm --table {folder}/answers.jsonl",
    (
        "quorate label {folder} --rubric {folder}/rubric.yaml --models fake-small,fake-large"
        " --base-url http://127.0.0.1:8123/v1 --cap 1 --out labeled"
    ),
    "quorate fit labeled && quorate report labeled",
)


class Review(NamedTuple):
    """A text and what is true of it, by task."""

    text: str
    truth: dict[str, int]


def write_example(folder: Path, *, n_items: int = 240, seed: int = 0) -> list[Path]:
    """Write items.csv, labels.csv, rubric.yaml and answers.jsonl; their paths. The same seed writes the same files."""
    rng = np.random.default_rng(seed)
    reviews = _reviews(rng, n_items)
    names = [f"review-{place:03}" for place in range(n_items)]
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("items.csv", "labels.csv", "rubric.yaml", "answers.jsonl")]
    _write_csv(paths[0], ("item", "text"), [(n, r.text) for n, r in zip(names, reviews, strict=True)])
    _write_csv(paths[1], ("item", "task", "annotator", "label"), _labels(rng, names, reviews))
    paths[2].write_text(RUBRIC, "utf-8", newline="\n")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in _answers(rng, reviews))
    paths[3].write_text("".join(lines), "utf-8", newline="\n")
    return paths


def _reviews(rng: np.random.Generator, n_items: int) -> list[Review]:
    """So many different texts."""
    found: dict[str, Review] = {}
    while len(found) < n_items:
        tone, harm = int(rng.choice(3, p=[0.45, 0.35, 0.2])), int(rng.random() < 0.25)
        wanted = {0: [GOOD, GOOD], 1: [BAD, BAD], 2: [GOOD, BAD]}[tone]
        said = [str(rng.choice(pool)) for pool in (*wanted, CALM, *([HARM] if harm else []))]
        said = [said[place] for place in rng.permutation(len(said)).tolist()]
        text = f"About the {rng.choice(THINGS)}: " + "; ".join(dict.fromkeys(said)) + "."
        found.setdefault(text, Review(text, {"tone": tone, "safety": harm}))
    return list(found.values())


def _labels(rng: np.random.Generator, names: Sequence[str], reviews: Sequence[Review]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, review in zip(names, reviews, strict=True):
        who = [str(person) for person in rng.choice(list(PEOPLE), LABELS_PER_TASK, replace=False)]
        for task, classes in TASKS.items():
            for person in who:
                knows = rng.random() < PEOPLE[person]
                code = review.truth[task] if knows else int(rng.integers(len(classes)))
                rows.append((name, task, person, classes[code]))
    return rows


def _answers(rng: np.random.Generator, reviews: Sequence[Review]) -> list[dict[str, Any]]:
    """Rows of the fake server's table: both models stumble over the same reviews, and each over some of its own."""
    n = len(reviews)
    truth = {task: np.array([review.truth[task] for review in reviews]) for task in TASKS}
    shared = {task: rng.normal(0.0, SHARED, (n, len(classes))) for task, classes in TASKS.items()}
    doubting = rng.spawn(1)[0]
    rows: list[dict[str, Any]] = []
    for model, skill in SKILL.items():
        own = {task: rng.normal(0.0, OWN, heights.shape) for task, heights in shared.items()}
        probs = {task: _probs(shared[task] + own[task], truth[task], skill[task]) for task in TASKS}
        for i, review in enumerate(reviews):
            said = {task: probs[task][i].round(5).tolist() for task in TASKS}
            rows.append({"text": review.text, "model": model, "tasks": said})
            rows += _doubts(doubting, review.text, model, said)
    return rows


def _doubts(
    rng: np.random.Generator, text: str, model: str, said: Mapping[str, Sequence[float]]
) -> Iterator[dict[str, Any]]:
    """What a model says when it is asked whether a label is wrong: as it would label itself, and a little unsure."""
    for task, classes in TASKS.items():
        for code, (name, label) in enumerate(zip(label_ids(classes), classes, strict=True)):
            odds = math.log((1.001 - said[task][code]) / (0.001 + said[task][code])) / DOUBTED
            wrong = round(1.0 / (1.0 + math.exp(-odds - rng.normal(0.0, 0.4))), 3)
            level = [round(math.exp(-abs(5 * wrong - 0.5 - k)), 3) for k in range(5)]
            yield {
                "text": text,
                "model": model,
                "holds": [f'question "{task}": {label if name == label else f"{name}: {label}"}'],
                "tasks": {"error_probability": wrong, "error_level": level, "wrong": [wrong, round(1.0 - wrong, 3)]},
            }


def _probs(
    noise: Float64[Array, "items classes"], truth: Int64[Array, "items"], skill: float
) -> Float64[Array, "items classes"]:
    heights = noise.copy()
    heights[np.arange(len(truth)), truth] += skill
    powers = np.exp(SHARPER * (heights - heights.max(axis=1, keepdims=True)))
    return powers / powers.sum(axis=1, keepdims=True)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
