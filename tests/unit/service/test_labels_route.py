"""Labels of another place come in over HTTP."""

from __future__ import annotations

import json

import pytest

from quorate.store.overlap import Overlap
from quorate.store.rebuild import compare
from unit.service.loopback import call
from unit.service.test_label_studio import Backend, backend

__all__ = ["backend"]
ROW = {"item": "a", "task": "tone", "annotator": "ann", "label": "good"}


def send(backend: Backend, body: object, kind: str = "application/json", token: str | None = None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token or backend.token}", "Content-Type": kind}
    return call("POST", f"{backend.url}/api/v1/campaigns/{backend.campaign_id}/labels", data, headers)


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/csv"])
def test_a_table_of_labels_is_kept_once(backend, kind):
    """Sent again it changes nothing; another answer of the same person replaces the first."""
    rows = [ROW | {"seconds": 2.5, "created_at": "2026-01-01T00:00:00Z"}, ROW | {"annotator": "bo", "label": "bad"}]

    def table() -> bytes:
        if kind == "text/csv":
            lines = [",".join(rows[0]), *(",".join(str(row.get(name, "")) for name in rows[0]) for row in rows)]
            return "\n".join(lines).encode()
        return json.dumps(rows).encode() if kind == "application/json" else "\n".join(map(json.dumps, rows)).encode()

    first = send(backend, table(), kind)
    assert (first.status, first.body["added"], first.body["closed"]) == (200, 2, 1)
    again = send(backend, table(), kind).body
    assert (again["added"], again["unchanged"]) == (0, 2)
    rows[1]["label"] = "good"
    changed = send(backend, table(), kind).body
    assert (changed["added"], changed["withdrawn"]) == (1, 1)
    assert backend.standing() == {("tone", "ann"): "good", ("tone", "bo"): "good"}
    assert compare(backend.database, Overlap(), backend.campaign_id).differences == ()


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        ({"label": "Bogus"}, "label"),
        ({"task": "taste"}, "task"),
        ({"annotator": ""}, "annotator"),
        ({"annotator": None}, "annotator"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": "long"}, "seconds"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"assisted": "perhaps"}, "assisted"),
        ({"item": [1]}, "item"),
    ],
)
def test_bad_rows_are_told_and_nothing_is_kept(backend, bad, column):
    """With their numbers and columns."""
    answer = send(backend, [ROW, ROW | {"annotator": "bo"} | bad])
    assert answer.status == 422
    assert [(row["row"], row["column"]) for row in answer.body["error"]["rows"]] == [(2, column)]
    assert backend.standing() == {}


def test_what_is_said_twice_too_much_or_of_nothing_is_refused(backend):
    """Two answers of one person to one task; a table that is too long; an item that there is not; a stranger."""
    assert send(backend, [ROW, ROW | {"label": "bad"}]).body["error"]["rows"][0]["row"] == 2
    assert send(backend, [ROW | {"annotator": f"p{n}"} for n in range(5001)]).status == 413
    missing = send(backend, [ROW | {"item": "nowhere"}])
    assert (missing.status, "there is no item" in missing.body["error"]["message"]) == (422, True)
    statuses = {name: send(backend, [ROW], token=token).status for name, token in backend.tokens.items()}
    assert statuses == {"lead": 200, "owner": 200, "annotator": 403, "stranger": 404}
