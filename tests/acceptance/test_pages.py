"""The pages in a real Chromium: from a file to twenty answers by keyboard, on a desk and on a phone, in silence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from quorate.service.offer import Offer
from quorate.store.campaigns import add_campaign, change_campaign, change_state
from quorate.store.items import NewItem, add_items
from quorate.store.overview import count_labels
from quorate.store.people import add_member, add_user
from quorate.store.records import Settings
from unit.service.pages.site import PASSWORD, Site, running_site
from unit.store.world import SCHEMA

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 860}
ROWS = [f"r{i},The {i}. review was short.,{'good' if i % 3 else 'bad'}" for i in range(40)]
CSV = "\n".join(["id,text,sentiment", *ROWS])
ALARM = "window.alarmed = 1"
CORPUS = (
    f"<script>{ALARM}</script>",
    f'<img src=x onerror="{ALARM}">',
    f'<svg onload="{ALARM}"></svg>',
    f'"><script>{ALARM}</script>',
    f"' onfocus='{ALARM}' autofocus='",
    f"javascript:{ALARM}",
    f"</textarea><script>{ALARM}</script>",
    f"</title><script>{ALARM}</script>",
    f"{{{{ ''.__class__ }}}}<script>{ALARM}</script>",
    f'<iframe srcdoc="<script>parent.{ALARM}</script>"></iframe>',
    f'<a href="javascript:{ALARM}">x</a>',
    f"<style>@import 'javascript:{ALARM}'</style>",
    f'<math><mtext><table><mglyph><style><img src=x onerror="{ALARM}">',
    f"<template><script>{ALARM}</script></template>",
)  # fmt: skip


class Seen(NamedTuple):
    """A tab, with all it said and asked."""

    page: Any
    said: list[str]
    asked: list[str]


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


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A service of its own."""
    with running_site(tmp_path, offer=Offer(("gpt-4o-mini", "m" * 120), "http://127.0.0.1:9/v1")) as found:
        yield found


def opened(browser: Any, site: Site, name: str, **options: Any) -> Seen:
    """A tab in which that person has signed in."""
    context = browser.new_context(**{"viewport": DESK, **options})
    seen = Seen(context.new_page(), [], [])
    seen.page.set_default_timeout(10_000)
    seen.page.on("console", lambda message: seen.said.append(message.text))
    seen.page.on("pageerror", lambda error: seen.said.append(str(error)))
    seen.page.on("dialog", lambda dialog: seen.said.append(f"dialog {dialog.message}"))
    seen.page.on("request", lambda asked: seen.asked.append(asked.url))
    seen.page.goto(site.url + "/")
    seen.page.fill("[name=name]", name)
    seen.page.fill("[name=password]", PASSWORD)
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_url(site.url + "/")
    return seen


def running(
    site: Site, name: str = "reviews", items: list[NewItem] | None = None, guidelines: str = "", **settings
) -> int:
    """A running campaign of ann and lea."""

    def make(connection):
        made = add_campaign(connection, name, SCHEMA, settings=Settings(**settings), guidelines=guidelines, now=0.0)
        for member in ("ann", "lea"):
            add_member(connection, made.id, site.ids[member])
        rows = items or [NewItem(f"i{i}", {"text": f"text {i}"}) for i in range(20)]
        add_items(connection, made, rows, now=0.0)
        change_state(connection, made.id, "running", version=made.version, now=0.0)
        return made.id

    return site.service.database.write(make)


def lease_of(page: Any) -> str:
    """The lease of the item in hand."""
    return page.get_attribute("#answers", "data-lease")


def answer(page: Any, *keys: str) -> None:
    """Press the keys, and wait for the next item."""
    before = lease_of(page)
    for key in (*keys, "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector(f'#answers:not([data-lease="{before}"])')


def labels(site: Site, campaign: int, name: str) -> int:
    """Labels of that person that stand."""
    with site.service.database.reading() as connection:
        return count_labels(connection, campaign, site.ids[name])


def keep(page: Any, name: str, **options: Any) -> None:
    """A picture for who wants to look, where `QUORATE_SCREENSHOTS` names a folder."""
    folder = os.environ.get("QUORATE_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", **options)


def test_from_a_file_to_twenty_answers_by_keyboard_and_the_dashboard_moves(browser: Any, site: Site, tmp_path: Path):
    """A table is dropped, columns and classes are guessed, twenty items are answered by keys, and the lead sees it."""
    (tmp_path / "reviews.csv").write_text(CSV)
    seen = opened(browser, site, "lea")
    page = seen.page
    page.click("text=New campaign")
    page.set_input_files("input[type=file]", tmp_path / "reviews.csv")
    page.wait_for_selector(".found")
    assert page.input_value("[name=task]") == "sentiment"
    assert page.input_value("[name=classes]") == "bad, good"
    page.fill("[name=guidelines]", "Judge the **words**.")
    keep(page, "setup", full_page=True)
    page.click("[data-go]")
    page.wait_for_selector(".question.active")
    campaign = int(page.url.split("/")[-2])
    board = page.context.new_page()
    board.goto(f"{site.url}/campaigns/{campaign}")
    assert board.inner_text("[data-figure=labels]") == "0 labels"
    page.bring_to_front()
    for item in range(20):
        answer(page, "12"[item % 2])
    keep(page, "work")
    assert page.inner_text(".progress b") == "20 answers"
    assert labels(site, campaign, "lea") == 20
    board.bring_to_front()
    board.wait_for_selector("[data-figure=labels]:has-text('20 labels')")
    assert board.locator(".curve svg").count() == 1
    keep(board, "board", full_page=True)
    page.keyboard.press("u")
    page.wait_for_selector("[data-notice]")
    assert labels(site, campaign, "lea") == 19
    assert seen.said == []
    assert all(url.startswith((site.url, "data:")) for url in seen.asked)
    page.context.close()


def test_keys_do_what_the_help_says(browser: Any, site: Site):
    """Numbers answer the marked question and go on, arrows and letters move, s skips, g folds, ? helps, a submits."""
    campaign = running(site, guidelines="Read *twice*.")
    seen = opened(browser, site, "ann")
    page = seen.page
    page.goto(f"{site.url}/campaigns/{campaign}/work")
    marked = "[...document.querySelectorAll('.question')].findIndex(each => each.classList.contains('active'))"
    page.keyboard.press("1")
    assert page.evaluate(marked) == 1
    page.keyboard.press("ArrowUp")
    assert page.evaluate(marked) == 0
    page.keyboard.press("j")
    assert page.evaluate(marked) == 1
    page.keyboard.press("Enter")  # one is open: nothing is sent
    page.wait_for_selector(".question.missing")
    assert labels(site, campaign, "ann") == 0
    before = lease_of(page)
    page.keyboard.press("s")
    page.wait_for_selector(f'#answers:not([data-lease="{before}"])')
    page.keyboard.press("g")
    assert page.get_attribute("#guidelines", "open") is None
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("1")  # the help is open: no answer
    page.keyboard.press("Escape")
    assert page.locator(":checked").count() == 0
    page.keyboard.press("a")
    before = lease_of(page)
    page.keyboard.press("2")
    page.keyboard.press("3")
    page.wait_for_selector(f'#answers:not([data-lease="{before}"])')
    assert labels(site, campaign, "ann") == 2
    assert seen.said == []
    page.context.close()


def test_an_answer_survives_a_lost_connection_and_a_reload(browser: Any, site: Site):
    """It is kept and sent again under the same key: one label, whether or not the first request arrived."""
    campaign = running(site)
    seen = opened(browser, site, "ann")
    page = seen.page
    page.goto(f"{site.url}/campaigns/{campaign}/work")
    before = lease_of(page)
    arrived = []

    def lose(route):  # the server hears it, the browser does not hear back
        arrived.append(route.fetch())
        route.abort()

    page.route("**/work", lose, times=1)
    page.keyboard.press("1")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_selector("#network:not([hidden])")
    assert "kept" in page.inner_text("#network")
    page.reload()
    page.wait_for_selector(f'#answers:not([data-lease="{before}"])')
    page.wait_for_selector("#network", state="hidden")
    assert len(arrived) == 1
    assert labels(site, campaign, "ann") == 2
    page.context.close()


def test_a_lease_is_renewed_while_somebody_is_there_and_its_end_is_told(browser: Any, site: Site):
    """With leases of six seconds one that is used lasts longer; one whose end came is told, and a late answer kept."""
    campaign = running(site, lease_s=6.0)
    seen = opened(browser, site, "ann")
    page = seen.page
    page.goto(f"{site.url}/campaigns/{campaign}/work")
    renewed = page.expect_response(lambda answer: answer.url.endswith("/renew"))
    with renewed as found:
        page.mouse.move(50, 50)
    assert found.value.status == 200
    page.route("**/renew", lambda route: route.abort())
    page.wait_for_selector(".notice.warn", timeout=15_000)
    assert "has ended" in page.inner_text(".notice.warn")
    answer(page, "1", "1")
    assert "marked as late" in page.inner_text("[data-notice]")
    assert labels(site, campaign, "ann") == 2
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_no_page_scrolls_sideways_and_all_words_can_be_read(browser: Any, site: Site, size, scheme):
    """At 390 and 1280 pixels, dark and light: nothing is wider than the page, and contrast is 4.5 or more."""
    long = [NewItem("x" * 200, {"text": "w" * 300, "u" * 80: "v" * 200, "n": 1})]
    campaign = running(site, "c" * 100, long, guidelines="`" + "g" * 200 + "`\n\n| a | b |\n|---|---|\n| c | d |")
    seen = opened(browser, site, "lea", viewport=size, color_scheme=scheme, is_mobile=size is PHONE)
    page = seen.page
    where = {"home": "", "work": f"campaigns/{campaign}/work", "board": f"campaigns/{campaign}"}
    where |= {"people": f"campaigns/{campaign}/people", "setup": "campaigns/new", "account": "account"}
    where |= {"settings": f"campaigns/{campaign}/settings"}
    for name, path in where.items():
        page.goto(f"{site.url}/{path}")
        page.wait_for_selector("main")
        keep(page, f"{name}-{size['width']}-{scheme}", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
        assert page.evaluate(CONTRAST) == [], name
    assert seen.said == []
    page.context.close()


def test_all_controls_have_names_and_focus_shows(browser: Any, site: Site):
    """Every control has a name for who does not see it; whatever the tab key reaches has an outline."""
    campaign = running(site, guidelines="g")
    page = opened(browser, site, "lea").page
    for path in (
        f"campaigns/{campaign}/work",
        f"campaigns/{campaign}",
        f"campaigns/{campaign}/people",
        f"campaigns/{campaign}/settings",
        "campaigns/new",
    ):
        page.goto(f"{site.url}/{path}")
        assert page.evaluate(UNNAMED) == [], path
    page.goto(f"{site.url}/campaigns/{campaign}/work")
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate(OUTLINED), page.evaluate("document.activeElement.outerHTML")
    page.context.close()


def test_what_people_write_is_inert_everywhere(browser: Any, site: Site):
    """Texts, names, classes, guidelines and file names that would run, do not run; nothing is asked of anybody else."""
    evil = [
        NewItem(f"e{i}{text[:60]}", {"text": text, f"k{text[:80]}": text, "image": text})
        for i, text in enumerate(CORPUS)
    ]
    drawing = "<svg xmlns='http://www.w3.org/2000/svg' onload='parent.alarmed=1'><script>1</script></svg>"
    items = [*evil, NewItem("svg", {"image": f"data:image/svg+xml;utf8,{drawing}"})]
    campaign = running(site, CORPUS[0], items, guidelines="\n\n".join(CORPUS), overlap=2)

    def name_them(connection):
        for text in CORPUS:
            made = add_user(connection, text[:190], "annotator", now=0.0)
            add_member(connection, campaign, made.id, [text[:100]])
        change_campaign(connection, campaign, {"budget": 10.0}, version=2, now=0.0)

    site.service.database.write(name_them)
    for name in ("ann", "lea"):
        seen = opened(browser, site, name)
        page = seen.page
        page.goto(f"{site.url}/campaigns/{campaign}/work")
        for item in range(len(evil) + 1):
            page.wait_for_timeout(30)
            assert page.evaluate("window.alarmed || 0") == 0
            assert page.locator("main script, main iframe, main [onerror], main [onload], main style").count() == 0
            if item < len(evil):
                answer(page, "12"[(item + len(name)) % 2] if name == "lea" else "1", "1")
        if name == "lea":
            own = [f"campaigns/{campaign}{part}" for part in ("", "/people", "/settings")]
            for path in (*own, "", "campaigns/99"):
                page.goto(f"{site.url}/{path}")
                page.wait_for_timeout(100)
                assert page.evaluate("window.alarmed || 0") == 0
                assert page.locator("main script, main iframe, main [onerror], main [onload]").count() == 0
            page.goto(f"{site.url}/campaigns/new")
            file = {"name": "<img src=x onerror=alert(1)>.csv", "mimeType": "text/html", "buffer": _table(CORPUS)}
            page.set_input_files("input[type=file]", file)
            page.wait_for_selector(".found")
            page.wait_for_timeout(100)
            assert page.evaluate("window.alarmed || 0") == 0
        assert not [line for line in seen.said if "dialog" in line or "Refused" in line or "violates" in line]
        assert all(url.startswith((site.url, "data:")) for url in seen.asked)
        page.context.close()


def _table(texts: tuple[str, ...]) -> bytes:
    import csv
    import io

    out = io.StringIO()
    csv.writer(out).writerows([["id", texts[0]], *([str(i), text] for i, text in enumerate(texts))])
    return out.getvalue().encode()


CONTRAST = """() => {
  const parse = (text) => {
    const n = text.match(/[\\d.]+/g).map(Number);
    const unit = text.startsWith('color(srgb') ? 255 : 1;
    return [n[0] * unit, n[1] * unit, n[2] * unit, n[3] ?? 1];
  };
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v / 255 <= .03928 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c[3] > .99) return c;
    }
    return [255, 255, 255, 1];
  };
  const bad = [];
  for (const each of document.querySelectorAll('body *')) {
    const own = [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !each.offsetParent || each.closest('svg, [hidden], .sr, .skip, :disabled, template')) continue;
    const [a, b] = [light(parse(getComputedStyle(each).color)), light(ground(each))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push(`${each.outerHTML.slice(0, 80)} ${ratio.toFixed(2)}`);
  }
  return bad;
}"""
UNNAMED = """() => {
  const said = (each) => each.getAttribute('aria-label') || each.textContent.trim()
    || [...(each.labels || [])].some((label) => label.textContent.trim());
  const controls = 'main button, main a, main input:not([type=hidden], [hidden]), main select, main textarea';
  return [...document.querySelectorAll(controls)]
    .filter((each) => !each.closest('template') && !said(each))
    .map((each) => each.outerHTML.slice(0, 120));
}"""
OUTLINED = """() => {
  const each = document.activeElement;
  return [each, each.closest('.choice') || each].some((one) => getComputedStyle(one).outlineStyle !== 'none');
}"""
