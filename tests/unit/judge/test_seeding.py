"""The first step: what people grade, what comes back, and that nothing is lost or mixed."""

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import DataError, SchemaError, SettingError
from quorate.judge.folder import TO_GRADE, JudgeFolder
from quorate.judge.seed import ROLES, read_seed
from quorate.judge.seeding import Wish, begin, may_be_shown
from quorate.schema import Schema, Task

TONE = Schema((Task("tone", ("bad", "good")),))
SMALL = Wish(items=12, people=2)


def texts(n: int = 40, *, restricted: tuple[int, ...] = ()) -> Dataset:
    """Items with a text, a topic, and some that nobody outside may see; no grade yet."""
    return Dataset(
        items=pa.table(
            {
                "item": [f"i{k}" for k in range(n)],
                "text": [f"text {k}" for k in range(n)],
                "topic": ["rare" if k % 10 == 0 else "common" for k in range(n)],
                "restricted": [k in restricted for k in range(n)],
            }
        ),
        schema=TONE,
    )


def filled_in(folder: JudgeFolder, who: str) -> pa.Table:
    """The file as one person hands it in: the first row of every item graded, the second left empty."""
    table = pa_csv.read_csv(folder.file(TO_GRADE)).select(["item", "task"])
    rows, seen = [], set()
    for row in table.to_pylist():
        given = row["item"] not in seen
        seen.add(row["item"])
        rows.append({**row, "annotator": who if given else "", "label": "good" if given else ""})
    return pa.Table.from_pylist(rows)


def test_people_get_a_file_with_one_row_for_every_grade(tmp_path):
    """Two people for each item and task, with what they must see, and nothing of a role."""
    folder = JudgeFolder(tmp_path)
    came = begin(folder, texts(), SMALL)
    table = pa_csv.read_csv(folder.file(TO_GRADE))
    assert (came.missing, len(table), came.graded) == (24, 24, 0)
    assert {"item", "task", "annotator", "label", "text", "topic"} <= set(table.column_names)
    assert "role" not in table.column_names
    assert set(came.seed.items) == set(table["item"].to_pylist())


def test_grades_come_in_little_by_little_and_roles_stay(tmp_path):
    """What was graded is wanted no more; a second step changes no role; a later word of a person takes the place."""
    folder = JudgeFolder(tmp_path)
    first = begin(folder, texts(), SMALL)
    half = begin(folder, texts(), SMALL, grades=filled_in(folder, "ann"))
    assert (half.graded, half.missing) == (12, 12)
    whole = begin(folder, texts(), SMALL, grades=filled_in(folder, "bob"))
    assert (whole.graded, whole.missing) == (24, 0)
    assert (whole.seed.items, whole.seed.role) == (first.seed.items, first.seed.role)
    row = {"item": whole.seed.items[0], "task": "tone", "annotator": "ann", "label": "bad"}
    again = begin(folder, texts(), SMALL, grades=pa.Table.from_pylist([row]))
    assert again.graded == 24
    assert row in Dataset.read(folder.file("people")).labels.select(list(row)).to_pylist()


def test_more_items_are_added_without_moving_any(tmp_path):
    """The seed grows; who was an anchor stays one; new gate items give the gate its tries back."""
    folder = JudgeFolder(tmp_path)
    first = begin(folder, texts(), SMALL)
    more = begin(folder, texts(), SMALL._replace(items=24))
    assert set(zip(first.seed.items, first.seed.role, strict=True)) <= set(
        zip(more.seed.items, more.seed.role, strict=True)
    )
    assert len(more.seed.items) == 24
    assert all(len(more.seed.of(role)) > len(first.seed.of(role)) for role in ROLES)
    assert folder.events()[-1].detail["new_gate_items"]
    assert not JudgeFolder(tmp_path).events()[0].detail["people"]
    assert begin(folder, texts(), SMALL._replace(items=24)).standing.stage == "seeded"
    assert not folder.events()[-1].detail["new_gate_items"]
    assert read_seed(folder.file("roles.parquet")).items == more.seed.items


def test_nobody_is_shown_a_restricted_item(tmp_path):
    """However items are chosen, those marked as restricted are not among what people grade."""
    hidden = tuple(range(0, 40, 2))
    for by, column in (("random", None), ("stratum", "topic")):
        folder = JudgeFolder(tmp_path / by)
        came = begin(folder, texts(restricted=hidden), SMALL._replace(by=by, column=column, items=20))
        assert not {f"i{k}" for k in hidden} & set(came.seed.items)
        assert "text 0" not in folder.file(TO_GRADE).read_text().replace("\n", " ").split(",")
    marked = pa.table({"item": ["a", "b", "c"], "restricted": ["yes", None, "no"]})
    assert may_be_shown(marked) == ["b", "c"]


def test_where_people_graded_before_those_items_are_the_seed(tmp_path):
    """Recorded grades are used: nobody is asked twice for what is known."""
    labels = [("i1", "ann"), ("i1", "bob"), ("i2", "ann"), ("i3", "ann"), ("i4", "bob")]
    data = texts()
    known = Dataset(
        labels=pa.table(
            {
                "item": [item for item, _ in labels],
                "task": ["tone"] * 5,
                "annotator": [who for _, who in labels],
                "label": ["good"] * 5,
            }
        ),
        items=data.items,
        schema=TONE,
    )
    came = begin(JudgeFolder(tmp_path), known, SMALL)
    assert set(came.seed.items) == {"i1", "i2", "i3", "i4"}
    assert (came.graded, came.missing) == (5, 3)


@pytest.mark.parametrize(
    ("row", "error", "words"),
    [
        ({"item": "i0x", "task": "tone", "annotator": "ann", "label": "good"}, DataError, "none of the seed"),
        ({"item": None, "task": "tone", "annotator": "", "label": "good"}, DataError, "without a person"),
        ({"item": None, "task": "tune", "annotator": "ann", "label": "good"}, SchemaError, "no task 'tune'"),
        ({"item": None, "task": "tone", "annotator": "ann", "label": "great"}, DataError, "great"),
    ],
)
def test_grades_that_cannot_be_used_change_nothing(tmp_path, row, error, words):
    """The message names the row and the mend; the folder is as it was."""
    folder = JudgeFolder(tmp_path)
    first = begin(folder, texts(), SMALL)
    row = {**row, "item": row["item"] or first.seed.items[0]}
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(error, match=words):
        begin(folder, texts(), SMALL, grades=pa.Table.from_pylist([row]))
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_wishes_that_cannot_be_met_are_refused(tmp_path):
    """Each with what to do instead."""
    folder = JudgeFolder(tmp_path)
    with pytest.raises(SettingError, match="name it"):
        begin(folder, texts(), SMALL._replace(by="stratum"))
    with pytest.raises(SettingError, match="no column 'tpic'"):
        begin(folder, texts(), SMALL._replace(by="stratum", column="tpic"))
    with pytest.raises(SettingError, match="what models say"):
        begin(folder, texts(), SMALL._replace(by="doubt"))
    assert not folder.events()
