"""The page: everything inside it, nothing asked of anybody, every computed table and sentence on it."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from quorate.simulate import theory
from quorate.study.page import kept, page
from quorate.study.plan import Plan
from quorate.study.policies import policies
from quorate.study.section import Drawing, Section, Table
from quorate.study.theorem import theorem

ADDRESS = re.compile(r"""(?:https?:)?//[^\s"'<>]+|@import|url\(""")


class Outline(HTMLParser):
    """Tags that open and close, and what they ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what it loads."""
        if tag not in {"meta", "img", "link", "br"}:
            self.open.append(tag)
        self.asked += [value for name, value in attrs if name in {"src", "href"} and value]

    def handle_endtag(self, tag: str) -> None:
        """It must close the last one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """The text of cells."""
        if self.open and self.open[-1] in {"td", "th"}:
            self.cells.append(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Section]]:
    """The page of two studies."""
    out = tmp_path_factory.mktemp("study")
    plan = Plan(out=out, quick=True, seeds=1, items=30, estimators=("dawid-skene",))
    sections = [policies(plan), theorem(plan)]
    for section in sections:
        path = kept(out, section, quick=True)
    return path, sections


def test_the_page_asks_nothing_of_anybody(made) -> None:
    """Pictures are inside; the only links are to its own parts."""
    text = made[0].read_text("utf-8")
    assert not ADDRESS.search(re.sub(r"data:image/png;base64,[\w+/=]+", "", text))
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert all(each.startswith(("data:", "#")) for each in outline.asked)
    assert sum(each.startswith("data:image/png") for each in outline.asked) == 6


def test_every_computed_sentence_table_and_choice_is_on_the_page(made) -> None:
    """And the parts stand in the paper's order, whatever was run first."""
    text = made[0].read_text("utf-8")
    outline = Outline()
    outline.feed(text)
    for section in made[1]:
        assert all(html.escape(sentence, quote=False) in text.replace("&#39;", "'") for sentence in section.found)
        for table in section.tables:
            assert all(cell in outline.cells for row in table.rows for cell in row if cell)
    assert text.index('id="theorem"') < text.index('id="policies"')
    assert "What the paper does not publish" in text


def test_what_was_left_out_is_on_the_page_with_its_reason_and_harmless(tmp_path: Path) -> None:
    """A reason may hold anything: it is text, never markup."""
    section = Section(
        "efficiency", "Figure 4: x", "asks", ("found",), (Table("t", ("a",), (("<b>1</b>",),)),),
        (Drawing("d", "shows", b"png"),), {}, {"haic": "<script>alert(1)</script>"},
    )  # fmt: skip
    text = kept(tmp_path, section, quick=False).read_text("utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "&lt;b&gt;1" in text


def test_the_page_is_made_of_what_is_kept(made) -> None:
    """Reading the folder again gives the same page, and its JSON holds the figures."""
    assert page(made[0].parent) == made[0].read_text("utf-8")
    rows = json.loads((made[0].parent / "theorem.json").read_text())["data"]["rows"]
    assert rows == [row._asdict() for row in theory.rows()]


def test_the_theorem_study_prints_table_2() -> None:
    """The printed digits of the paper, and a simulation within its own error of them."""
    found = theorem(Plan(quick=True))
    printed = [row[1:4] for row in found.tables[0].rows]
    assert printed == [
        ("0.50", "0.075", "0.150"), ("2.00", "0.120", "0.060"), ("4.50", "0.135", "0.030"),
        ("24.50", "0.147", "0.006"), ("49.50", "0.149", "0.003"), ("249.50", "0.150", "0.001"),
    ]  # fmt: skip
    assert [set(row) for row in found.data["rows"]] == [{"agents", "relative_error", "bias_trace", "naive_trace"}] * 6
    for row, drawn in zip(found.data["rows"], found.data["simulated"], strict=True):
        for name in ("relative_error", "bias_trace", "naive_trace"):
            assert abs(drawn[name] - row[name]) < 4 * drawn[f"{name}_se"]
