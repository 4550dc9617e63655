"""The step of training in a folder: a student for every task, on the corrected labels."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from quorate.act.folder import CORRECTED, MODEL, ActFolder
from quorate.act.ground import read_ground
from quorate.act.students import Progress
from quorate.act.train import Content, Kind, train
from quorate.errors import SettingError
from quorate.llm.items import Items


class Taught(NamedTuple):
    """A student that was kept."""

    task: str
    kind: Kind
    items: int
    reviewed: int
    mended: int  # labels that people changed
    lambda_: float
    place: Path


def teach(
    folder: ActFolder,
    *,
    task: str | None = None,
    lambda_: float | None = None,
    items: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Taught]:
    """A student of the task, or one of each; they lie in `model/TASK`.

    Raises SettingError for a task that was not labeled, or for items of which no student is known.
    """
    ground = read_ground(folder, items=items)
    corrected = folder.table(CORRECTED)
    there = set(corrected["task"].to_pylist())
    questions = [q for q in ground.rubric.questions if q.task.name in there and task in {None, q.task.name}]
    if not questions:
        raise SettingError(f"there is no label of {task!r}; there are labels of {', '.join(sorted(there))}")
    kind, contents = contents_of(ground.items)
    rule = (folder.record("review") or {})["rule"]
    found: list[Taught] = []
    for number, question in enumerate(questions):
        name = question.task.name
        made = train(
            corrected, contents, question.task.classes, task=name, rule=rule, kind=kind, lambda_=lambda_, seed=seed,
            progress=progress,
        )  # fmt: skip
        place = folder.file(MODEL) / _file_name(name, number)
        made.student.save(place)
        found.append(Taught(name, kind, made.items, made.reviewed, made.mended, made.lambda_, place))
    told = "; ".join(f"{each.task}: {each.kind}, {each.items:,} items, {each.mended:,} mended" for each in found)
    folder.note("train", students=[{**each._asdict(), "place": each.place.name} for each in found], told=told)
    return found


def contents_of(items: Items) -> tuple[Kind, dict[str, Content]]:
    """Item to what a student sees: its texts, or its image where there are no texts. Raises SettingError for both."""
    pictures = [column for column in items.images.values() if any(path is not None for path in column)]
    texts = [column for column in items.texts.values() if any(text.strip() for text in column)]
    if pictures and texts:
        raise SettingError("no student reads texts and images together: name one of them in `show` of the rubric")
    if len(pictures) > 1:
        raise SettingError("no student sees several images at once: name one column in `show` of the rubric")
    if pictures:
        return "image", {item: path for item, path in zip(items.ids, pictures[0], strict=True) if path is not None}
    return "text", {item: "\n".join(column[at] for column in texts) for at, item in enumerate(items.ids)}


def _file_name(task: str, number: int) -> str:
    """The task's name where it can be one of a folder."""
    fits = task and all(c.isalnum() or c in "-_ " for c in task) and len(task) <= 80
    return task if fits else f"task-{number + 1}"
