"""Policy, prices, budget, models and scores are changed on a page: what does not fit is said beside its field."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from quorate.policy.stopping import PerTaskConfidence
from quorate.service.offer import Offer
from quorate.store.campaigns import add_campaign, change_campaign, change_state, read_campaign
from quorate.store.items import NewItem, add_items
from quorate.store.log import read_events
from quorate.store.people import add_member
from quorate.store.reading import read_item, scores_of_item
from quorate.store.tables import audit
from unit.service.pages.site import Site, running_site
from unit.store.world import SCHEMA

SCORES = "item,task,model,label,score\n" + "".join(
    f"i{i},tone,m,{label},{score}\n" for i in range(3) for label, score in (("good", 0.75), ("bad", 0.25))
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service that offers two models."""
    with running_site(
        tmp_path_factory.mktemp("site"), offer=Offer(("small", "large"), "http://127.0.0.1:9/v1")
    ) as made:
        yield made


@pytest.fixture
def campaign(site: Site) -> int:
    """A running campaign of lea's and ann's."""

    def make(connection: Any) -> int:
        made = add_campaign(connection, f"reviews {secrets.token_hex(4)}", SCHEMA, now=0.0)
        for name in ("lea", "ann"):
            add_member(connection, made.id, site.ids[name])
        add_items(connection, made, [NewItem(f"i{i}", {"text": f"text {i}"}) for i in range(3)], now=0.0)
        change_state(connection, made.id, "running", version=1, now=0.0)
        return made.id

    return site.service.database.write(make)


def path_of(campaign: int, what: str = "settings") -> str:
    return f"/campaigns/{campaign}/{what}"


def fields_of(page: str) -> dict[str, Any]:
    """What a browser would send of the form as it is."""
    form = page[page.index('class="setup"') : page.index('id="scores"')]
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name = re.search(r'\bname="(\w+)"', tag)
        value = re.search(r'\bvalue="([^"]*)"', tag)
        if name and name[1] != "csrf" and ("checkbox" not in tag or "checked" in tag):
            found.setdefault(name[1], []).append(value[1] if value else "")
    for name, body in re.findall(r'<select name="(\w+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', body) or re.search(r'value="([^"]*)"', body)
        found[name] = [chosen[1]] if chosen else []
    return found


def wrong_in(page: str) -> dict[str, str]:
    """Field to what is said beside it."""
    return dict(re.findall(r'class="wrong" id="wrong-([\w-]+)">([^<]*)<', page))


def send(site: Site, campaign: int, who: str = "lea", **changes: Any) -> Any:
    """The form as it stands with some fields changed."""
    visitor = site.visitor(who)
    fields = fields_of(visitor.get(path_of(campaign)).text) | {
        name: value if isinstance(value, list) else [value] for name, value in changes.items()
    }
    return visitor.post(path_of(campaign), {name: value for name, value in fields.items() if value is not None})


def standing(site: Site, campaign: int) -> Any:
    with site.service.database.reading() as connection:
        return read_campaign(connection, campaign)


def test_what_was_changed_holds_and_nothing_else(site: Site, campaign: int):
    """Policy, prices, budget and models by one form; each change is in the audit log, and the rest stays."""
    before = standing(site, campaign)
    sent = send(
        site,
        campaign,
        policy="per-task-confidence",
        confidence="0.9",
        own=["0.98", ""],
        price="0,05",
        of_task=["", "0.1"],
        of_annotator=["", "0.2"],
        budget="100",
        overlap="5",
        model=["small"],
        model_cap="2.5",
    )
    assert "It is changed" in sent.text
    after = standing(site, campaign)
    assert after.policy == json.loads(PerTaskConfidence(0.9, {"tone": 0.98}).to_json())
    assert after.prices == {"label": 0.05, "of_task": {"topic": 0.1}, "of_annotator": {"ann": 0.2}}
    assert (after.budget, after.settings.overlap, after.policy_version) == (100.0, 5, before.policy_version + 1)
    assert (after.settings.labeler.models, after.settings.labeler.cap_usd) == (("small",), 2.5)
    assert (after.settings.blind, after.settings.together, after.name) == (True, 5, before.name)
    with site.service.database.reading() as connection:
        rows = connection.execute(select(audit).where(audit.c.target == f"campaign {campaign}")).all()
    last = max(rows, key=lambda row: row.id)
    assert (last.user_id, last.action) == (site.ids["lea"], "campaign changed")
    assert last.detail == {"what": ["budget", "policy", "prices", "settings"]}
    assert "Nothing was different" in send(site, campaign).text
    assert standing(site, campaign).version == after.version


def test_what_is_emptied_is_gone(site: Site, campaign: int):
    """No budget, no price of its own, no models."""
    send(site, campaign, budget="5", price="1", of_task=["2", ""], model=["small", "large"], model_cap="1")
    assert standing(site, campaign).settings.labeler is not None
    send(site, campaign, budget="", price="", of_task=["", ""], model=None)
    after = standing(site, campaign)
    assert after.budget is None
    assert after.prices == {"label": 0.0, "of_task": {}, "of_annotator": {}}
    assert after.settings.labeler is None


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("confidence", "high", "A number from 0.5 to 0.999."),
        ("confidence", "1.5", "A number from 0.5 to 0.999."),
        ("confidence", "", "A number from 0.5 to 0.999."),
        ("overlap", "2.5", "A whole number from 1 to 1000."),
        ("overlap", "", "A whole number from 1 to 1000."),
        ("price", "-1", "An amount of 0 or more."),
        ("budget", "nan", "An amount of 0 or more."),
        ("of_task", ["1", "x"], "An amount of 0 or more."),
        ("policy", "guess", "Choose one of these."),
        ("model", "huge", "Huge is not offered here."),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field_and_nothing_is_kept(site: Site, campaign: int, field, value, says):
    """422, the words beside the field, all that was typed still there; nothing of the form is kept."""
    before = standing(site, campaign)
    sent = send(site, campaign, **{"price": "0.25", "model_cap": "1", field: value})
    assert sent.status_code == 422
    found = wrong_in(sent.text)
    assert [text for name, text in found.items() if name.partition("-")[0] == field] == [says]
    assert f'aria-describedby="wrong-{field}' in sent.text
    assert 'name="price"' in sent.text
    assert field == "price" or 'value="0.25"' in sent.text
    assert standing(site, campaign) == before


def test_models_need_a_cap(site: Site, campaign: int):
    """Without one nothing is kept; the words say what is missing."""
    sent = send(site, campaign, model="small", model_cap="")
    assert wrong_in(sent.text) == {"model_cap": "Say how many US dollars they may cost in all."}


def test_of_two_who_change_it_the_second_sees_what_the_first_did(site: Site, campaign: int):
    """409, the form as it stands now; nothing is lost unseen."""
    visitor = site.visitor("lea")
    stale = fields_of(visitor.get(path_of(campaign)).text)
    send(site, campaign, "ada", budget="7")
    sent = visitor.post(path_of(campaign), stale | {"budget": ["9"]})
    assert sent.status_code == 409
    assert "Somebody else has changed the campaign meanwhile" in sent.text
    assert fields_of(sent.text)["budget"] == ["7"]
    assert standing(site, campaign).budget == 7.0


def test_a_policy_that_the_form_cannot_say_stays(site: Site, campaign: int):
    """It is named, and kept by whoever changes something else."""
    policy = {"policy": "majority-agreement", "share": 0.7, "fewest": 2, "most": 5}
    site.service.database.write(lambda c: change_campaign(c, campaign, {"policy": policy}, version=2, now=1.0))
    assert "as it is now: majority-agreement" in site.visitor("lea").get(path_of(campaign)).text
    send(site, campaign, budget="3")
    assert (standing(site, campaign).policy, standing(site, campaign).budget) == (policy, 3.0)


def test_scores_come_in_from_a_file_or_are_refused_by_row(site: Site, campaign: int):
    """What they say of how many items; a bad row keeps all out and stands beside the file."""
    lea = site.visitor("lea")
    sent = lea.post(path_of(campaign, "scores"), files={"file": ("scores.csv", SCORES)})
    assert "Scores of 3 items are in." in sent.text
    with site.service.database.reading() as connection:
        assert scores_of_item(connection, read_item(connection, campaign, "i0").id) == [("m", "tone", [0.75, 0.25])]
    bad = lea.post(path_of(campaign, "scores"), files={"file": ("scores.csv", SCORES + "i0,tone,n,odd,1\n")})
    assert bad.status_code == 422
    assert "row 7, label</b> there is no task &#39;tone&#39; with a class &#39;odd&#39;" in bad.text
    unknown = lea.post(path_of(campaign, "scores"), files={"file": ("s.csv", SCORES.replace("i0", "nobody"))})
    assert "nobody" in wrong_in(unknown.text.replace("&#39;", "'"))["file"]
    assert "no table that is known" in lea.post(path_of(campaign, "scores"), files={"file": ("a.doc", b"x")}).text
    assert "Choose a file first." in lea.post(path_of(campaign, "scores")).text


def test_a_fit_is_asked_for(site: Site, campaign: int):
    """The event that the worker looks for, with who asked; and the page says that it waits."""
    sent = site.visitor("lea").post(path_of(campaign, "refit"))
    assert "A new fit is asked for." in sent.text
    assert "asked for a new fit" in sent.text
    with site.service.database.reading() as connection:
        last = list(read_events(connection, campaign))[-1]
    assert (last.kind, last.user_id) == ("refit asked", site.ids["lea"])


def test_nothing_is_changed_from_another_site_or_by_others(site: Site, campaign: int):
    """Without the text against forgery 403, for annotators and readers too."""
    before = standing(site, campaign)
    for what in ("settings", "scores", "refit"):
        sent = site.visitor("lea").http.post(path_of(campaign, what), data={"budget": "1"})
        assert sent.status_code == 403
        for who in ("ann", "rea"):
            assert site.visitor(who).post(path_of(campaign, what), {"budget": "1"}).status_code in {403, 404}
    assert standing(site, campaign) == before


def test_models_are_a_choice_of_the_set_up_and_the_dashboard_tells_of_them(site: Site):
    """Chosen with a cap they are the campaign's labeler; without a cap the form says so; without an offer none are."""
    lea = site.visitor("lea")
    fields = {"task": "tone", "classes": "good, bad", "overlap": "2", "name": "with models", "model": ["large"]}
    file = {"file": ("items.csv", b"id,text\na,one\nb,two\n")}
    refused = lea.post("/campaigns/new", fields, files=file)
    assert refused.status_code == 422
    assert "Say how many US dollars" in wrong_in(refused.text)["model_cap"]
    made = lea.post("/campaigns/new", fields | {"model_cap": "4"}, files=file)
    campaign = int(made.url.split("/")[-2])
    assert standing(site, campaign).settings.labeler.models == ("large",)
    board = lea.get(f"/campaigns/{campaign}").text
    assert "scored by large" in board
    assert "of 4.00 US dollars spent" in board
