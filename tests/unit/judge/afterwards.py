"""A judge that has labeled, without a model to ask: its folder as the steps leave it, with answers made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from quorate.data.dataset import Dataset
from quorate.judge.answers import Read
from quorate.judge.deciding import people_of_folder
from quorate.judge.folder import AMPLIFIED, ANSWERS, ROLES, JudgeFolder
from quorate.judge.graded import Graded, people_of
from quorate.judge.kept import keep_answers
from quorate.judge.parts import PART, write_part
from quorate.judge.seed import read_seed
from quorate.judge.seeding import Wish, begin
from quorate.schema import Schema, Task

CARE = Task("care", ("1", "2", "3"), ordered=True)
N = 1_200
NAMES = [f"i{at:04d}" for at in range(N)]
RNG = np.random.default_rng(21)
TRUTH = RNG.choice(3, size=N, p=[0.6, 0.3, 0.1])
SAID = np.clip(TRUTH + (RNG.random(N) < 0.3), 0, 2)  # too kind by one, now and then
HIDDEN = frozenset(NAMES[-20:])


def data(truth: np.ndarray = TRUTH) -> Dataset:
    """Two people for every item that they may see; contents, and what is restricted."""
    rows = [(name, "care", who, str(1 + code)) for name, code in zip(NAMES, truth, strict=True) for who in "ab"]
    rows = [row for row in rows if row[0] not in HIDDEN]
    labels = pa.table(
        dict(zip(("item", "task", "annotator", "label"), map(list, zip(*rows, strict=True)), strict=True))
    )
    items = pa.table({"item": NAMES, "text": NAMES, "restricted": [name in HIDDEN for name in NAMES]})
    return Dataset(labels, None, None, None, items, Schema((CARE,)))


def probs(said: np.ndarray) -> np.ndarray:
    """Nearly sure of what it says."""
    return 0.02 + 0.94 * np.eye(3)[said]


def grades(said: np.ndarray) -> np.ndarray:
    """The expected grade."""
    return probs(said) @ np.array([1.0, 2.0, 3.0])


def reads(folder: JudgeFolder, names: tuple[str, ...], said: np.ndarray = SAID) -> dict[str, Read]:
    """What the judge says of these."""
    people = people_of(people_of_folder(folder), "care", names)
    own = said[[NAMES.index(name) for name in names]]
    return {"care": Read(Graded(CARE, names, people.people, own, probs(own)), grades(own))}


def seeded(path: Path, people: Dataset | None = None, n: int = 300) -> JudgeFolder:
    """A folder with a seed that people have graded."""
    folder = JudgeFolder(path)
    begin(folder, people or data(), Wish(items=n))
    return folder


def passed(folder: JudgeFolder, judge: str = "kind v1", said: np.ndarray = SAID, tries: int = 1) -> None:
    """The judge has been calibrated, and its gate has opened at this try."""
    folder.take("calibrated", files={}, told=judge)
    roles = read_seed(folder.file(ROLES))
    for _ in range(tries - 1):
        folder.take("gated", open=[], closed={"care": ["a test"]}, files={})
    keep_answers(folder, judge, tries, [reads(folder, roles.of("gate"), said), reads(folder, roles.of("anchor"), said)])
    folder.take("gated", open=["care"], closed={}, files={ANSWERS: folder.digest(ANSWERS)})


def labeled(folder: JudgeFolder, part: int, at: slice, judge: str = "kind v1", said: np.ndarray = SAID) -> None:
    """A part of the set as amplifying writes it."""
    folder.take("amplifying", told="a test", restricted=len(HIDDEN))
    codes, names = said[at], NAMES[at]
    table = pa.table(
        {
            "item": names,
            "task": ["care"] * len(names),
            "judge": [judge] * len(names),
            "said": [str(1 + code) for code in codes],
            "label": [str(1 + code) for code in codes],
            "grade": grades(codes),
            "probs": probs(codes).tolist(),
            "cost_usd": [0.0] * len(names),
        },
        schema=PART,
    )
    write_part(folder.file(AMPLIFIED), part, table, [])
