"""The page: whole, offline, and deaf to what the data would have it do."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from quorate.report.gather import Options, Report, gather
from quorate.report.page import digest, drawings, page, plain, written
from quorate.report.words import money, percent
from unit.report import hostile

VOID = {"meta", "img", "link", "br", "line", "circle", "input"}


class Outline(HTMLParser):
    """Tags that open and close, what they load, the handlers they carry, and what stands in their scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.handlers: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what it is and loads."""
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        self.asked += [value for name, value in attrs if name in {"src", "href"} and value]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        """It must close the last one."""
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Scripts apart from texts."""
        if self.open and self.open[-1] == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)


def outline(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def wicked() -> tuple[Report, str]:
    """A report whose every name wants to be markup."""
    found = gather(hostile.dataset(hostile.wicked, gold=True), Options("dawid-skene", 0.9), name=hostile.wicked("set"))
    return found, page(found, drawings(found))


def test_the_page_asks_nothing_of_anybody(wicked) -> None:
    """Only its own parts and pictures inside it are named; no tag carries a handler."""
    found = outline(wicked[1])
    assert all(each.startswith(("#", "data:")) for each in found.asked)
    assert found.handlers == []
    assert "iframe" not in found.tags


def test_names_stay_text_wherever_they_stand(wicked) -> None:
    """Items, tasks, classes, people, models, contents and the title: each is read back letter by letter."""
    text = wicked[1]
    assert hostile.ATTACK not in text
    assert "<img src=x" not in text
    read = "".join(outline(text).texts)
    for name in ("set", "safe", "yes", "ann-3", "bot-1", "What of"):
        assert name in read
    assert hostile.wicked("ann-3") in read
    assert "49" not in "".join(part for part in outline(text).texts if "7 * 7" in part).replace(hostile.wicked(""), "")


def test_figures_are_json_that_no_name_can_end(wicked) -> None:
    """Their scripts hold no markup at all, read as JSON, and every figure has its box."""
    found = outline(wicked[1])
    data = [(attributes, text) for attributes, text in found.scripts if attributes.get("type") == "application/json"]
    assert [attributes["id"] for attributes, _ in data] == [f"figure-{name}" for name in _names()]
    for _, text in data:
        assert not set("<>&") & set(text)
        assert {"data", "layout"} == set(json.loads(text))
    for name in _names():
        assert f'data-figure="figure-{name}"' in wicked[1]


def test_texts_inside_figures_carry_no_markup_of_the_data(wicked) -> None:
    """Plotly reads a little HTML in texts: names come escaped."""
    found = outline(wicked[1])
    for attributes, text in found.scripts:
        if attributes.get("type") == "application/json":
            assert "<img" not in json.dumps(json.loads(text))


def test_only_the_two_scripts_that_are_named_may_run(wicked) -> None:
    """The policy in the page names them by digest, and lets nothing leave."""
    found = outline(wicked[1])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', wicked[1])
    assert policy is not None
    running = [text for attributes, text in found.scripts if attributes.get("type") != "application/json"]
    assert len(running) == 2
    assert all(digest(text) in policy[1] for text in running)
    assert "default-src 'none'" in policy[1]
    assert "unsafe-eval" not in policy[1]


def test_what_it_says_is_computed(wicked) -> None:
    """Headline, three figures and all tasks stand on the page."""
    report, text = wicked
    read = "".join(outline(text).texts)
    assert percent(report.saved.stop.share.estimate) in read
    assert money(report.saved.cost) in read
    assert text.count('<p class="figure">') == 3
    assert text.count("<h2>") >= 8 + 3


def test_page_pictures_and_figures_lie_side_by_side(wicked, tmp_path: Path) -> None:
    """One HTML, a PNG per figure, one JSON; nothing else."""
    at = written(wicked[0], tmp_path / "report")
    names = sorted(path.name for path in at.parent.iterdir())
    assert names == sorted(["report.html", "report.json", *(f"{name}.png" for name in _names())])
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in at.parent.glob("*.png"))
    assert json.loads((at.parent / "report.json").read_text("utf-8"))["name"] == hostile.wicked("set")


def test_plain_data_has_no_type_of_ours() -> None:
    """Named tuples by name, infinities as null, keys as text."""
    from quorate.measure.efficiency import Estimate

    assert plain((Estimate(1.0, float("inf")), {1: True})) == [{"value": 1.0, "se": None}, {"1": True}]


def test_percentages_do_not_round_to_certainty() -> None:
    """99.6 % is not 100 %, nor is a share of 1 less one rounding 99.99 %."""
    assert [percent(share) for share in (0.996, 1.0, 1 - 1e-16, 0.0, 0.002)] == [
        "99.6\xa0%", "100\xa0%", "100\xa0%", "0\xa0%", "0.2\xa0%",
    ]  # fmt: skip


def _names() -> list[str]:
    return ["curves", "reliability", "models", "worth"]
