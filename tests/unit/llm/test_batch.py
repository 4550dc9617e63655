"""Laws of batch files; a batch that comes back in every wrong way is in tests/acceptance/test_llm_faults.py."""

from __future__ import annotations

import json
from pathlib import Path

from calls import request, requests
from quorate.llm import batch
from quorate.llm.journal import Journal
from quorate.llm.wire import Answer, Usage


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_what_a_call_says_under_the_key_of_its_request(tmp_path: Path):
    """custom_id is the key; the body is that of the call."""
    [path] = batch.write([request(1)], tmp_path)
    [line] = _lines(path)
    assert line["custom_id"] == request(1).key()
    assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
    assert line["body"]["model"] == "fake-small"


def test_files_keep_to_the_limits_and_hold_one_model_each(tmp_path: Path):
    """At most so many lines and bytes a file, one model a file, every request once."""
    wanted = [request(item, model=model) for item in range(25) for model in ("b", "a")]
    paths = batch.write([*wanted, *wanted], tmp_path, most_lines=10, most_bytes=4_000)
    models = [{line["body"]["model"] for line in _lines(path)} for path in paths]
    assert all(len(names) == 1 for names in models)
    assert all(len(_lines(path)) <= 10 and path.stat().st_size <= 4_000 for path in paths)
    written = [line["custom_id"] for path in paths for line in _lines(path)]
    assert sorted(written) == sorted(r.key() for r in wanted)


def test_what_the_journal_knows_is_not_written(tmp_path: Path):
    """A second batch holds the rest only; where nothing is left there is no file."""
    with Journal() as journal:
        key = request(1).key()
        journal.answer(journal.send(key, "m", 0), key, "m", Answer("A", None, "stop", Usage(1, 1), "m"), 0)
        [path] = batch.write(requests(3), tmp_path, journal=journal)
        assert len(_lines(path)) == 2
        assert batch.write([request(1)], tmp_path, journal=journal) == []


def test_without_results_everything_is_missing():
    """Nothing is made up."""
    found = batch.reconcile(requests(3), [])
    assert found.missing == requests(3)
    assert not found.answers


def test_a_line_with_strange_fields_is_a_failure_of_its_request_alone(tmp_path: Path):
    """Whatever a line holds, reconciling goes on."""
    wanted = requests(6)
    strange = [None, 7, {"status_code": 200, "body": None}, {"status_code": "x"}, {"status_code": 500, "body": []}]
    lines = [{"custom_id": r.key(), "response": s} for r, s in zip(wanted, strange, strict=False)]
    path = tmp_path / "out.jsonl"
    path.write_text("\n".join(map(json.dumps, [*lines, [], 3, {"custom_id": 5}])))
    found = batch.reconcile(wanted, [path])
    assert (len(found.failures), found.unreadable, found.missing) == (5, 3, wanted[5:])
