"""Every route, asked by every role from inside and outside of the campaign, and by nobody."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from quorate.service.app import make_app
from quorate.service.state import ServiceSettings
from quorate.store.people import add_token
from unit.service.api.house import API, EVERYBODY, House

YES = 0  # any success
IN = 1  # let in: the page, where it leads to next, or what is wrong with the form
LOGIN = 2  # a page sends its reader to the login
C = f"{API}/campaigns/{{campaign_id}}"


def may(*, yes: str = "", absent: str = "", refused: str = "", other: int = 403) -> dict[str, int]:
    """Person to status: those in `yes` succeed, for those in `absent` it is not there, others get `other`."""
    of = dict.fromkeys(EVERYBODY, other) | {"nobody": 401}
    for names, status in ((yes, YES), (absent, 404), (refused, 403)):
        of |= {name.strip(): status for name in names.split(",") if name}
    return of


ANYBODY = may(yes=",".join(EVERYBODY))
SIGNED_IN = may(yes=",".join(EVERYBODY[:-1]))
OWNER = may(yes="owner")
LEADS = may(yes="owner,lead,other lead")
RUNS = may(yes="owner,lead", absent="other lead")  # what leads do in their campaigns
READS = may(yes="owner,lead,reader", absent="other lead,other reader")
SEES = may(yes="owner,lead,annotator,reader", absent="other lead,other annotator,other reader")
WORKS = may(yes="lead,annotator", absent="other lead,other annotator", refused="owner,reader")
HOLDS = may(yes="annotator", absent="owner,lead,other lead,other annotator")  # a lease of the annotator's
THEIRS = may(yes="owner,annotator", other=404)  # what is the annotator's own
READERS = may(yes="owner,lead,reader,other lead,other reader")
MATRIX: dict[tuple[str, str], dict[str, int]] = {
    ("GET", "/openapi.json"): ANYBODY,
    ("GET", "/healthz"): ANYBODY,
    ("GET", "/readyz"): ANYBODY,
    ("GET", "/metrics"): READERS,
    ("POST", f"{API}/session"): may(other=401),  # a token is no password
    ("DELETE", f"{API}/session"): SIGNED_IN,
    ("GET", f"{API}/me"): SIGNED_IN,
    ("POST", f"{API}/me/password"): may(other=401),  # nobody here has a password that could be right
    ("GET", f"{API}/users"): LEADS,
    ("POST", f"{API}/users"): OWNER,
    ("PATCH", f"{API}/users/{{user_id}}"): OWNER,
    ("GET", f"{API}/users/{{user_id}}/tokens"): THEIRS,
    ("POST", f"{API}/users/{{user_id}}/tokens"): THEIRS,
    ("DELETE", f"{API}/users/{{user_id}}/tokens/{{token_id}}"): THEIRS,
    ("GET", f"{API}/campaigns"): SIGNED_IN,
    ("POST", f"{API}/campaigns"): LEADS,
    ("GET", C): SEES,
    ("PATCH", C): RUNS,
    ("POST", f"{C}/state"): RUNS,
    ("GET", f"{C}/members"): READS,
    ("GET", f"{C}/members/{{user_id}}"): READS,
    ("PUT", f"{C}/members/{{user_id}}"): RUNS,
    ("DELETE", f"{C}/members/{{user_id}}"): RUNS,
    ("POST", f"{C}/items"): RUNS,
    ("POST", f"{C}/scores"): RUNS,
    ("POST", f"{C}/labels"): RUNS,
    ("GET", f"{C}/items"): READS,
    ("GET", f"{C}/items/{{external_id:path}}"): READS,
    ("POST", f"{C}/next"): WORKS,
    ("POST", f"{API}/leases/{{lease_id}}/submit"): HOLDS,
    ("POST", f"{API}/leases/{{lease_id}}/skip"): HOLDS,
    ("POST", f"{API}/leases/{{lease_id}}/undo"): HOLDS,
    ("POST", f"{API}/leases/{{lease_id}}/renew"): HOLDS,
    ("GET", f"{C}/consensus"): READS,
    ("GET", f"{C}/agents"): READS,
    ("GET", f"{C}/overview"): READS,
    ("GET", f"{C}/disagreements"): READS,
    ("GET", f"{C}/certificate"): READS,
    ("GET", f"{C}/export"): READS,
    ("GET", f"{API}/audit"): OWNER,
    ("GET", f"{C}/models"): READS,
    ("POST", f"{C}/refit"): RUNS,
    ("GET", f"{C}/learning"): READS,
    ("PUT", f"{C}/learning"): RUNS,
    ("GET", f"{C}/events"): READS,
    ("GET", f"{C}/stream"): READS,
    ("GET", f"{C}/hooks"): RUNS,
    ("POST", f"{C}/hooks"): RUNS,
    ("DELETE", f"{C}/hooks/{{hook_id}}"): RUNS,
    ("POST", f"{C}/hooks/{{hook_id}}/replay"): RUNS,
}
P = "/campaigns/{campaign_id}"


def page(**who: str) -> dict[str, int]:
    """As `may`, of a page: people are let in, and nobody is sent to the login."""
    of = {name: IN if status == YES else status for name, status in may(**who).items()}
    return of if of["nobody"] == IN else of | {"nobody": LOGIN}


SEEN = page(yes=",".join(EVERYBODY[:-1]))
SETS_UP = page(yes="owner,lead,other lead")
LEADS_PAGE = page(yes="owner,lead", absent="other lead")
MATRIX |= {
    ("GET", "/login"): page(yes=",".join(EVERYBODY)),
    ("POST", "/login"): may(other=401) | {"nobody": 401},
    ("POST", "/logout"): SEEN,
    ("GET", "/static/{digest}/{name}"): page(yes=",".join(EVERYBODY)),
    ("GET", "/"): SEEN,
    ("GET", "/account"): SEEN,
    ("POST", "/account/password"): SEEN,
    ("POST", "/account/tokens"): SEEN,
    ("POST", "/account/tokens/{token_id}/revoke"): page(yes="annotator")
    | dict.fromkeys(EVERYBODY[:2], 404)
    | dict.fromkeys(EVERYBODY[3:-1], 404),
    ("GET", "/campaigns/new"): SETS_UP,
    ("POST", "/campaigns/new"): SETS_UP,
    ("POST", "/campaigns/new/look"): SETS_UP,
    ("GET", P): page(yes="owner,lead,annotator,other annotator,reader", absent="other lead,other reader"),
    ("GET", f"{P}/board"): page(yes="owner,lead,reader", absent="other lead,other reader"),
    ("GET", f"{P}/people"): LEADS_PAGE,
    ("POST", f"{P}/people"): LEADS_PAGE,
    ("POST", f"{P}/guidelines"): LEADS_PAGE,
    ("POST", f"{P}/state"): LEADS_PAGE,
    ("GET", f"{P}/settings"): LEADS_PAGE,
    ("POST", f"{P}/settings"): LEADS_PAGE,
    ("POST", f"{P}/scores"): LEADS_PAGE,
    ("POST", f"{P}/refit"): LEADS_PAGE,
    ("GET", f"{P}/work"): page(
        yes="lead,annotator", absent="other lead,other annotator,other reader", refused="owner,reader"
    ),
    ("POST", f"{P}/work"): page(
        yes="lead,annotator", absent="other lead,other annotator,other reader", refused="owner,reader"
    ),
    ("GET", "/leases/{lease_id}/picture"): may(other=404),  # this item has none; who sees one is tested with the pages
}
ELSEWHERE = ("/label-studio/",)  # a protocol with a way of its own to sign in; its tests are beside it


def routes() -> list[tuple[str, str]]:
    """Every method of every route that the app has."""
    app = make_app(ServiceSettings())
    found = [
        (method, context.path)
        for context in iter_route_contexts(app.routes)
        for method in sorted(context.methods or ())
        if method != "HEAD" and context.path
    ]
    return [(method, path) for method, path in found if not path.startswith(ELSEWHERE)]


def test_every_route_stands_in_the_matrix_and_the_matrix_names_no_other() -> None:
    """A route that is added without saying who may ask it fails here."""
    assert sorted(routes()) == sorted(MATRIX)


# ---- a request that succeeds for who may make it --------------------------------------------------------------------
def fresh_user(house: House) -> dict[str, Any]:
    """A person whom nobody needs."""
    return {"user_id": house.user()[0]}


def fresh_token(house: House) -> dict[str, Any]:
    """A token of the annotator's that may be revoked."""
    user = house.users["annotator"]
    made = house.database.write(lambda connection: add_token(connection, user, "spare", now=0.0))
    return {"user_id": user, "token_id": made.id}


def open_lease(house: House) -> dict[str, Any]:
    """A lease of the annotator's."""
    return {"lease_id": house.next()["id"]}


def answered_lease(house: House) -> dict[str, Any]:
    """A lease that the annotator has answered."""
    lease = house.next()["id"]
    house.submit(lease, [{"task": "tone", "label": "good"}])
    return {"lease_id": lease}


def annotator(house: House) -> dict[str, Any]:
    """The annotator."""
    return {"user_id": house.users["annotator"]}


def a_hook(house: House) -> dict[str, Any]:
    """A hook that may be removed."""
    made = house.call("POST", house.of("/hooks"), {"url": "http://127.0.0.1:9/"}, who="owner")
    return {"hook_id": made.body["id"]}


def an_asset(_house: House) -> dict[str, Any]:
    """A file of the pages."""
    return {"digest": "x", "name": "quorate.css"}


def anew(house: House) -> dict[str, Any]:
    """A campaign that is running, whatever was done to it."""
    house.call("POST", house.of("/state"), {"state": "running"}, who="owner")
    return {}


PREPARED: dict[tuple[str, str], Callable[[House], dict[str, Any]]] = {
    ("PATCH", f"{API}/users/{{user_id}}"): fresh_user,
    ("PUT", f"{C}/members/{{user_id}}"): fresh_user,
    ("DELETE", f"{C}/members/{{user_id}}"): fresh_user,
    ("GET", f"{C}/members/{{user_id}}"): annotator,
    ("GET", f"{API}/users/{{user_id}}/tokens"): annotator,
    ("POST", f"{API}/users/{{user_id}}/tokens"): annotator,
    ("DELETE", f"{API}/users/{{user_id}}/tokens/{{token_id}}"): fresh_token,
    ("POST", f"{API}/leases/{{lease_id}}/submit"): open_lease,
    ("POST", f"{API}/leases/{{lease_id}}/skip"): open_lease,
    ("POST", f"{API}/leases/{{lease_id}}/renew"): open_lease,
    ("POST", f"{API}/leases/{{lease_id}}/undo"): answered_lease,
    ("DELETE", f"{C}/hooks/{{hook_id}}"): a_hook,
    ("POST", f"{C}/hooks/{{hook_id}}/replay"): a_hook,
    ("POST", f"{C}/state"): anew,
    ("POST", f"{P}/state"): anew,
    ("POST", "/account/tokens/{token_id}/revoke"): fresh_token,
    ("GET", "/leases/{lease_id}/picture"): open_lease,
    ("GET", "/static/{digest}/{name}"): an_asset,
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def body_of(method: str, path: str) -> Any:
    """What to send."""
    name = secrets.token_hex(4)
    task = {"name": "t", "classes": ["a", "b"]}
    return {
        ("POST", f"{API}/session"): {"name": "owner", "password": "wrong password"},
        ("POST", f"{API}/me/password"): {"old": "wrong password", "new": "another password"},
        ("POST", f"{API}/users"): {"name": name, "role": "annotator"},
        ("PATCH", f"{API}/users/{{user_id}}"): {"role": "reader"},
        ("POST", f"{API}/users/{{user_id}}/tokens"): {"name": name},
        ("POST", f"{API}/campaigns"): {"name": name, "schema": {"tasks": [task]}},
        ("PATCH", C): {"guidelines": name},
        ("POST", f"{C}/state"): {"state": "paused"},
        ("PUT", f"{C}/members/{{user_id}}"): {"skills": ["french"]},
        ("POST", f"{C}/items"): [{"item": name, "text": "new", "gold": {"tone": "good"}, "anchor": True}],
        ("POST", f"{C}/labels"): [{"item": "i0", "task": "tone", "annotator": "zoe", "label": "good"}],
        ("POST", f"{C}/scores"): [
            {"item": "i0", "task": "tone", "model": "m", "label": "good", "score": 0.75},
            {"item": "i0", "task": "tone", "model": "m", "label": "bad", "score": 0.25},
        ],
        ("POST", f"{API}/leases/{{lease_id}}/submit"): {"answers": [{"task": "tone", "label": "good"}]},
        ("PUT", f"{C}/learning"): {"least_labels": 10**6},
        ("POST", f"{C}/hooks"): {"url": "http://127.0.0.1:9/"},
        ("POST", f"{C}/hooks/{{hook_id}}/replay"): {},
    }.get((method, path))


@pytest.mark.parametrize(("method", "path"), sorted(MATRIX))
def test_every_role_is_let_in_where_it_may_and_nowhere_else(standing: House, method: str, path: str) -> None:
    """The answer to each person is a success, or the very status that the matrix names."""
    house = standing
    wrong: dict[str, tuple[int, int]] = {}
    if path == f"{C}/certificate":  # needs an anchor
        house.call("POST", house.of("/items"), body_of("POST", f"{C}/items"), who="owner")
    for who in EVERYBODY:
        given = {
            "campaign_id": house.campaign,
            "external_id:path": "i0",
            **PREPARED.get((method, path), dict_of)(house),
        }
        asked = path
        for name, value in given.items():
            asked = asked.replace(f"{{{name}}}", str(value))
        found, expected = ask(house, method, asked, body_of(method, path), who), MATRIX[method, path][who]
        if found != expected and not (expected == IN and found == YES):
            wrong[who] = (found, expected)
    anew(house)
    assert not wrong


def dict_of(_house: House) -> dict[str, Any]:
    """Nothing to prepare."""
    return {}


def ask(house: House, method: str, path: str, body: Any, who: str) -> int:
    """What the matrix would say of the answer; of a stream, of its beginning."""
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    if path.endswith("/stream"):
        status, leads_to = stream_status(house, path, who), ""
    else:
        is_form = method == "POST" and not path.startswith(API)
        sent = house.call(
            method,
            path + ("?name=text" if path.endswith("/picture") else ""),
            b"state=paused" if is_form else body,
            who=who,
            headers=headers | (FORM if is_form else {}),
        )
        status, leads_to = sent.status, sent.headers.get("location", "")
    if status == 303:
        return LOGIN if leads_to.startswith("/login?next") else IN
    if status == 422 and not path.startswith(API):
        return IN
    return YES if 200 <= status < 300 else status


def stream_status(house: House, path: str, who: str) -> int:
    """The status of an answer that does not end."""
    import http.client
    from urllib.parse import urlsplit

    connection = http.client.HTTPConnection(urlsplit(house.served.url).netloc, timeout=10)
    sent = {"Authorization": f"Bearer {house.tokens[who]}"} if who != "nobody" else {}
    try:
        connection.request("GET", path, headers=sent)
        return connection.getresponse().status
    finally:
        connection.close()
