"""Label Studio's export (JSON and JSON_MIN) as a data set.

Each control that asks for classes is a task. An annotation is one person's labels; one that was skipped is none, one
that is ground truth is gold. Where a person answered a task twice, the answer changed last stands. Predictions are
model labels, save our own: a consensus is no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from quorate.data.faults import OnBad
from quorate.data.formats.gathered import Gathered, Imported
from quorate.data.formats.json_tree import Node, read_records
from quorate.data.formats.label_config import Control, read_config
from quorate.data.formats.label_studio_read import (
    KEY,
    Answer,
    Answers,
    Asked,
    asked_by,
    is_assisted,
    item_of,
    person_of,
    read_result,
    score_of,
)
from quorate.data.formats.our_own import OURS, columns_of, read_scores, restriction
from quorate.data.naming import natural_key
from quorate.errors import FormatError
from quorate.schema import Schema

STARS = 5  # of a rating where no configuration says how many
MIN_KEYS = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}  # of JSON_MIN, beside the data


class Said(NamedTuple):
    """An annotation or a prediction, with the task that it is about."""

    item: str
    who: str  # person or model
    answers: Answers
    where: Node
    is_model: bool
    gold: bool = False
    created_at: str | None = None
    changed: tuple[str, int] = ("", 0)  # when it was changed last; then by its number
    seconds: float | None = None
    assisted: bool = False


def from_label_studio(source: Any, *, config: str | None = None, on_bad: OnBad = "raise") -> Imported:
    """A data set from an export file, or from its list of tasks, and what was left out of it.

    config: the project's labeling configuration, which names every class, those that nobody chose too; JSON_MIN needs
    it, since there questions and data stand side by side. Raises DataError that names task and place.

    >>> result = [{"from_name": "tone", "to_name": "t", "type": "choices", "value": {"choices": ["kind"]}}]
    >>> tasks = [{"id": 7, "data": {"t": "Hi"}, "annotations": [{"id": 1, "completed_by": 2, "result": result}]}]
    >>> from_label_studio(tasks).data.labels.select(["item", "annotator", "label"]).to_pylist()
    [{'item': '7', 'annotator': 'label-studio:2', 'label': 'kind'}]
    """
    tasks = read_records(source, "label-studio")
    controls = None if config is None else read_config(config)
    reading = _Reading(controls, tasks[0].source)
    for task in tasks:
        reading.read(task)
    return reading.result(on_bad)


class _Reading:
    """What was read so far."""

    def __init__(self, controls: Sequence[Control] | None, source: str) -> None:
        self._controls = None if controls is None else {control.name: control for control in controls}
        self._said: list[Said] = []
        self._rows = Gathered(source)
        self._left_out: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()

    # ---- tasks ------------------------------------------------------------------------------------------------------
    def read(self, task: Node) -> None:
        """One task of the export, or one row of JSON_MIN."""
        if "data" not in task.object() and "annotations" not in task.object() and "completions" not in task.object():
            self._read_flat(task)
            return
        item, data = item_of(task), task.get("data")
        self._rows.add_item(task.row, item, (columns_of(data.object()) if data else {}) | restriction(task, "meta"))
        ours = self._read_meta(task, item)
        for annotation in _list(task.get("annotations") or task.get("completions")):
            self._read_annotation(item, annotation, ours)
        for prediction in _list(task.get("predictions")):
            self._read_prediction(item, prediction)

    def _read_meta(self, task: Node, item: str) -> dict[str, Node]:
        """The models' scores that our own export keeps there; what it says of each annotation."""
        meta = task.get("meta")
        ours = meta.get(OURS) if meta and isinstance(meta.value, dict) else None
        read_scores(self._rows, item, ours)
        annotations = ours.get("annotations") if ours else None
        return dict(annotations.pairs()) if annotations else {}

    def _read_annotation(self, item: str, annotation: Node, ours: Mapping[str, Node]) -> None:
        if _true(annotation, "was_cancelled"):
            self._notes["skipped by a person"] += 1
            return
        known = _ours(annotation, ours)
        said = Said(
            item,
            _text(known, "annotator") or person_of(annotation.get("completed_by")),
            self._answers(annotation.get("result")),
            annotation,
            is_model=False,
            gold=_true(annotation, "ground_truth"),
            created_at=_text(known, "created_at") or _text(annotation, "created_at"),
            changed=_changed(annotation),
            seconds=_seconds(annotation),
            assisted=is_assisted(annotation) or bool(known and _true(known, "assisted")),
        )
        self._said.append(said)
        snapshot = annotation.get("prediction")
        if snapshot is not None and isinstance(snapshot.value, dict) and snapshot.value.get("result"):
            self._read_prediction(item, snapshot)

    def _read_prediction(self, item: str, prediction: Node) -> None:
        if not isinstance(prediction.value, dict):  # an export lists predictions by their numbers only
            self._notes["predictions of which the export holds only the number"] += 1
            return
        model = _text(prediction, "model_version") or "undefined"
        if model.startswith(OURS):
            self._notes["our own predictions"] += 1
            return
        answers, whole = self._answers(prediction.get("result")), score_of(prediction)
        scored = {name: a._replace(score=whole if a.score is None else a.score) for name, a in answers.items()}
        self._said.append(Said(item, model, scored, prediction, is_model=True, changed=_changed(prediction)))

    def _answers(self, result: Node | None) -> dict[str, Answer]:
        return read_result(result, self._left_out) if self._controls is None else self._of_config(result)

    def _of_config(self, result: Node | None) -> dict[str, Answer]:
        """Regions of the controls in the configuration; others are left out."""
        assert self._controls is not None
        kept: list[Any] = []
        for region in _list(result):
            name = region.get("from_name")
            if name is not None and name.name() in self._controls:
                kept.append(region.value)
            else:
                self._left_out["other controls"] += 1
        return read_result(result._replace(value=kept) if result else None, self._left_out)

    # ---- JSON_MIN ---------------------------------------------------------------------------------------------------
    def _read_flat(self, row: Node) -> None:
        if self._controls is None:
            raise FormatError(
                "this is JSON_MIN, where questions and data stand side by side",
                mend="give the project's labeling configuration too, or export as JSON",
                source=row.source,
                row=row.row,
            )
        item = item_of(row)
        data = {key: value for key, value in row.object().items() if key not in MIN_KEYS | self._controls.keys()}
        self._rows.add_item(row.row, item, columns_of(data))
        answers = {name: _flat(control, at) for name, control in self._controls.items() if (at := row.get(name))}
        if row.get("annotation_id") is None and not answers:
            return
        who = person_of(row.get("annotator"))
        at, seconds = _text(row, "created_at"), _seconds(row)
        changed = _changed(row._replace(value=row.object() | {"id": row.object().get("annotation_id")}))
        self._said.append(
            Said(item, who, answers, row, is_model=False, created_at=at, changed=changed, seconds=seconds)
        )

    # ---- the data set -----------------------------------------------------------------------------------------------
    def result(self, on_bad: OnBad) -> Imported:
        """All of it."""
        schema = self._schema()
        asked = Asked.of(schema)
        for said in self._said:
            found = asked.labels(said.answers)
            each = None if said.seconds is None else said.seconds / max(len(found), 1)
            for task, label in found.items():
                self._add(said._replace(seconds=each), task, label)
        notes = [f"{count:,} results of kind {kind!r}" for kind, count in sorted(self._left_out.items())]
        notes += [f"{count:,} {what}" for what, count in sorted(self._notes.items())]
        return self._rows.result(schema, notes, on_bad)

    def _add(self, said: Said, task: str, label: str) -> None:
        row, rank = said.where.row, said.changed
        if said.is_model:
            confidence = max(
                (a.score for n, a in said.answers.items() if n == task and a.score is not None), default=None
            )
            self._rows.add_model_label(row, said.item, task, said.who, label, confidence, rank=rank)
        elif said.gold:
            self._rows.add_gold(row, said.item, task, label, rank=rank)
        else:
            self._rows.add_label(
                row, said.item, task, said.who, label, said.created_at, said.seconds, said.assisted, rank=rank
            )

    def _schema(self) -> Schema:
        seen: dict[str, dict[str, None]] = {}
        for said in self._said:
            for name, answer in said.answers.items():
                seen.setdefault(name, {}).update(dict.fromkeys(answer.chosen))
        classes = {name: sorted(chosen, key=natural_key) for name, chosen in seen.items()}
        if self._controls is not None:
            return asked_by(list(self._controls.values()), classes)
        return asked_by([self._guess(name, classes[name]) for name in sorted(seen, key=natural_key)], classes)

    def _guess(self, name: str, classes: Sequence[str]) -> Control:
        """A control as its answers show it."""
        answers = [said.answers[name] for said in self._said if name in said.answers]
        multiple = any(len(answer.chosen) != 1 for answer in answers)
        if not all(answer.kind == "rating" for answer in answers):
            return Control(name, "", "choices", tuple(classes), multiple)
        whole = [int(label) for label in classes if label.isdigit() and len(label) < 4]
        stars = range(1, max(STARS, *whole, 0) + 1) if len(whole) == len(classes) else ()
        return Control(name, "", "rating", tuple(map(str, stars)) or tuple(classes), ordered=True)


# ---- small parts ----------------------------------------------------------------------------------------------------
def _list(node: Node | None) -> list[Node]:
    return [] if node is None else list(node.each())


def _ours(annotation: Node, ours: Mapping[str, Node]) -> Node | None:
    """What our own export says of the annotation, which its regions' ids name."""
    ids = [region.get("id") for region in _list(annotation.get("result"))] if ours else []
    return next((ours[each.name()[:KEY]] for each in ids if each and each.name()[:KEY] in ours), None)


def _true(node: Node, key: str) -> bool:
    found = node.get(key)
    return found is not None and found.truth()


def _text(node: Node | None, key: str) -> str | None:
    found = node.get(key) if node else None
    return found.name() if found else None


def _changed(node: Node) -> tuple[str, int]:
    """Later is larger: ISO times of one server sort as text."""
    number = node.get("id")
    at = _text(node, "updated_at") or _text(node, "created_at") or ""
    return at, int(number.value) if number and isinstance(number.value, int) else 0


def _seconds(node: Node) -> float | None:
    found = node.get("lead_time")
    return found.number() if found and found.number() >= 0 else None


def _flat(control: Control, value: Node) -> Answer:
    """A control's cell of JSON_MIN: one value, {"choices": [...]}, or a list of values or objects."""
    if isinstance(value.value, dict):
        value = value.need("choices" if control.kind == "choices" else "rating")
    parts = list(value.each()) if isinstance(value.value, list) else [value]
    plain = [part.need("rating") if isinstance(part.value, dict) else part for part in parts]
    return Answer(control.kind, tuple(dict.fromkeys(part.name() for part in plain)), None, value)
