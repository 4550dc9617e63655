"""quorate as Label Studio's machine learning backend, over a real socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings

from quorate.schema import Option, Schema, Task
from quorate.service.app import make_app
from quorate.service.state import ServiceSettings
from quorate.store.campaigns import add_campaign, change_state
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.log import read_events
from quorate.store.overlap import Overlap
from quorate.store.people import add_member, add_token, add_user
from quorate.store.reading import labels_of_item, read_item
from quorate.store.rebuild import compare
from quorate.store.records import Settings
from unit.data.formats.mutants import mutants
from unit.service.loopback import Answer, call, serving

SCHEMA = Schema(
    (
        Task("tone", ("good", "bad")),
        Task("fun", ("1", "2", "3"), ordered=True),
        *(Task(f"topics: {c}", ("no", "yes"), option_of=Option("topics", c)) for c in ("art", "war")),
    )
)
CONFIG = """<View><Text name="t" value="$text"/>
  <Choices name="tone" toName="t"><Choice value="good"/><Choice value="bad"/></Choices>
  <Rating name="fun" toName="t" maxRating="3"/><TextArea name="why" toName="t"/>
  <Choices name="topics" toName="t" choice="multiple"><Choice value="art"/><Choice value="war"/></Choices></View>"""


class Backend(NamedTuple):
    """A campaign behind the protocol."""

    url: str
    token: str
    tokens: dict[str, str]
    database: Database
    campaign_id: int

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Answer:
        """A request as Label Studio makes it."""
        pair = base64.b64encode(f"anybody:{token or self.token}".encode()).decode()
        return call(
            method, f"{self.url}/label-studio/{self.campaign_id}{path}", body, {"Authorization": f"Basic {pair}"}
        )

    def predict(self, *tasks: Any) -> list[Any]:
        """The predictions of these tasks."""
        answer = self.ask(
            "POST", "/predict", {"tasks": list(tasks), "project": "1.2", "label_config": CONFIG, "params": {}}
        )
        assert answer.status == 200, answer
        return answer.body["results"]

    def hook(self, action: str, **payload: Any) -> Answer:
        """A webhook."""
        return self.ask("POST", "/webhook", {"action": action, "project": {"id": 1}, **payload})

    def standing(self, item: str = "a") -> dict[tuple[str, str], str]:
        """Task and person to the label that stands."""
        with self.database.reading() as connection:
            rows = labels_of_item(connection, read_item(connection, self.campaign_id, item).id)
        return {(row["task"], row["annotator"]): row["label"] for row in rows if not row["withdrawn"]}


@pytest.fixture(params=[Settings(overlap=2, blind=False)])
def backend(request: pytest.FixtureRequest, url: str) -> Iterator[Backend]:
    """A running campaign of two items, with a lead, an annotator and a stranger."""
    with serving(make_app(ServiceSettings(database=url, workers="none"))) as address:
        database = Database.open(url)

        def make(connection: Any) -> tuple[int, dict[str, str]]:
            roles = {"lead": "lead", "annotator": "annotator", "stranger": "lead", "owner": "owner"}
            people = {name: add_user(connection, name, role, now=0.0) for name, role in roles.items()}
            campaign = add_campaign(connection, "reviews", SCHEMA, settings=request.param, now=0.0)
            for name in ("lead", "annotator"):
                add_member(connection, campaign.id, people[name].id)
            add_items(connection, campaign, [NewItem("a", {"text": "Hi"}), NewItem("7", {"text": "Ho"})], now=0.0)
            change_state(connection, campaign.id, "running", version=campaign.version, now=0.0)
            return campaign.id, {name: add_token(connection, u.id, "ls", now=0.0).text for name, u in people.items()}

        campaign_id, tokens = database.write(make)
        yield Backend(address, tokens["lead"], tokens, database, campaign_id)
        database.close()


def task(number: int = 5, **data: Any) -> dict[str, Any]:
    return {"id": number, "data": data or {"quorate_id": "a", "text": "Hi"}, "meta": {}, "annotations": []}


def annotation(number: int, person: int, at: int = 1, **answers: Any) -> dict[str, Any]:
    result = [
        {"id": "x", "from_name": name, "to_name": "t", "type": "rating", "value": {"rating": value}}
        if isinstance(value, int)
        else {"id": "y", "from_name": name, "to_name": "t", "type": "choices", "value": {"choices": value}}
        for name, value in answers.items()
    ]
    times = {"created_at": "2026-01-01T00:00:00.5Z", "updated_at": f"2026-01-0{at}T00:00:00Z", "lead_time": 4.5}
    return {"id": number, "completed_by": person, "result": result, "task": 5, "was_cancelled": False, **times}


def test_health_setup_and_versions(backend):
    """What Label Studio asks before every prediction; the version changes with what is known."""
    assert backend.ask("GET", "/health") == (200, {"status": "UP", "model_class": "quorate"})
    assert backend.ask("GET", "/")[0] == backend.ask("GET", "")[0] == backend.ask("GET", "/metrics")[0] == 200
    sent = {"project": "1.2", "schema": CONFIG, "hostname": "http://x", "access_token": "secret", "extra_params": None}
    status, before = backend.ask("POST", "/setup", sent)
    assert (status, backend.ask("GET", "/versions").body) == (200, {"versions": [before["model_version"]]})
    backend.hook("ANNOTATION_CREATED", annotation=annotation(1, 2, tone=["good"]), task=task())
    assert backend.ask("POST", "/setup", sent).body != before


def test_only_open_tasks_are_proposed_with_their_confidence(backend):
    """Every task has one result, in order; nothing is proposed where nothing is known, or where all is settled."""
    nothing, unknown = backend.predict(task(), task(99, text="?"))
    assert (nothing[0]["result"], nothing[0]["score"], unknown) == ([], 0.0, [])
    for person in (1, 2):
        backend.hook(
            "ANNOTATION_CREATED", annotation=annotation(person, person, tone=["good"], fun=person), task=task()
        )
    backend.hook("ANNOTATION_CREATED", annotation=annotation(3, 3, topics=["war"]), task=task())
    (said,) = backend.predict(task())[0]
    assert [(r["from_name"], r["to_name"], r["value"], r["score"]) for r in said["result"]] == [
        ("topics", "t", {"choices": ["war"]}, 1.0)
    ]
    assert said["score"] == 1.0
    assert said["model_version"] == backend.ask("POST", "/setup", {"schema": CONFIG}).body["model_version"]


@pytest.mark.parametrize("backend", [Settings(overlap=2)], indirect=True)
def test_a_blind_campaign_shows_nothing_but_scores(backend):
    """Label Studio can sort by them; what others or models said stays unseen."""
    backend.hook("ANNOTATION_CREATED", annotation=annotation(1, 1, tone=["good"], fun=2), task=task())
    (said,) = backend.predict(task())[0]
    assert said["result"] == []
    assert 0 <= said["score"] <= 1


def test_answers_come_in_change_and_go(backend):
    """Both spellings of a deletion; sent twice counts once; a skip takes back; a prediction seen is remembered."""
    first = annotation(1, 2, tone=["good"], fun=2, topics=["art"])
    for _ in range(2):
        assert backend.hook("ANNOTATION_CREATED", annotation=first, task=task()).status == 200
    assert backend.standing() == {
        ("tone", "label-studio:2"): "good",
        ("fun", "label-studio:2"): "2",
        ("topics: art", "label-studio:2"): "yes",
        ("topics: war", "label-studio:2"): "no",
    }
    backend.hook("ANNOTATION_UPDATED", annotation=annotation(1, 2, at=2, tone=["bad"]), task=task())
    assert backend.standing() == {("tone", "label-studio:2"): "bad"}
    skipped = annotation(1, 2, at=3) | {"was_cancelled": True}
    backend.hook("ANNOTATION_UPDATED", annotation=skipped, task=task())
    assert backend.standing() == {}
    for number, (action, payload) in enumerate(
        [("ANNOTATIONS_DELETED", {"annotations": [{"id": 10}]}), ("ANNOTATION_DELETED", {"annotation": {"id": 11}})], 10
    ):
        said = annotation(number, 3, tone=["good"]) | {"prediction": {"id": 4, "result": []}}
        backend.hook("ANNOTATION_CREATED", annotation=said, task=task())
        assert backend.standing() == {("tone", "label-studio:3"): "good"}
        assert backend.hook(action, **payload).body["result"]["withdrawn"] == 1
        assert backend.standing() == {}
    with backend.database.reading() as connection:
        rows = labels_of_item(connection, read_item(connection, backend.campaign_id, "a").id)
    assert [row["assisted"] for row in rows if row["annotator"] == "label-studio:3"] == [True, True]
    assert rows[0]["at"] == pytest.approx(1767225600.5)
    assert rows[0]["seconds"] == pytest.approx(4.5 / 4)
    assert compare(backend.database, Overlap(), backend.campaign_id).differences == ()


def test_items_are_found_by_our_id_or_by_the_number_there(backend):
    """Label Studio's own number is the item where the task's data does not say."""
    backend.hook("ANNOTATION_CREATED", annotation=annotation(1, 2, tone=["good"]) | {"task": 7})
    assert backend.standing("7") == {("tone", "label-studio:2"): "good"}
    unknown = backend.hook("ANNOTATION_CREATED", annotation=annotation(2, 2, tone=["good"]) | {"task": 8})
    assert (unknown.status, "there is no item '8'" in unknown.body["error"]["message"]) == (422, True)


@pytest.mark.parametrize("backend", [Settings(adopt=True)], indirect=True)
def test_a_campaign_may_take_in_what_only_the_tool_knows(backend):
    """At the first sight of a prediction, or of an answer."""
    assert backend.predict(task(50, text="new"))[0][0]["result"] == []
    backend.hook("ANNOTATION_CREATED", annotation=annotation(1, 2, tone=["good"]), task=task(51, text="newer"))
    with backend.database.reading() as connection:
        found = [read_item(connection, backend.campaign_id, name).content for name in ("50", "51")]
    assert found == [{"text": "new"}, {"text": "newer"}]


def test_training_is_a_wish_for_a_new_model(backend):
    """Written to the log, where the worker finds it; what is not known is told so."""
    assert backend.hook("START_TRAINING").body == {"result": {}, "status": "ok"}
    with backend.database.reading() as connection:
        assert [e.kind for e in read_events(connection, backend.campaign_id)].count("refit asked") == 1
    assert backend.hook("PROJECT_UPDATED").body["status"] == "Unknown event"


def test_a_project_that_asks_otherwise_is_told_when_it_is_connected(backend):
    """Not when the first answer fails."""
    for config, problem in [
        ("<View/>", "asks nothing of the campaign"),
        (CONFIG.replace('value="bad"', 'value="ugly"'), "offers 'ugly'"),
        (CONFIG.replace(' choice="multiple"', ""), "is not of the campaign's kind"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><View/>', "document type"),
        ("nonsense", "not XML"),
    ]:
        status, body = backend.ask("POST", "/setup", {"schema": config})
        assert (status, problem in body["error"]["message"]) == (422, True), body


ROUTES = [("GET", "/health"), ("POST", "/setup"), ("POST", "/predict"), ("POST", "/webhook"), ("GET", "/versions")]


def test_nobody_else_is_let_in(backend):
    """Without a token 401; an annotator 403; a lead of another campaign 404, as for one that is not."""
    sent = {"action": "START_TRAINING", "tasks": [], "label_config": CONFIG}
    for method, path in ROUTES:
        body = None if method == "GET" else sent
        assert backend.ask(method, path, body, token="qr_wrong").status == 401  # noqa: S106
        assert call(method, f"{backend.url}/label-studio/{backend.campaign_id}{path}", body).status == 401
        assert backend.ask(method, path, body, token=backend.tokens["annotator"]).status == 403
        assert backend.ask(method, path, body, token=backend.tokens["stranger"]).status == 404
        assert backend.ask(method, path, body, token=backend.tokens["owner"]).status == 200
        assert backend._replace(campaign_id=999).ask(method, path, body).status == 404


def test_a_token_may_come_in_a_header_or_in_the_address(backend):
    """Webhooks of Label Studio send headers that one sets; an address is the last resort."""
    url = f"{backend.url}/label-studio/{backend.campaign_id}/health"
    for scheme in ("Bearer", "Token"):
        assert call("GET", url, None, {"Authorization": f"{scheme} {backend.token}"}).status == 200
    assert call("GET", f"{url}?token={backend.token}").status == 200
    for header in ("Basic !!!", "Basic eA==", "Basic", "Digest x", "Bearer"):
        assert call("GET", url, None, {"Authorization": header}).status == 401


MESSAGES: list[Any] = [
    {"action": "ANNOTATION_CREATED", "annotation": annotation(1, 2, tone=["good"], fun=2), "task": task()},
    {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}]},
]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutants(MESSAGES))
def test_no_message_breaks_the_service(backend, messages):
    """Whatever stands where it should not: taken, or refused with one sentence; and the store stays sound."""
    for message in messages:
        answer = backend.ask("POST", "/webhook", message)
        assert answer.status in {200, 422}, (message, answer)
        assert answer.status == 200 or answer.body["error"]["message"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutants([{"tasks": [task()], "project": "1.2", "label_config": CONFIG, "params": {"context": None}}]))
def test_no_question_breaks_the_service(backend, questions):
    """As many results as tasks, or one sentence."""
    for question in questions:
        answer = backend.ask("POST", "/predict", question)
        assert answer.status in {200, 422}, (question, answer)
        if answer.status == 200:
            assert len(answer.body["results"]) == len(question["tasks"])


def test_what_is_no_json_is_refused(backend):
    """With one sentence."""
    for body in (b"", b"[", b"3", json.dumps("x" * 100).encode(), b"\xff"):
        assert backend.ask("POST", "/predict", body).status == 422
