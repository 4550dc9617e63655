"""Contents, Markdown and figures before they become a page."""

from __future__ import annotations

import pytest

from quorate.service.pages.charts import curve_of
from quorate.service.pages.content import blocks_of
from quorate.service.pages.markup import as_html
from quorate.store.over_time import Step


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        ({"image": "https://example.org/a?b=c"}, ["picture"]),
        ({"photo_1": "http://example.org/a.JPG"}, ["picture"]),
        ({"image": "data:image/png;base64,AA=="}, ["picture"]),
        ({"image": "data:text/html,<script>"}, ["text"]),
        ({"image": "javascript:alert(1)"}, ["text"]),
        ({"image": "file:///etc/passwd"}, ["text"]),
        ({"page": "https://example.org/a.html"}, ["text"]),
        ({"messages": [{"role": "user", "content": "hi"}, {"role": "bot", "content": "ho"}]}, ["chat"]),
        ({"messages": [{"role": "user"}], "a": 1}, ["rows"]),
        ({"text": "t", "n": 1, "m": None}, ["text", "rows"]),
        ({"long": "x" * 100, "deep": {"a": [1]}}, ["text", "rows"]),
        ({}, []),
    ],
)
def test_a_content_is_shown_as_what_it_is(content, kinds):
    """Pictures, conversations and texts stand by themselves, all else is a table; what is no picture is never one."""
    assert [block.kind for block in blocks_of(content)] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "![x](https://example.org/a.png)",
        '<https://example.org/"onmouseover=alert(1)>',
        '[x](https://example.org "t\\" onclick=alert(1)")',
        "<a href='javascript:alert(1)'>x</a>",
    ],
)
def test_markdown_brings_no_script_no_markup_and_no_request(text: str):
    """No tag of the writer's own, no address but of the web, no picture that is loaded."""
    found = str(as_html(text))
    assert "<script" not in found
    assert "<img" not in found
    assert " onclick=alert" not in found.replace("&quot;", '"').split("title=")[0]
    assert 'href="javascript' not in found.lower()
    assert 'href="data' not in found.lower()
    assert 'href="vbscript' not in found.lower()


def test_links_lead_outside_safely():
    """They open beside, and tell nothing of us."""
    assert 'rel="noopener noreferrer nofollow"' in as_html("[x](https://example.org)")


def test_the_curve_stays_in_its_frame():
    """All points lie in the drawing, the last at the right; two equal times draw nothing."""
    curve = curve_of([Step(0.0, 9, 0), Step(5.0, 4, 6), Step(10.0, 0, 12)])
    assert curve is not None
    assert curve.line == "M0.0 22.0 L500.0 132.0 L1000.0 220.0"
    assert curve.labels.endswith("L1000.0 0.0")
    assert curve_of([Step(1.0, 1, 1), Step(1.0, 1, 1)]) is None
