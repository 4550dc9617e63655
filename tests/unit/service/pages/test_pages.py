"""Pages over a real socket, without scripts: every form does by itself what it says."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from quorate.store.items import NewItem, add_items
from quorate.store.overview import count_labels
from quorate.store.reading import read_campaign_page
from quorate.store.records import Settings
from quorate.store.tables import campaigns
from unit.service.pages.site import PASSWORD, Site, Visitor
from unit.store.world import SCHEMA

CSV = b"id,text,sentiment\n" + b"".join(
    f"r{i},text number {i},{'good' if i % 2 else 'bad'}\n".encode() for i in range(24)
)
ASKS = {"task": "tone", "classes": "good, bad", "task_column": "", "overlap": "2"}


def set_up(visitor: Visitor, name: str, file: bytes = CSV, file_name: str = "reviews.csv", **fields: str) -> int:
    """Make a campaign by the form; its id."""
    answer = visitor.post("/campaigns/new", {**ASKS, "name": name, **fields}, files={"file": (file_name, file)})
    assert answer.status_code == 200, re.findall(r'role="alert"[^>]*>([^<]*)', answer.text)
    return int(answer.url.split("/")[-2])


def hidden(page: str) -> dict[str, str]:
    """The fields of the answers' form that are not shown."""
    form = page[page.index('id="answers"') :]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))


def test_who_is_not_signed_in_is_led_to_the_login_and_back(site: Site):
    """The address asked for is where the login leads, and no other site is."""
    with site.http() as http:
        asked = http.get("/campaigns/1/work?said=late", allow_redirects=False)
        assert asked.status_code == 303
        assert asked.headers["location"] == "/login?next=%2Fcampaigns%2F1%2Fwork%3Fsaid%3Dlate"
        for where in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
            answer = http.post(
                "/login", data={"name": "ada", "password": PASSWORD, "next": where}, allow_redirects=False
            )
            assert answer.headers["location"] == "/"


def test_a_wrong_password_is_told_and_opens_nothing(site: Site):
    """401, the name stays in the form, no cookie is set."""
    with site.http() as http:
        answer = http.post("/login", data={"name": "ada", "password": "guess"})
        assert answer.status_code == 401
        assert "do not belong together" in answer.text
        assert 'value="ada"' in answer.text
        assert not answer.cookies


def test_a_form_from_another_site_is_refused(site: Site):
    """Without the text against forgery, or with another origin, nothing is done."""
    visitor = site.visitor("ada")
    assert visitor.http.post("/account/tokens", data={"name": "x"}).status_code == 403
    elsewhere = {"origin": "https://evil.example"}
    assert visitor.post("/account/tokens", {"name": "x"}, headers=elsewhere).status_code == 403


def test_a_campaign_is_set_up_from_a_file_and_asks_at_once(site: Site):
    """All items are there, it runs, and the maker sees the first question."""
    visitor = site.visitor("lea")
    campaign = set_up(visitor, "set up")
    page = visitor.get(f"/campaigns/{campaign}/work").text
    assert 'value="good"' in page
    assert "24 items" in page
    with site.service.database.reading() as connection:
        assert read_campaign_page(connection, campaign).campaign.state == "running"


def test_columns_are_guessed(site: Site):
    """The id column, the columns shown, and the task with its classes."""
    visitor = site.visitor("lea")
    answer = visitor.post("/campaigns/new/look", files={"file": ("reviews.csv", CSV)}).text
    assert "<b>24</b> rows" in answer
    assert '<option value="id" selected>' in answer
    assert 'name="shown" value="text" checked' in answer
    assert 'name="shown" value="sentiment">' in answer
    assert 'value="bad, good"' in answer


@pytest.mark.parametrize(
    ("fields", "file", "name", "told"),
    [
        ({}, b"", "empty.csv", "no rows"),
        ({}, b"a\n1,2\n", "bad.csv", "cells"),
        ({}, b"\x00\xff\xfe", "bytes.csv", "UTF-8"),
        ({}, b"x", "x.html", "no table"),
        ({"classes": "one"}, CSV, "r.csv", "fewer than two answers"),
        ({"task": "", "classes": ""}, CSV, "r.csv", "no question"),
        ({"classes": "a, a"}, CSV, "r.csv", "twice"),
        ({"overlap": "0"}, CSV, "r.csv", "between 1 and 50"),
        ({"budget": "much"}, CSV, "r.csv", "is a number"),
        ({"id_column": "id"}, b"id,text\n1,a\n1,b\n", "r.csv", "there twice"),
    ],
)
def test_what_cannot_be_set_up_is_told_and_leaves_nothing(site: Site, fields, file, name, told):
    """422 with words; no campaign is made, not even half of one."""
    visitor = site.visitor("lea")
    with site.service.database.reading() as connection:
        before = connection.execute(select(campaigns.c.id)).all()
    answer = visitor.post("/campaigns/new", {**ASKS, "name": "never", **fields}, files={"file": (name, file)})
    assert answer.status_code == 422
    assert told in answer.text
    with site.service.database.reading() as connection:
        assert connection.execute(select(campaigns.c.id)).all() == before


def test_work_goes_on_without_scripts(site: Site):
    """Answer, answer again by the same form, skip, undo: plain forms do what keys do, and nothing is counted twice."""
    visitor = site.visitor("lea")
    campaign = set_up(visitor, "plain forms")
    path = f"/campaigns/{campaign}/work"

    def mine() -> int:
        with site.service.database.reading() as connection:
            return count_labels(connection, campaign, site.ids["lea"])

    first = hidden(visitor.get(path).text)
    sent = {**first, "answer0": "good", "do": "submit"}
    second = visitor.post(path, sent)
    assert mine() == 1
    visitor.post(path, sent)  # the back button, or a double click
    assert mine() == 1
    assert hidden(second.text)["lease"] != first["lease"]
    visitor.post(path, {**hidden(second.text), "do": "skip"})
    assert mine() == 1
    undone = visitor.post(path, {**hidden(second.text), "do": "undo"})
    assert mine() == 0
    assert "Taken back" in undone.text
    assert hidden(undone.text)["trail"] == ""
    unfit = visitor.post(path, {**hidden(undone.text), "do": "submit"})
    assert "choose an answer first" in unfit.text
    assert mine() == 0


def test_a_seat_that_is_gone_is_told_plainly(site: Site):
    """An answer under a lease of somebody else, or none, is refused in words and the next item is shown."""
    visitor = site.visitor("lea")
    path = f"/campaigns/{set_up(visitor, 'gone')}/work"
    fields = {**hidden(visitor.get(path).text), "lease": "A" * 32, "answer0": "good"}
    answer = visitor.post(path, fields)
    assert answer.status_code == 200
    assert "was not kept" in answer.text
    assert 'class="item panel"' in answer.text


def test_only_open_tasks_are_shown_and_nothing_of_peers(site: Site):
    """A task that is known is not asked; no label, score, name or count of anybody else is in the page."""

    def make(connection):
        from quorate.store.campaigns import add_campaign, change_state
        from quorate.store.people import add_member

        made = add_campaign(connection, "blind", SCHEMA, settings=Settings(overlap=2, together=2), now=0.0)
        for name in ("ann", "bob"):
            add_member(connection, made.id, site.ids[name])
        scores = {"tone": {"secret-model": {"good": 0.875, "bad": 0.125}}}
        items = [NewItem("only", {"text": "words"}, scores=scores)]
        add_items(connection, made, items, now=0.0)
        change_state(connection, made.id, "running", version=made.version, now=0.0)
        return made.id

    path = f"/campaigns/{site.service.database.write(make)}/work"
    ann, bob = site.visitor("ann"), site.visitor("bob")
    ann.post(path, {**hidden(ann.get(path).text), "answer0": "good", "answer1": "staff", "do": "submit"})
    page = bob.get(path).text
    assert "words" in page
    for secret in ("secret-model", "0.875", "ann", "suggested"):
        assert secret not in page.replace("annotator", "").replace("cannot", "")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/campaigns/new", {"ada", "lea"}),
        ("/campaigns/{of_lea}", {"ada", "lea"}),
        ("/campaigns/{of_lea}/board", {"ada", "lea"}),
        ("/campaigns/{of_lea}/people", {"ada", "lea"}),
        ("/campaigns/{of_lea}/work", {"lea"}),
        ("/campaigns/99999", set()),
        ("/campaigns/x", set()),
        ("/account", {"ada", "lea", "ann", "rea"}),
    ],
)
def test_pages_open_for_whom_they_are(site: Site, path: str, allowed: set[str], of_lea: int):
    """Others are told 403 or 404, in a page."""
    for name in ("ada", "lea", "ann", "rea"):
        visitor = site.visitor(name)
        answer = visitor.get(path.format(of_lea=of_lea))
        assert (answer.status_code == 200) == (name in allowed), (name, answer.status_code)
        assert answer.status_code in {200, 403, 404}
        assert answer.headers["content-type"].startswith("text/html")


@pytest.fixture(scope="module")
def of_lea(site: Site) -> int:
    """A campaign of which lea alone is a member."""
    return set_up(site.visitor("lea"), "of lea")


def test_people_are_added_and_removed(site: Site, of_lea: int):
    """An owner makes an account whose password opens; a lead adds and removes; a lead makes no accounts."""
    path = f"/campaigns/{of_lea}/people"
    owner, lead = site.visitor("ada"), site.visitor("lea")
    made = owner.post(path, {"do": "make", "name": "new <b>one</b>", "role": "annotator"}).text
    password = re.findall(r'class="secret">([^<]+)<', made)[0]
    assert "new <b>one" not in made
    with site.http() as http:
        answer = http.post("/login", data={"name": "new <b>one</b>", "password": password, "next": "/"})
        assert "Sign out" in answer.text
    assert lead.post(path, {"do": "make", "name": "other", "role": "annotator"}).status_code == 422
    lead.post(path, {"do": "add", "user": str(site.ids["rea"])})
    assert ">rea</th>" in lead.get(path).text
    lead.post(path, {"do": "remove", "user": str(site.ids["rea"])})
    assert ">rea</th>" not in lead.get(path).text


def test_a_dashboard_that_has_not_changed_is_not_sent_again(site: Site, of_lea: int):
    """The fragment's tag answers 304 until something happens."""
    visitor = site.visitor("lea")
    visitor.get(f"/campaigns/{of_lea}/work")
    tags = set()
    for _ in range(3):  # within half a minute the times in it change once at most
        answer = visitor.get(f"/campaigns/{of_lea}/board")
        tags.add(answer.headers["etag"])
        again = visitor.get(f"/campaigns/{of_lea}/board", headers={"if-none-match": answer.headers["etag"]})
        if again.status_code == 304:
            break
    else:
        raise AssertionError(tags)
    path = f"/campaigns/{of_lea}/work"
    visitor.post(path, {**hidden(visitor.get(path).text), "answer0": "good", "do": "submit"})
    after = visitor.get(f"/campaigns/{of_lea}/board", headers={"if-none-match": answer.headers["etag"]})
    assert after.status_code == 200


def test_the_state_is_changed_by_its_buttons(site: Site):
    """Pause and go on; what cannot follow is told."""
    visitor = site.visitor("lea")
    campaign = set_up(visitor, "states")
    assert "Paused" in visitor.post(f"/campaigns/{campaign}/state", {"state": "paused"}).text
    assert "is paused" in visitor.get(f"/campaigns/{campaign}/work").text
    assert visitor.post(f"/campaigns/{campaign}/state", {"state": "draft"}).status_code == 409
    assert visitor.post(f"/campaigns/{campaign}/state", {"state": "nonsense"}).status_code == 422


def test_a_token_is_shown_once_and_can_be_made_void(site: Site):
    """The token opens the API, is not in the next page, and opens no more once revoked."""
    visitor = site.visitor("bob")
    page = visitor.post("/account/tokens", {"name": "notebook", "days": "30"}).text
    token = re.findall(r'class="secret">(qr_[^<]+)<', page)[0]
    bearer = {"authorization": f"Bearer {token}"}
    script = site.http()
    assert script.get("/api/v1/me", headers=bearer).json()["name"] == "bob"
    page = visitor.get("/account").text
    assert token not in page
    visitor.post(re.findall(r'action="(/account/tokens/\d+/revoke)"', page)[0])
    assert script.get("/api/v1/me", headers=bearer).status_code == 401
    script.__exit__()


def test_assets_are_kept_forever_under_their_digest_only(site: Site):
    """The address in a page is immutable; other addresses of the folder lead nowhere."""
    visitor = site.visitor("bob")
    address = re.findall(r'href="(/static/[^"]+quorate\.css)"', visitor.get("/").text)[0]
    assert "immutable" in visitor.get(address).headers["cache-control"]
    assert "immutable" not in visitor.get("/static/old/quorate.css").headers.get("cache-control", "")
    for path in ("/static/x/../rendering.py", "/static/x/%2e%2e%2frendering.py", "/static/x/none.js"):
        assert visitor.get(path).status_code == 404


def test_pictures_are_fetched_for_their_holder_alone_and_never_from_inside(site: Site):
    """An item's address into our own network is refused; a field that is no picture is not fetched at all."""
    visitor, other = site.visitor("lea"), site.visitor("bob")
    file = f'{{"image": "{site.url}/healthz.png", "text": "look"}}'.encode()
    path = f"/campaigns/{set_up(visitor, 'pictures', file, 'p.jsonl')}/work"
    page = visitor.get(path).text
    source = re.findall(r'<img src="(/leases/[^"]+)"', page)[0].replace("&amp;", "&")
    assert visitor.get(source).status_code == 404
    assert visitor.get(source.replace("name=image", "name=text")).status_code == 404
    assert other.get(source).status_code == 404
