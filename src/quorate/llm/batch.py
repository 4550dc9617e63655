"""Batch files: requests written for a server's batch API, and its results taken home.

A line is `{"custom_id", "method", "url", "body"}`; custom_id is `Request.key()`, so results may come in any order,
twice, in part or never. What is found is written into the journal: a later run asks only for what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from quorate.llm import chat
from quorate.llm.failures import BrokenError, CallError, of_response
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger
from quorate.llm.wire import CANONICAL, Answer, Failure, Request

URL = "/v1/chat/completions"
MOST_LINES = 50_000
MOST_BYTES = 200 * 10**6


class Reconciled(NamedTuple):
    """What a batch gave: every request is answered, failed or missing."""

    answers: dict[str, Answer]  # by key
    failures: dict[str, Failure]  # lines that say an error, or are no answer
    missing: list[Request]  # no line speaks of them, or the batch ran out of time: ask again
    expired: int  # of the missing, those that the server says it had no time for
    repeated: int  # lines beyond the first that answers a call: left aside
    unknown: list[str]  # custom_ids that nobody asked for
    unreadable: int  # lines that are no JSON, or have no custom_id


def write(
    requests: Iterable[Request],
    folder: Path,
    *,
    journal: Journal | None = None,
    length_field: chat.LengthField = "max_completion_tokens",
    most_lines: int = MOST_LINES,
    most_bytes: int = MOST_BYTES,
) -> list[Path]:
    """Files that a batch API takes, one model a file, as many as its limits ask for; their paths, in order.

    Equal requests are written once; what the journal knows is left out, and what is restricted: nobody knows where a
    file goes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {request.key(): request for request in requests if not request.restricted}
    if journal is not None:
        wanted = {key: request for key, request in wanted.items() if journal.find(key) is None}
    ordered = sorted(wanted.items(), key=lambda entry: entry[1].model)  # stable: the order of the requests within
    paths: list[Path] = []
    for _, group in groupby(ordered, key=lambda entry: entry[1].model):
        lines = (_line(key, request, length_field) for key, request in group)
        for chunk in _chunks(lines, most_lines, most_bytes):
            paths.append(folder / f"batch-{len(paths) + 1:03}.jsonl")
            paths[-1].write_text("".join(chunk), encoding="utf-8")
    return paths


def reconcile(
    requests: Iterable[Request],
    results: Sequence[Path],
    *,
    journal: Journal | None = None,
    ledger: Ledger | None = None,
) -> Reconciled:
    """What the files of results (and of errors) say of the requests; written into the journal, if one is given.

    Each answer is booked once, at the price of the batch API, even where the journal or a second file has it already.
    """
    wanted = {request.key(): request for request in requests}
    answers: dict[str, Answer] = {}
    failures: dict[str, Failure] = {}
    expired: set[str] = set()
    unknown: list[str] = []
    repeated = unreadable = 0
    for line in _lines(results):
        key = line.get("custom_id") if line is not None else None
        if line is None or not isinstance(key, str):
            unreadable += 1
        elif key not in wanted:
            unknown.append(key)
        elif key in answers:
            repeated += 1
        elif _code(line) == "batch_expired":
            expired.add(key)
        else:
            said = _said(line, wanted[key])
            if isinstance(said, Answer):
                answers[key] = said
            else:
                failures[key] = said
    if journal is not None:
        _book(wanted, answers, journal, ledger)
    failed = {key: failure for key, failure in failures.items() if key not in answers}
    missing = {key: request for key, request in wanted.items() if key not in answers and key not in failed}
    return Reconciled(answers, failed, [*missing.values()], len(expired & set(missing)), repeated, unknown, unreadable)


def _line(key: str, request: Request, length_field: chat.LengthField) -> str:
    body = chat.body(request, length_field)
    return CANONICAL({"custom_id": key, "method": "POST", "url": URL, "body": body}) + "\n"


def _chunks(lines: Iterable[str], most_lines: int, most_bytes: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for line in lines:
        if chunk and (len(chunk) == most_lines or size + len(line) > most_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)  # ASCII only: a character is a byte
    if chunk:
        yield chunk


def _lines(paths: Sequence[Path]) -> Iterator[Mapping[str, Any] | None]:
    """The lines of all files, None for one that is no JSON object."""
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                if text.strip():
                    yield _object(text)


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _code(line: Mapping[str, Any]) -> str:
    error = line.get("error")
    return str(error.get("code") or "") if isinstance(error, dict) else ""


def _said(line: Mapping[str, Any], request: Request) -> Answer | Failure:
    response, error = line.get("response"), line.get("error")
    try:
        if not isinstance(response, dict):
            raise BrokenError(json.dumps(error) if error else "neither response nor error")
        content = json.dumps(response.get("body"))
        if response.get("status_code") != 200:
            status = response.get("status_code")
            raise of_response(status if isinstance(status, int) else 502, {}, content.encode(), wall_s=0.0)
        return chat.answer(content, request)
    except CallError as failure:
        return Failure(failure.kind, failure.detail, 0)


def _book(
    wanted: Mapping[str, Request], answers: Mapping[str, Answer], journal: Journal, ledger: Ledger | None
) -> None:
    for key, answer in answers.items():
        if journal.find(key) is not None:
            continue
        model = wanted[key].model
        cost = 0 if ledger is None else ledger.book_batch(model, answer.usage)
        journal.answer(journal.send(key, model, 0), key, model, answer, cost)
    journal.flush()
