"""The page of a review: its figures, and that nothing in the data can do anything on it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from quorate.act.answers import Said, Taken
from quorate.act.folder import CRITICISMS, ActFolder
from quorate.act.ground import read_ground, take_ground, with_labels
from quorate.act.review import parse_budget
from quorate.act.reviewing import Wish, draw, take
from quorate.act.strategies import StrategyName
from quorate.report.act import ActReport, act_page, gather, write_act_report

BAD = "<script>alert(1)</script>"
N = 80


def made(tmp_path: Path, strategy: StrategyName = "cot", answers: int = 30, price: float | None = 0.1) -> ActReport:
    """A folder with a critic that is right most often; the names are hostile."""
    import pyarrow as pa

    rng = np.random.default_rng(0)
    wrong = rng.random(N) < 0.3
    (tmp_path / "items.csv").write_text("item,text\n" + "".join(f"i{k},note {k}\n" for k in range(N)))
    rows = "".join(f'i{k},tone,"{BAD}",{"calm" if k % 2 else "angry"}\n' for k in range(N))
    (tmp_path / "said.csv").write_text("item,task,model,label\n" + rows)
    folder = ActFolder(tmp_path / "act")
    folder.path.mkdir()
    take_ground(folder, with_labels(tmp_path / "items.csv", tmp_path / "said.csv"), tmp_path / "items.csv", None)
    ground = read_ground(folder)
    names = [each._asdict() for each in ground.labels]
    table = {key: [each[key] for each in names] for key in ("item", "task", "model", "label")}
    error = np.clip(0.25 + 0.4 * wrong + rng.normal(0, 0.1, N), 0, 1)
    flag = ["it was a refusal" if k == 3 else "" for k in range(N)]
    more = {"criticizer": [BAD] * N, "strategy": [strategy] * N, "error": error, "flag": flag, "cost_usd": [0.001] * N}
    folder.write(CRITICISMS, pa.table({**table, **more}))
    folder.note("criticize", annotator=ground.annotator, spent_usd=0.08)
    draw(folder, ground, Wish(parse_budget("30"), answer_usd=price))
    take(folder, ground, Taken((), 0))
    from quorate.act.folder import PLAN
    from quorate.act.review import Plan

    of = dict(zip([(each.item, each.task) for each in ground.labels], range(N), strict=True))
    other = {"calm": "angry", "angry": "calm"}
    said = []
    for key in Plan.read(folder.table(PLAN)).queue()[:answers]:
        label = ground.labels[of[key]].label
        said.append(Said(*key, "ada", other[label] if wrong[of[key]] else label))
    take(folder, ground, Taken(tuple(said), 0))
    report = gather(folder)
    write_act_report(report, folder.file("report.html"), folder.file("report.json"))
    return report


def test_the_page_runs_nothing_asks_nobody_and_shows_hostile_names_as_text(tmp_path: Path) -> None:
    """A policy forbids scripts and requests; there are none; what comes from the data is escaped."""
    made(tmp_path)
    page = (tmp_path / "act" / "report.html").read_text()
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    assert "prefers-color-scheme: dark" in page


def test_the_figures_add_up(tmp_path: Path) -> None:
    """Classes sum to all labels, costs to what was paid, and the critic's errors tell wrong labels from right ones."""
    report = made(tmp_path)
    assert sum(each.labels for each in report.classes) == report.labels == N
    assert sum(each.wrong for each in report.classes) == report.found
    assert sum(each.reviewed for each in report.classes) == report.reviewed == 30
    assert sum(n for each in report.classes for _, n in each.mended_to) == report.found
    assert report.costs.people_usd == pytest.approx(3.0)
    assert report.costs.total_usd == pytest.approx(3.08)
    assert report.costs.all_human_usd == pytest.approx(8.0)
    [critic] = report.of_critics
    assert critic.unsure == 1
    assert (critic.on_wrong or 0) > (critic.on_right or 1) + 0.2
    assert report.gain is not None
    assert 0 < (report.gain.low or 0) <= report.gain.estimate <= (report.gain.high or 0) <= 1
    assert "30 found" not in report.headline
    assert f"found {report.found} errors" in report.headline


def test_an_order_that_nobody_has_checked_has_no_curve_and_says_why(tmp_path: Path) -> None:
    """Levels before ten answers; an unknown price is a dash."""
    report = made(tmp_path, "levels", answers=0, price=None)
    assert report.curve is None
    page = act_page(report)
    assert "an order and not a probability" in page
    assert "<polyline" not in page
    assert "none reviewed yet" in report.headline
    assert "The price of an answer is not known" in page
