"""`quorate report` as a user runs it, and its page in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

WAIT_S = 600
WIDTHS = (1280, 390)
ATTACK = "</script><img src=x onerror=alert(1)>"


def quorate(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quorate", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=WAIT_S, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated campaign whose items have wicked contents and one a wicked name."""
    place = tmp_path_factory.mktemp("campaign")
    assert quorate("simulate", "data", "--world", "real-like", "--items", 200, cwd=place).returncode == 0
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = pq.read_table(place / "data" / "labels.parquet")
    names = dict.fromkeys(labels["item"].to_pylist())
    renamed = {name: f"{name} {ATTACK}" for name in names}
    for path in (place / "data").glob("*.parquet"):
        table = pq.read_table(path)
        items = pa.array([renamed[name] for name in table["item"].to_pylist()])
        pq.write_table(table.set_column(table.schema.get_field_index("item"), "item", items), path)
    contents = pa.table({"item": list(renamed.values()), "text": [f"<b>{name}</b> {ATTACK}" for name in names]})
    pq.write_table(contents, place / "data" / "items.parquet")
    return place


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    """What `quorate report --json` says; the page lies in `folder`."""
    done = quorate("report", "data", "--floor", 0.9, "--price", 0.08, "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


class Seen(NamedTuple):
    """What a browser had to say of a page."""

    page: Any
    said: list[str]  # on the console, and errors
    asked: list[str]  # addresses


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; the sandbox is the container's affair."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=WIDTHS)
def seen(request: pytest.FixtureRequest, browser: Any, report: dict[str, Any], folder: Path) -> Iterator[Seen]:
    """The page, drawn at one width, with all it said and asked."""
    context = browser.new_context(viewport={"width": request.param, "height": 900}, offline=True)
    found = Seen(context.new_page(), [], [])
    found.page.on("console", lambda message: found.said.append(message.text))
    found.page.on("pageerror", lambda error: found.said.append(str(error)))
    found.page.on("dialog", lambda dialog: found.said.append(f"dialog {dialog.message}"))
    found.page.on("request", lambda asked: found.asked.append(asked.url))
    found.page.goto((folder / report["page"]).as_uri())
    found.page.wait_for_function(
        "document.querySelectorAll('[data-drawn]').length === document.querySelectorAll('[data-figure]').length"
    )
    yield found
    context.close()


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_draws_itself_in_silence_and_asks_nobody(seen: Seen, folder: Path, report: dict[str, Any]) -> None:
    """No console message, no error, no dialog, no request but for the file itself; all figures are drawn."""
    assert seen.said == []
    assert seen.asked == [(folder / report["page"]).as_uri()]
    assert seen.page.locator(".plot .main-svg").count() >= 4
    assert seen.page.locator("img").count() == 0


@pytest.mark.slow
@pytest.mark.browser
def test_nothing_scrolls_sideways_but_wide_tables_in_their_own_boxes(seen: Seen) -> None:
    """At 1280 and 390 pixels, with every folded part open."""
    seen.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    width = seen.page.viewport_size["width"]
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    over = seen.page.evaluate(
        """() => [...document.querySelectorAll('body *')]
            .filter(each => !each.closest('.scroll, nav, svg, .plot'))
            .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
            .map(each => each.outerHTML.slice(0, 80))"""
    )
    assert over == []


@pytest.mark.slow
@pytest.mark.browser
def test_a_lead_reads_headline_and_three_figures_first(seen: Seen, report: dict[str, Any]) -> None:
    """One heading with money in it, above everything; figures, alternatives and tables have names for readers."""
    heading = seen.page.locator("h1")
    assert heading.count() == 1
    assert "$" in heading.inner_text()
    assert heading.inner_text().replace("\xa0", " ") == report["headline"]
    assert heading.bounding_box()["y"] < 300
    assert seen.page.locator(".cards .figure").count() == 3
    for label in seen.page.locator("[role=img]").all():
        assert label.get_attribute("aria-label")
    small = seen.page.evaluate(
        """() => [...document.querySelectorAll('p, td, th, li, dd')]
            .filter(each => parseFloat(getComputedStyle(each).fontSize) < 12).length"""
    )
    assert small == 0


@pytest.mark.slow
@pytest.mark.browser
def test_a_figure_answers_the_pointer(seen: Seen) -> None:
    """Hovering the curves says what a point costs."""
    box = seen.page.locator("#choices .plot")
    box.scroll_into_view_if_needed()
    area = box.locator(".nsewdrag").first.bounding_box()
    for share in (0.3, 0.4, 0.5, 0.6):
        for height in (0.1, 0.2, 0.3, 0.4):
            seen.page.mouse.move(area["x"] + share * area["width"], area["y"] + height * area["height"])
            seen.page.wait_for_timeout(60)
            if seen.page.locator("#choices .hoverlayer .hovertext").count():
                assert "$" in seen.page.locator("#choices .hoverlayer").text_content()
                assert seen.said == []
                return
    pytest.fail("no point of the curves answered")


@pytest.mark.slow
def test_pictures_and_figures_lie_beside_the_page(report: dict[str, Any], folder: Path) -> None:
    """PNG for slides, JSON for programs; the JSON printed is the one kept."""
    at = (folder / report["page"]).parent
    assert {path.name for path in at.iterdir()} == {
        "report.html", "report.json", "curves.png", "reliability.png", "models.png", "worth.png",
    }  # fmt: skip
    kept = json.loads((at / "report.json").read_text("utf-8"))
    assert kept == {name: value for name, value in report.items() if name != "page"}


@pytest.mark.slow
def test_for_people_it_says_the_same_in_eighty_columns(folder: Path, tmp_path: Path) -> None:
    """Headline, three figures and where the page is."""
    done = quorate("report", folder / "data", "--estimator", "dawid-skene", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "$" in lines[0]
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "written to report/report.html"


@pytest.mark.slow
def test_bad_options_say_what_is_wrong(tmp_path: Path) -> None:
    """One line, exit code 2, no page."""
    assert quorate("simulate", "data", "--items", 20, cwd=tmp_path).returncode == 0
    for option in (("--floor", 1.5), ("--estimator", "nobody")):
        done = quorate("report", "data", *option, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("quorate: ")
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "report").exists()
