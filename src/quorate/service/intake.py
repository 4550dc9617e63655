"""Rows of an upload as the store takes them: items, and scores of models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import IO, Any, Literal

from quorate.data.restricted import RESTRICTED, is_restricted
from quorate.errors import DataError
from quorate.schema import Schema
from quorate.service.problems import MOST_ROWS, Refusal, RowProblem
from quorate.service.uploads import Row, problem_of, read_rows
from quorate.store.items import NewItem, check_item

Ids = Literal["given", "content"]
OWN = ("item", "content", "gold", "anchor", "restricted", "scores")  # columns with a meaning; all others are content


def items_of(file: IO[bytes], kind: str, schema: Schema, ids: Ids) -> Iterator[NewItem]:
    """The items of a table that was checked."""
    for row in read_rows(file, kind):
        yield _item(row, schema, ids)


def check_items(file: IO[bytes], kind: str, schema: Schema, ids: Ids) -> int:
    """How many rows there are. Raises Refusal that tells the bad ones, the first hundred."""
    problems: list[RowProblem] = []
    seen: dict[str, int] = {}
    count = 0
    for row in read_rows(file, kind):
        count += 1
        found = _item_problem(row, schema, ids, seen)
        problems += [found] if found else []
        if len(problems) == MOST_ROWS:
            break
    _refuse(problems)
    return count


def scores_of(file: IO[bytes], kind: str, schema: Schema) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Item, task, model, class to score. Raises Refusal that tells the bad rows, the first hundred."""
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    problems: list[RowProblem] = []
    for row in read_rows(file, kind):
        try:
            item, task, model, label, score = _score(row, schema)
            said = found.setdefault(item, {}).setdefault(task, {}).setdefault(model, {})
            if label in said:
                raise _bad("this score is there twice", "give every class one score", row, "label")
            said[label] = score
        except DataError as error:
            problems.append(RowProblem(row=row.number, column=error.column, message=problem_of(error)))
        if len(problems) == MOST_ROWS:
            break
    _refuse(problems)
    return found


# ---- items ----------------------------------------------------------------------------------------------------------
def _item_problem(row: Row, schema: Schema, ids: Ids, seen: dict[str, int]) -> RowProblem | None:
    try:
        item = _item(row, schema, ids)
        check_item(schema, item, row.number)
        if item.external_id in seen:
            raise _bad(f"item {item.external_id!r} is in row {seen[item.external_id]} too", "name it once", row, "item")
        seen[item.external_id] = row.number
    except DataError as error:
        return RowProblem(row=row.number, column=error.column, message=problem_of(error))
    return None


def _item(row: Row, schema: Schema, ids: Ids) -> NewItem:
    """The item of a row; columns without a meaning of their own are its content. Raises DataError."""
    if row.problem:
        raise _bad(row.problem, "mend or remove the row", row, None)
    values = row.values
    content = _object(values.get("content"))
    rest = {name: value for name, value in values.items() if name not in OWN and not name.startswith("gold.")}
    content = {**content, **rest} if isinstance(content, dict) else rest | ({"content": content} if content else {})
    return NewItem(
        _external_id(row, content, ids),
        content,
        _gold(row, schema),
        _flag(row, "anchor"),
        any(_flag(row, name) for name in row.values if name.strip().casefold() == RESTRICTED),
        _nested_scores(row, schema),
    )


def _object(value: Any) -> Any:
    """An object that a CSV or Parquet cell holds as text, as exports write it."""
    if not (isinstance(value, str) and value.startswith("{")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _external_id(row: Row, content: Mapping[str, Any], ids: Ids) -> str:
    given = row.values.get("item")
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    if isinstance(given, str) and given:
        return given
    if given is None and ids == "content":
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]
    raise _bad("the row names no item", "add a column 'item', or send ?ids=content", row, "item")


def _gold(row: Row, schema: Schema) -> dict[str, str] | None:
    given = _object(row.values.get("gold") or {})
    if not isinstance(given, dict):
        raise _bad("gold is no object", "write {task: class}", row, "gold")
    flat = {name.removeprefix("gold."): value for name, value in row.values.items() if name.startswith("gold.")}
    gold = {**given, **flat}
    for task, label in gold.items():
        if task not in schema.code_of or not isinstance(label, str):
            known = ", ".join(map(repr, schema.code_of))
            raise _bad(f"gold names a class, as text, of {known}; not of {task!r}", "mend the gold", row, "gold")
    return gold or None


def _flag(row: Row, name: str) -> bool:
    given = row.values.get(name)
    found = is_restricted(given)
    if found is None:
        raise _bad(f"{given!r} is neither true nor false", "write true or false", row, name)
    return found


def _nested_scores(row: Row, schema: Schema) -> dict[str, dict[str, dict[str, float]]] | None:
    """Task, model, class to score, as an item may bring them."""
    given = row.values.get("scores")
    if given is None:
        return None
    try:
        return {
            task: {model: {label: _number(score) for label, score in said.items()} for model, said in models.items()}
            for task, models in given.items()
            if schema.task(task)
        }
    except (AttributeError, TypeError, ValueError):
        raise _bad("scores are no numbers by class", "write {task: {model: {class: score}}}", row, "scores") from None


# ---- scores ---------------------------------------------------------------------------------------------------------
def _score(row: Row, schema: Schema) -> tuple[str, str, str, str, float]:
    if row.problem:
        raise _bad(row.problem, "mend or remove the row", row, None)
    for name in ("item", "task", "model", "label", "score"):
        if name not in row.values:
            raise _bad("the cell is missing", "give item, task, model, label and score", row, name)
    item, task, model, label = (str(row.values[name]) for name in ("item", "task", "model", "label"))
    if task not in schema.code_of or label not in schema.task(task).code_of:
        raise _bad(f"there is no task {task!r} with a class {label!r}", "use the schema's", row, "label")
    if not 0 < len(model) <= 200:
        raise _bad("a model's name has 1 to 200 characters", "shorten it", row, "model")
    try:
        return item, task, model, label, _number(row.values["score"])
    except (TypeError, ValueError):
        raise _bad(
            f"{row.values['score']!r} is no number from 0 to 1", "give a score from 0 to 1", row, "score"
        ) from None


# ---- parts ----------------------------------------------------------------------------------------------------------
def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise ValueError
    return number


def _bad(problem: str, mend: str, row: Row, column: str | None) -> DataError:
    return DataError(problem, mend=mend, row=row.number, column=column)


def _refuse(problems: list[RowProblem]) -> None:
    if problems:
        first = problems[0]
        path = f"body.rows[{first.row}]" + (f".{first.column}" if first.column else "")
        more = f" ({len(problems)} bad rows in all)" if len(problems) > 1 else ""
        raise Refusal(422, f"row {first.row}: {first.message}{more}", path=path, rows=problems)
