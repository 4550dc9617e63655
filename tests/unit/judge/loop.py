"""A small world for the whole loop: texts with a true grade, careful people, and models on a fake server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from quorate.data.dataset import Dataset
from quorate.judge.amplify import Purse
from quorate.judge.answers import Line, asked
from quorate.judge.asked import Judge, keep
from quorate.judge.asking import Asker, Space, chosen_items
from quorate.judge.deciding import Decided, decide, people_of_folder
from quorate.judge.folder import RUBRIC, JudgeFolder
from quorate.judge.rule import Rule
from quorate.judge.seed import read_seed
from quorate.judge.seeding import Wish, begin
from quorate.judge.tune import Halving
from quorate.llm.client import ChatClient
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Price
from quorate.llm.rubric_file import parse_rubric
from quorate.llm.testing.replies import Row

TEXT = "tasks: [{name: care, kind: scale, classes: ['1', '2', '3', '4', '5']}]\n"
ASKED = parse_rubric(TEXT)
N, SEEDED = 600, 350
NAMES = tuple(f"i{n:04d}" for n in range(N))
TEXTS = [f"<{n:04d}> the helper's answer" for n in range(N)]
ITEMS = Items(NAMES, {"text": TEXTS}, {})
RNG = np.random.default_rng(11)
TRUTH = RNG.integers(0, 4, N)
PRICES = {name: Price(1.0, 1.0, "2026-11-22", "a test") for name in ("weak", "strong")}


def people() -> Dataset:
    """Two people, who now and then miss by one grade; contents with it."""
    rows = {"item": [], "task": [], "annotator": [], "label": []}
    for who in ("ann", "bob"):
        missed = RNG.integers(-1, 2, SEEDED) * (RNG.random(SEEDED) < 0.2)
        codes = np.clip(TRUTH[:SEEDED] + missed, 0, 3)
        rows["item"] += NAMES[:SEEDED]
        rows["task"] += ["care"] * SEEDED
        rows["annotator"] += [who] * SEEDED
        rows["label"] += [str(1 + code) for code in codes]
    items = pa.table({"item": list(NAMES), "text": TEXTS})
    return Dataset(pa.table(rows), None, None, None, items, ASKED.schema)


PEOPLE = people()


def answers(noise: Mapping[str, float], *, seed: int = 5) -> list[Row]:
    """Everybody is one grade too kind where they see what is there, and guesses with this probability."""
    rng, rows = np.random.default_rng(seed), list[Row]()
    for model, share in noise.items():
        for text, truth in zip(TEXTS, TRUTH.tolist(), strict=True):
            said = rng.integers(5) if rng.random() < share else truth + 1
            probs = np.full(5, 0.03)
            probs[said] = 0.88
            rows.append(Row(text, model, None, {"care": probs.tolist()}, None))
    return rows


GOOD = answers({"weak": 0.7, "strong": 0.02})
SWAPPED = answers({"weak": 0.7, "strong": 0.6}, seed=6)


def line(url: str, cap_usd: float | None = None) -> Line:
    """The way to a server."""
    return Line(partial(ChatClient, url), Purse(PRICES, cap_usd))


def calibrated(path: Path, url: str) -> JudgeFolder:
    """A judge that was seeded and calibrated through the server."""
    folder = JudgeFolder(path)
    begin(folder, PEOPLE, Wish(items=SEEDED, shares=(0.3, 0.3, 0.4)))
    folder.file(RUBRIC).write_text(TEXT)
    roles = read_seed(folder.file("roles.parquet"))
    places = np.array([ITEMS.place_of[item] for item in roles.of("calibration")])
    with Journal() as journal:
        asker = Asker(chosen_items(ITEMS, places), people_of_folder(folder), ASKED, line(url).means(journal))
        found = Halving(first=40).search(asker, Space(("weak", "strong")))
    names = keep(folder, found, rubric=ASKED)
    folder.take("calibrated", files={name: folder.digest(name) for name in names})
    return folder


def says(folder: JudgeFolder, judge: Judge, url: str):
    """What the judge says of items; of another number, asked anew."""

    def of(names: Sequence[str], number: int = 0):
        journal = folder.file("journals") / f"{number:06d}.sqlite"
        return asked(judge, ITEMS, people_of_folder(folder), line(url), names, journal)

    return of


def gated(folder: JudgeFolder, judge: Judge, url: str, rule: Rule | None = None) -> Decided:
    """The gate's decision."""
    return decide(folder, says(folder, judge, url), rule or Rule(figure="agreement", threshold=0.6))
