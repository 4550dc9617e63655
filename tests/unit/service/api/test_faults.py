"""What goes wrong between people and a service, over real sockets, on both databases."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from typing import Any

import pytest
from sqlalchemy import func, select

from quorate.service.door import REMEMBERED_S, hashed_password
from quorate.store.people import add_token
from quorate.store.records import Settings
from quorate.store.sessions import set_password
from quorate.store.tables import items, labels, leases
from unit.service.api.house import API, House, Reply
from unit.service.api.house import house as house_of

TONE = [{"task": "tone", "label": "good"}]
WORD = "correct horse battery"


def count(house: House, table: Any) -> int:
    """Rows of a table."""
    with house.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def at_once(calls: list[Callable[[], Reply]]) -> list[Reply]:
    """The answers to requests that are sent at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: call(), calls))


# ---- 1, 2: the same again, and many at once -------------------------------------------------------------------------
def test_one_key_sent_twenty_times_is_kept_once(house: House) -> None:
    """Twenty parallel requests with one key: the same receipt to all, one label."""
    lease = house.next()["id"]
    replies = at_once([lambda: house.submit(lease, TONE, key="once")] * 20)
    assert {reply.status for reply in replies} == {200}
    assert len({reply.raw for reply in replies}) == 1
    assert count(house, labels) == 1
    assert house.submit(lease, [{"task": "tone", "label": "bad"}], key="once").status == 409


def test_nine_people_ask_for_one_seat_and_one_gets_it(url: str) -> None:
    """With an overlap of one, never two are asked at the same time, and one label closes the question."""
    with house_of(url, n_items=1, settings=Settings(overlap=1, together=1)) as house:
        people = [house.user()[1] for _ in range(9)]
        replies = at_once([lambda who=who: house.call("POST", house.of("/next"), who=who) for who in people])
        assert sorted(reply.status for reply in replies) == [200] + [204] * 8
        (place,) = (place for place, reply in enumerate(replies) if reply.status == 200)
        lease = replies[place].body["id"]
        both = [*TONE, {"task": "topic", "label": "food"}]
        others = [house.submit(lease, both, who=who) for who in people if who != people[place]]
        assert {reply.status for reply in others} == {404}
        assert house.submit(lease, both, who=people[place]).status == 200
        assert house.call("POST", house.of("/next"), who=people[0]).status == 204
        assert count(house, labels) == 2


# ---- 5: two change one thing ----------------------------------------------------------------------------------------
def test_of_two_changes_of_one_version_one_is_refused(house: House) -> None:
    """Who read version n and writes after somebody else did is told so; nothing is lost."""
    version = house.call("GET", house.of(""), who="lead").headers["etag"]

    def change(text: str) -> Reply:
        return house.call("PATCH", house.of(""), {"guidelines": text}, who="lead", headers={"If-Match": version})

    replies = at_once([lambda: change("mine"), lambda: change("yours")])
    assert sorted(reply.status for reply in replies) == [200, 409]
    (kept,) = (reply.body["guidelines"] for reply in replies if reply.status == 200)
    assert house.call("GET", house.of(""), who="lead").body["guidelines"] == kept


# ---- 6: what is another's -------------------------------------------------------------------------------------------
def test_nobody_touches_what_is_anothers_and_the_try_is_written_down(house: House) -> None:
    """Another's lease, another's tokens, another campaign: not there; and the audit log knows who asked."""
    lease = house.next()["id"]
    assert house.submit(lease, TONE).status == 200
    before = count(house, labels), count(house, leases)
    tries = [
        ("POST", f"{API}/leases/{lease}/submit", {"answers": TONE}),
        ("POST", f"{API}/leases/{lease}/undo", None),
        ("POST", f"{API}/leases/{lease}/skip", None),
        ("POST", house.of("/next"), None),
        ("POST", f"{API}/users/{house.users['annotator']}/tokens", {"name": "mine"}),
        ("PUT", house.of(f"/members/{house.users['other annotator']}"), {}),
    ]
    for method, path, body in tries:
        reply = house.call(method, path, body, who="other annotator", headers={"Idempotency-Key": "k"})
        assert reply.status in {403, 404}, path
    assert (count(house, labels), count(house, leases)) == before
    entries = [each for each in house.call("GET", f"{API}/audit", who="owner").body if each["action"] == "refused"]
    assert len(entries) == len(tries)
    assert {each["user_id"] for each in entries} == {house.users["other annotator"]}
    forged = [{**TONE[0], "completed_by": house.users["lead"]}]
    assert house.submit(house.next()["id"], forged).body["error"]["path"] == "body.answers[0].completed_by"


# ---- 8: bodies that are none ----------------------------------------------------------------------------------------
DEEP = b'{"answers":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BAD: dict[str, tuple[bytes, str | None]] = {
    "unknown task": (json.dumps({"answers": [{"task": "x", "label": "good"}]}).encode(), "body.task"),
    "unknown class": (json.dumps({"answers": [{"task": "tone", "label": "x"}]}).encode(), "body.label"),
    "twice": (json.dumps({"answers": TONE * 2}).encode(), "body.task"),
    "no answer": (b'{"answers": []}', "body.answers"),
    "number": (b'{"answers": [{"task": "tone", "label": 1}]}', "body.answers[0].label"),
    "nan": (b'{"answers": [{"task": "tone", "label": "good", "seconds": NaN}]}', "body.answers[0].seconds"),
    "infinite": (b'{"answers": [{"task": "tone", "label": "good", "seconds": 1e999}]}', "body.answers[0].seconds"),
    "negative": (b'{"answers": [{"task": "tone", "label": "good", "seconds": -1}]}', "body.answers[0].seconds"),
    "nul": (b'{"answers": [{"task": "tone", "label": "\\u0000"}]}', None),
    "half": (b'{"answers": [{"task": "tone", "label": "\\ud800"}]}', None),
    "list": (b"[]", "body"),
    "no json": (b"{", "body"),
    "not utf-8": (b'{"answers": "\xff"}', "body"),
    "deep": (DEEP, "body"),
    "digits": (b'{"answers": ' + b"9" * 5000 + b"}", "body"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_submission_is_refused_with_its_place(house: House, name: str) -> None:
    """Status 422, the path into the body, and nothing is kept."""
    lease = house.next()["id"]
    body, path = BAD[name]
    reply = house.call("POST", f"{API}/leases/{lease}/submit", body, who="annotator", headers={"Idempotency-Key": "k"})
    assert (reply.status, reply.body["error"]["code"]) == (422, "invalid")
    assert path is None or reply.body["error"]["path"] == path
    assert count(house, labels) == 0
    assert house.submit(lease, TONE).status == 200


def test_a_body_without_end_is_cut_off(house: House) -> None:
    """Ten megabytes to a route that takes little: 413, by its length and by what really came."""
    lease = house.next()["id"]
    huge = json.dumps({"answers": [{"task": "tone", "label": "x" * 10_000_000}]}).encode()
    path = f"{API}/leases/{lease}/submit"
    for headers in ({}, {"Transfer-Encoding": "chunked"}):
        try:
            reply = house.call("POST", path, huge, who="annotator", headers={"Idempotency-Key": "k", **headers})
        except (BrokenPipeError, ConnectionResetError):
            continue  # the server hung up while we were still sending
        assert reply.status in {413, 400}
    assert count(house, labels) == 0


# ---- 9: uploads -----------------------------------------------------------------------------------------------------
def upload(house: House, text: str, kind: str = "application/x-ndjson", what: str = "items") -> Reply:
    """A table, sent by the lead."""
    return house.call("POST", house.of(f"/{what}"), text.encode(), who="lead", headers={"Content-Type": kind})


def test_a_file_sent_twice_adds_nothing_and_a_bad_row_keeps_all_out(house: House) -> None:
    """Items are known by their own ids; one bad row, and the answer names it while nothing is added."""
    rows = "".join(json.dumps({"item": f"new{i}", "text": f"t{i}"}) + "\n" for i in range(1200))
    before = count(house, items)
    assert upload(house, rows).body == {"added": 1200, "unchanged": 0}
    assert upload(house, rows).body == {"added": 0, "unchanged": 1200}
    bad = rows.replace("new", "other").replace('{"item": "other7", "text": "t7"}', '{"text": "t7"}')
    refused = upload(house, bad)
    assert refused.status == 422
    assert refused.body["error"]["path"] == "body.rows[8].item"
    assert [row["row"] for row in refused.body["error"]["rows"]] == [8]
    changed = upload(house, '{"item": "new1", "text": "another"}')
    assert changed.status == 409
    assert count(house, items) == before + 1200


def test_the_same_table_in_four_formats_is_the_same(house: House) -> None:
    """JSON, JSONL, CSV and Parquet add the same items, so that three of them change nothing."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"item": f"f{i}", "text": f'comma, "quote" and {i}', "gold.tone": "good"} for i in range(3)]
    lines = ["item;text;gold.tone", *(f'f{i};"comma, ""quote"" and {i}";good' for i in range(3))]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    sent = [
        ("application/json", json.dumps(rows).encode()),
        ("application/x-ndjson", "\n".join(map(json.dumps, rows)).encode()),
        ("text/csv", "\n".join(lines).encode()),
        ("application/vnd.apache.parquet", file.getvalue()),
    ]
    replies = [
        house.call("POST", house.of("/items"), body, who="lead", headers={"Content-Type": kind}) for kind, body in sent
    ]
    assert [reply.body for reply in replies] == [{"added": 3, "unchanged": 0}] + [{"added": 0, "unchanged": 3}] * 3
    for kind in ("text/csv", "application/vnd.apache.parquet", "application/json", "application/x-ndjson"):
        broken = house.call("POST", house.of("/items"), b'"\xff\x00{[', who="lead", headers={"Content-Type": kind})
        assert broken.status == 422, kind
    assert upload(house, "x", "image/png").status == 415


@pytest.mark.parametrize(
    "row",
    [
        {"item": "i0", "task": "tone", "model": "m", "label": "good", "score": 2.5},
        {"item": "i0", "task": "tone", "model": "m", "label": "good", "score": math.nan},
        {"item": "i0", "task": "tone", "model": "m", "label": "good", "score": -0.1},
        {"item": "i0", "task": "tone", "model": "m", "label": "x", "score": 1},
        {"item": "i0", "task": "x", "model": "m", "label": "good", "score": 1},
        {"item": "absent", "task": "tone", "model": "m", "label": "good", "score": 1},
        {"item": "i0", "task": "tone", "model": "m", "label": "good", "score": 0.5},  # does not sum to one
        {"item": "i0", "task": "tone", "model": "m", "label": "good"},
    ],
)
def test_scores_that_are_no_probabilities_are_refused(house: House, row: dict[str, Any]) -> None:
    """Status 422, and no score is kept."""
    reply = upload(house, json.dumps(row), what="scores")
    assert (reply.status, reply.body["error"]["code"]) == (422, "invalid")
    assert house.call("GET", house.of("/items/i0"), who="lead").body["scores"] == []


# ---- 16: forged, fixed, revoked -------------------------------------------------------------------------------------
def with_password(house: House, who: str) -> None:
    """Let that person sign in."""
    hashed = hashed_password(WORD)
    house.database.write(lambda connection: set_password(connection, house.users[who], hashed))


def sign_in(house: House, who: str, **headers: str) -> tuple[str, str, Reply]:
    """The session's id, its text against forgery, and the answer."""
    reply = house.call("POST", f"{API}/session", {"name": who, "password": WORD}, headers=headers)
    cookie = SimpleCookie(reply.headers.get("set-cookie", "")).get("quorate_session")
    return (cookie.value if cookie else ""), (reply.body.get("csrf", "") if reply.body else ""), reply


def test_another_site_cannot_act_for_who_is_signed_in(house: House) -> None:
    """Without the session's own text, or from another origin, nothing is changed."""
    with_password(house, "owner")
    session, csrf, reply = sign_in(house, "owner")
    assert {"HttpOnly", "SameSite=lax"} <= {part.strip() for part in reply.headers["set-cookie"].split(";")}
    cookie = {"Cookie": f"quorate_session={session}"}
    made = {"name": "x", "role": "owner"}
    for headers in (
        {},
        {"X-CSRF-Token": "wrong"},
        {"X-CSRF-Token": csrf, "Origin": "https://evil.example"},
        {"X-CSRF-Token": csrf, "Origin": "null"},
        {"X-CSRF-Token": csrf, "Sec-Fetch-Site": "cross-site"},
    ):
        assert house.call("POST", f"{API}/users", made, headers=cookie | headers).status == 403
    form = {"Content-Type": "text/plain", "X-CSRF-Token": csrf}
    assert house.call("POST", f"{API}/users", json.dumps(made).encode(), headers=cookie | form).status == 422
    good = {"X-CSRF-Token": csrf, "Origin": house.served.url, "Sec-Fetch-Site": "same-origin"}
    assert house.call("POST", f"{API}/users", made, headers=cookie | good).status == 201
    assert house.call("GET", f"{API}/me", headers=cookie).status == 200


def test_a_session_is_new_at_every_login_and_ends_with_it(house: House) -> None:
    """An id that was planted is no session; the former one ends at the login, the present at the logout."""
    with_password(house, "owner")
    planted, _, _ = sign_in(house, "owner", Cookie="quorate_session=planted")
    assert planted not in {"", "planted"}
    second, csrf, _ = sign_in(house, "owner", Cookie=f"quorate_session={planted}")
    assert second != planted
    assert house.call("GET", f"{API}/me", headers={"Cookie": f"quorate_session={planted}"}).status == 401
    cookie = {"Cookie": f"quorate_session={second}"}
    assert house.call("DELETE", f"{API}/session", headers=cookie | {"X-CSRF-Token": csrf}).status == 204
    assert house.call("GET", f"{API}/me", headers=cookie).status == 401


def test_a_session_and_a_token_run_out(url: str) -> None:
    """By the service's clock, nobody comes in with what was valid until a moment ago."""
    now = [1000.0]
    with house_of(url, clock=lambda: now[0], session_hours=1.0) as house:
        with_password(house, "owner")
        session, _, _ = sign_in(house, "owner")
        cookie = {"Cookie": f"quorate_session={session}"}
        made = house.database.write(
            lambda connection: add_token(connection, house.users["lead"], "short", now=now[0], days=1 / 48)
        )
        bearer = {"Authorization": f"Bearer {made.text}"}
        assert house.call("GET", f"{API}/me", headers=cookie).status == 200
        assert house.call("GET", f"{API}/me", headers=bearer).status == 200
        now[0] += 1801 + REMEMBERED_S
        assert house.call("GET", f"{API}/me", headers=bearer).status == 401
        now[0] += 1800
        assert house.call("GET", f"{API}/me", headers=cookie).status == 401


def test_what_is_revoked_does_not_work_a_moment_longer(house: House) -> None:
    """A revoked token, and every token of a disabled user, are void at once, although they were used just before."""
    user = house.users["annotator"]
    made = house.call("POST", f"{API}/users/{user}/tokens", {"name": "t"}, who="annotator").body
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert house.call("GET", f"{API}/me", headers=bearer).status == 200
    assert house.call("DELETE", f"{API}/users/{user}/tokens/{made['id']}", who="annotator").status == 204
    assert house.call("GET", f"{API}/me", headers=bearer).status == 401
    assert house.call("GET", f"{API}/me", who="annotator").status == 200
    assert house.call("PATCH", f"{API}/users/{user}", {"disabled": True}, who="owner").status == 200
    assert house.call("GET", f"{API}/me", who="annotator").status == 401


def test_no_secret_is_kept_or_read_from_an_address(house: House) -> None:
    """A token in the URL is none; neither passwords nor tokens nor sessions stand in the database, only hashes."""
    token = house.tokens["owner"]
    assert house.call("GET", f"{API}/me?token={token}&access_token={token}").status == 401
    with_password(house, "owner")
    session, _, _ = sign_in(house, "owner")
    with house.database.reading() as connection:
        from quorate.store.tables import METADATA

        rows = [str(tuple(row)) for table in METADATA.sorted_tables for row in connection.execute(select(table))]
    text = "\n".join(rows)
    assert not [secret for secret in (token, session, WORD) if secret in text]


def test_the_last_owner_stays(house: House) -> None:
    """A service that nobody can govern cannot be made."""
    owner = house.users["owner"]
    assert house.call("PATCH", f"{API}/users/{owner}", {"disabled": True}, who="owner").status == 409
    assert house.call("PATCH", f"{API}/users/{owner}", {"role": "reader"}, who="owner").status == 409
    assert house.call("GET", f"{API}/users", who="owner").status == 200


def test_passwords_cannot_be_tried_for_long(house: House) -> None:
    """After ten tries in a minute even the right password waits, and the answer says how long."""
    with_password(house, "owner")
    tries = [house.call("POST", f"{API}/session", {"name": "owner", "password": "no"}).status for _ in range(10)]
    assert set(tries) == {401}
    _, _, reply = sign_in(house, "owner")
    assert (reply.status, reply.body["error"]["code"]) == (429, "too_many")
    assert 1 <= int(reply.headers["retry-after"]) <= 60


def test_a_person_who_asks_too_often_waits_and_others_do_not(url: str) -> None:
    """The rate is a person's own."""
    with house_of(url, requests_per_minute=20) as house:
        mine = [house.call("GET", f"{API}/me", who="annotator").status for _ in range(25)]
        assert mine[:20] == [200] * 20
        assert 429 in mine[20:]
        assert house.call("GET", f"{API}/me", who="lead").status == 200


# ---- 17: parameters -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "query",
    ["after=1%20OR%201=1", "after=-1", "limit=0", "limit=100000", "open=maybe", "after=9" + "9" * 30, "after=1_0"],
)
def test_a_parameter_is_what_it_may_be_or_refused(house: House, query: str) -> None:
    """No text from a query reaches the database."""
    reply = house.call("GET", house.of(f"/items?{query}"), who="lead")
    assert (reply.status, reply.body["error"]["code"]) == (422, "invalid")


def test_no_parameter_reads_what_is_not_offered(house: House) -> None:
    """Names of columns are no parameters: the answer is as without them, and holds no hash."""
    plain = house.call("GET", house.of("/items"), who="lead").raw
    for query in ("order=user__password_hash", "filter=users.password_hash", "fields=*", "order_by=1;drop table users"):
        reply = house.call("GET", house.of(f"/items?{query.replace(' ', '%20')}"), who="lead")
        assert (reply.status, reply.raw) == (200, plain)
    for path in ("/export?table=users", "/export?table=consensus&format=pickle"):
        assert house.call("GET", house.of(path), who="lead").status == 422
    for name in ("i0'%20OR%20'1'='1", "..%2f..%2fetc%2fpasswd", "%F0%9F%92%A9"):
        assert house.call("GET", house.of(f"/items/{name}"), who="lead").status == 404
    assert house.call("GET", house.of("/items/i0%00"), who="lead").status == 422
    assert house.call("GET", f"{API}/campaigns/{2**63}", who="lead").status == 422
    assert "argon2" not in house.call("GET", f"{API}/users", who="owner").raw.decode()
