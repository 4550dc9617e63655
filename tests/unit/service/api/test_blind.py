"""Whoever is asked blindly learns nothing of models or peers before they answer: every response is searched.

Of every item the models' scores, the peers' answers and what follows from them are known here by marks that stand in
nothing else: names of models and people, numbers with digits of their own. A whole campaign is driven through, by the
API and by the pages, and at every step everything that an annotator's role may ask is asked.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from quorate.store.asking import Labeler
from quorate.store.items import add_scores
from quorate.store.reading import read_campaign_page
from quorate.store.records import Settings
from unit.service.api.house import API, House, Reply
from unit.service.api.house import house as house_of
from unit.service.api.test_roles import FORM, routes
from unit.store.world import SCHEMA

N_ITEMS = 6
MODELS = ("oracle-zeta-9", "oracle-eta-8")
SHARES = (0.7313131, 0.2686869)  # of the tone, whichever way round
PEERS = ("peer-quokka", "peer-numbat")
MARKS = (*MODELS, *PEERS, "73131", "26868", "0.6612")
WORDS = ("confidence", "given", "suggest", "score", "n_labels", "entropy")  # of fields that would hold them
TIMES = frozenset({"server-timing", "x-process-time", "last-modified"})  # headers that would tell how much was there
Step = tuple[str, Reply]


class Blind(NamedTuple):
    """A house with peers who have answered, and all that an annotator was ever told."""

    house: House
    told: list[Step]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """A request of the annotator's, remembered."""
        reply = self.house.call(method, path, body, who="annotator", headers=headers)
        self.told.append((f"{method} {path}", reply))
        return reply

    def everything(self) -> None:
        """Ask all that may be asked without changing anything, whether the role may or not."""
        values = {"campaign_id": self.house.campaign, "external_id:path": "i0", "user_id": self.house.users["lead"]}
        for method, path in routes():
            if method != "GET" or "openapi" in path:
                continue
            asked = path
            for name, value in values.items():
                asked = asked.replace(f"{{{name}}}", str(value))
            if "{" not in asked and not asked.endswith("/stream"):
                self.ask(method, asked)


@pytest.fixture
def blind(url: str) -> Iterator[Blind]:
    """A campaign whose lead has asked models, and whose items are scored."""
    settings = Settings(overlap=3, together=3, labeler=Labeler(MODELS, 0.6612))
    with house_of(url, n_items=N_ITEMS, settings=settings) as house:
        yield Blind(house, [])


def score_all(house: House, flipped: bool = False) -> None:
    """Both models say something of every item and task; flipped, the other way round."""
    shares = SHARES[::-1] if flipped else SHARES

    def said(classes: tuple[str, ...]) -> dict[str, float]:
        return dict(zip(classes, (*shares, 0.0), strict=False))

    of = {task.name: {model: said(task.classes) for model in MODELS} for task in SCHEMA.tasks}

    def work(connection: Any) -> None:
        campaign = read_campaign_page(connection, house.campaign).campaign
        add_scores(connection, campaign, {f"i{i}": of for i in range(N_ITEMS)}, now=1.0)

    house.database.write(work)


def peers_answer(house: House, label: str = "good") -> None:
    """Two peers answer every item."""
    for name in PEERS:
        rows = [
            {"item": f"i{i}", "task": task, "annotator": name, "label": said}
            for i in range(N_ITEMS)
            for task, said in (("tone", label), ("topic", "staff"))
        ]
        assert house.call("POST", house.of("/labels"), rows, who="lead").status == 200


def check(told: list[Step]) -> None:
    """No mark stands in a body or a header of anything that was told."""
    assert told
    for what, reply in told:
        text = reply.raw.decode("utf-8", "replace")
        shown = (text + json.dumps(dict(reply.headers))).lower()
        marks = MARKS if _only_words(what, reply) else (*MARKS, *WORDS)
        found = [mark for mark in marks if mark in shown]
        assert not found, (what, found, text[:2000])
        assert not TIMES & reply.headers.keys(), what


def _only_words(what: str, reply: Reply) -> bool:
    """Whether it is an asset or a refusal, which are the same for all campaigns."""
    return reply.status >= 400 or "/static/" in what


def answered(blind: Blind, by_page: bool) -> int:
    """Go through all that is asked, by the API or the page; how many items there were."""
    n, house = 0, blind.house
    page = f"/campaigns/{house.campaign}/work"
    while True:
        if by_page:
            text = blind.ask("GET", page).raw.decode()
            if 'name="lease"' not in text:  # the card is there without a question too
                return n
            form = text[text.index('id="answers"') :]
            fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
            fields |= dict(re.findall(r'<input type="radio" name="([\w.-]+)" value="([^"]*)"', form)) | {"do": "submit"}
            blind.everything()
            blind.ask("POST", page, urlencode(fields).encode(), **FORM)
        else:
            reply = blind.ask("POST", house.of("/next"))
            if reply.status == 204:
                return n
            lease = reply.body
            blind.everything()
            blind.ask("POST", f"{API}/leases/{lease['id']}/renew")
            answers = [{"task": task, "label": SCHEMA.task(task).classes[n % 2]} for task in lease["tasks"]]
            key = {"Idempotency-Key": secrets.token_hex(8)}
            if n == 0:  # once: given, taken back, given again
                blind.ask("POST", f"{API}/leases/{lease['id']}/submit", {"answers": answers}, **key)
                again = blind.ask(
                    "POST", f"{API}/leases/{lease['id']}/undo", **{"Idempotency-Key": secrets.token_hex(8)}
                )
                lease = {**lease, "id": again.body["lease"]}
                key = {"Idempotency-Key": secrets.token_hex(8)}
            blind.ask("POST", f"{API}/leases/{lease['id']}/submit", {"answers": answers, "next": True}, **key)
        n += 1
        assert n <= N_ITEMS


@pytest.mark.parametrize("by_page", [False, True], ids=["api", "page"])
def test_nothing_that_an_annotator_is_told_holds_models_scores_or_peers_answers(blind: Blind, by_page: bool):
    """From the first item to the last, with every route and page asked at every item: no mark anywhere."""
    score_all(blind.house)
    peers_answer(blind.house)
    assert answered(blind, by_page) == N_ITEMS
    check(blind.told)


def test_the_marks_are_seen_where_they_may_be(blind: Blind):
    """The search finds what a lead is shown, so it would find it elsewhere."""
    score_all(blind.house)
    peers_answer(blind.house)
    lead = [
        (path, blind.house.call("GET", path, who="lead"))
        for path in (blind.house.of("/items/i0"), blind.house.of("/agents"), f"/campaigns/{blind.house.campaign}")
    ]
    for step in lead:
        with pytest.raises(AssertionError):
            check([step])


def test_what_is_told_is_the_same_whatever_models_and_peers_say(url: str):
    """Two campaigns that differ only in scores and peers' answers tell an annotator the same, byte for byte."""
    seen: list[list[Any]] = []
    for turn in range(2):
        with house_of(_fresh(url, turn), n_items=N_ITEMS, settings=Settings(overlap=4, together=4)) as house:
            score_all(house, flipped=bool(turn))
            peers_answer(house, label=("good", "bad")[turn])
            blind = Blind(house, [])
            first = blind.ask("POST", house.of("/next")).body
            blind.everything()
            seen.append([(what, _plain(reply, house)) for what, reply in blind.told])
            assert first["item"] == "i0"
    assert seen[0] == seen[1]


def _fresh(url: str, turn: int) -> str:
    """Another database for each turn."""
    if url.startswith("sqlite"):
        return url.replace("quorate.db", f"turn-{turn}.db")
    if turn == 0:
        return url
    from unit.store.conftest import fresh_postgres

    return fresh_postgres(url.rpartition("/")[0])


def _plain(reply: Reply, house: House) -> Any:
    """A reply without what differs by chance: names of leases, tokens, times and the address."""
    text = reply.raw.decode("utf-8", "replace").replace(house.served.url, "")
    text = re.sub(r'<code>[^<]*…</code>|data-left-s="[^"]*"|qr_\w+|[A-Za-z0-9_-]{32,}', "*", text)
    return reply.status, re.sub(r"\d{9,}(\.\d+)?", "*", text)
