"""A student: it learns what it is taught, says it of new items, and comes back from its file the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import ArchiveError, DataError, FormatError, MissingExtraError, SchemaError, SettingError
from quorate.judge.student.contents import Contents, contents_of, read_contents
from quorate.judge.student.figures import compared, held_out
from quorate.judge.student.kept import load, save
from quorate.judge.student.lesson import consensus_as_data, lesson, weights_of
from quorate.judge.student.model import Student, taught
from quorate.judge.student.teaching import Source, teach
from quorate.llm.items import Items
from quorate.schema import Schema, Task
from unit.judge.student.lessons import truth, world

DATA = world()
NEW = world(40, seed=8)


def contents(data: Dataset, *, numbers: bool = True) -> Contents:
    """The texts of a world, with its number or without."""
    assert data.items is not None
    found = contents_of(
        Items(tuple(data.items["item"].to_pylist()), {"text": data.items["text"].to_pylist()}, {}, data=data)
    )
    if numbers:
        return found
    return Contents(found.ids, found.texts, np.zeros((len(found), 0), np.float32), np.zeros(len(found), np.float32))


@pytest.fixture(scope="module")
def student() -> Student:
    """Taught by the judge of the world."""
    here = contents(DATA)
    return taught(here, lesson(DATA, here.ids))


def test_it_is_more_often_right_on_new_items_than_its_teacher(student: Student) -> None:
    """Words decide in this world and the judge errs at random: its errors are not learned. Probabilities sum to one."""
    probs = student.predict(contents(NEW))
    judge = lesson(NEW, contents(NEW).ids).of[0].probs
    assert (probs["care"].argmax(axis=1) == truth(NEW)).mean() > (judge.argmax(axis=1) == truth(NEW)).mean()
    for task in ("care", "kind"):
        np.testing.assert_allclose(probs[task].sum(axis=1), 1.0)


def test_its_word_is_a_data_set_whose_grades_are_the_means_of_its_scores(student: Student) -> None:
    """Scores, and a label with confidence for every item and task; grades where classes are a scale only."""
    data = student.label(contents(NEW), "pupil")
    assert data.scores is not None
    assert data.model_labels is not None
    assert data.encode().models == ("pupil",)
    rows = data.model_labels.to_pylist()
    probs = student.predict(contents(NEW))
    graded = [row["grade"] for row in rows if row["task"] == "care"]
    np.testing.assert_allclose(graded, probs["care"] @ [1.0, 2.0, 3.0])
    assert {row["grade"] for row in rows if row["task"] == "kind"} == {None}


def test_teaching_twice_gives_the_same_file_to_the_byte(student: Student, tmp_path: Path) -> None:
    """Nothing is left to chance or to the clock."""
    here = contents(DATA)
    save(student, tmp_path / "one.npz")
    save(taught(here, lesson(DATA, here.ids)), tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_it_comes_back_the_same(student: Student, tmp_path: Path) -> None:
    """Every probability, to the last bit; and what was measured is in the file."""
    save(student, tmp_path / "s.npz", [{"figure": "agreement"}])
    again = load(tmp_path / "s.npz")
    for task, probs in student.predict(contents(NEW)).items():
        np.testing.assert_array_equal(again.predict(contents(NEW))[task], probs)
    assert (again.schema, again.teacher, again.n_taught) == (student.schema, student.teacher, student.n_taught)
    assert [head.losses for head in again.heads] == [head.losses for head in student.heads]
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        assert json.loads(file["head"].tobytes())["figures"] == [{"figure": "agreement"}]


def test_a_torn_or_foreign_file_is_refused(student: Student, tmp_path: Path) -> None:
    """Wherever it is cut, whatever stands there instead: one error that names the file and the mend."""
    save(student, tmp_path / "s.npz")
    data = (tmp_path / "s.npz").read_bytes()
    bad = tmp_path / "bad.npz"
    for part in (b"", data[:100], data[: len(data) // 2], data[:-1], b"PK\x03\x04 nothing", b"{}"):
        bad.write_bytes(part)
        with pytest.raises(ArchiveError, match=r"bad\.npz.*To mend"):
            load(bad)
    for place in range(60, len(data), len(data) // 40):
        bad.write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
        try:
            found = load(bad)
        except ArchiveError:
            continue
        assert found.schema == student.schema  # a byte of the container that nobody reads
    np.savez(bad, slopes=np.zeros(3))
    with pytest.raises(ArchiveError, match="is no student"):
        load(bad)
    with pytest.raises(ArchiveError, match="no such file"):
        load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "quorate ranker"}, "no student"),
        ({"format": 99, "quorate": "9.9"}, "install quorate 9.9"),
        ({"columns": ["text", "title"]}, "do not fit"),
        ({"heads": []}, "do not fit"),
        ({"schema": {"tasks": []}}, "do not fit"),
    ],
)
def test_a_head_that_says_something_else_is_refused(
    change: dict[str, object], message: str, student: Student, tmp_path: Path
) -> None:
    """Another kind, a later format, parts that do not fit the arrays."""
    save(student, tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    head = {**json.loads(arrays["head"].tobytes()), **change}
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(ArchiveError, match=message):
        load(tmp_path / "s.npz")


def test_every_column_has_words_of_its_own() -> None:
    """A word in the first of two answers is not the same word in the second: which is better can be learned."""
    rng = np.random.default_rng(0)
    good, n = rng.integers(0, 2, 80), 80
    first = ["clear right" if each else "vague wrong" for each in good]
    second = ["vague wrong" if each else "clear right" for each in good]
    ids = tuple(map(str, range(n)))
    gold = pa.table({"item": ids, "task": ["best"] * n, "label": np.where(good, "one", "two")})
    here = Contents(ids, {"first": first, "second": second}, np.zeros((n, 0), np.float32), np.zeros(n, np.float32))
    found = taught(here, lesson(Dataset(gold=gold), ids, "people"))
    assert (found.predict(here)["best"].argmax(axis=1) == 1 - good).all()


def test_numbers_teach_where_there_is_no_text() -> None:
    """Given numbers alone are enough, and an item whose number is not known is taken for the mean one."""
    found = contents(DATA)
    bare = Contents(found.ids, {}, found.numbers, found.known, found.names)
    one = taught(bare, lesson(DATA, bare.ids))
    assert np.isfinite(one.heads[0].penalty)
    low, high = (
        one.predict(Contents(("a",), {}, np.array([[x]], np.float32), np.ones(1, np.float32), bare.names))
        for x in (-3, 5)
    )
    assert low["care"][0] @ [1, 2, 3] < high["care"][0] @ [1, 2, 3]
    at_mean = Contents(("a",), {}, one.words.mean[None], np.ones(1, np.float32), bare.names)
    unknown = Contents(("a",), {}, np.zeros((1, 1), np.float32), np.zeros(1, np.float32), bare.names)
    np.testing.assert_allclose(one.predict(unknown)["care"], one.predict(at_mean)["care"], atol=1e-6)


def test_items_that_lack_what_it_reads_are_refused(student: Student) -> None:
    """A missing column or number is named."""
    with pytest.raises(SchemaError, match="x_size"):
        student.predict(contents(NEW, numbers=False))
    with pytest.raises(SchemaError, match="'text'"):
        student.predict(Contents(("a",), {}, np.zeros((1, 1), np.float32), np.ones(1, np.float32), ("x_size",)))


def test_nothing_to_read_or_nobody_to_hear_is_told() -> None:
    """Texts without a word in common, a lesson about other items, fewer items than folds."""
    ids = tuple(f"i{at:04d}" for at in range(6))
    strange = Contents(ids, {"text": list("abcdef")}, np.zeros((6, 0), np.float32), np.zeros(6, np.float32))
    with pytest.raises(DataError, match="no term"):
        taught(strange, lesson(DATA, ids))
    with pytest.raises(DataError, match="says nothing"):
        lesson(DATA, ("x", "y"))
    with pytest.raises(DataError, match="only 3 items"):
        taught(contents(DATA).select(np.arange(3)), lesson(DATA, ids[:3]))


# ---- who teaches ----------------------------------------------------------------------------------------------------
def test_people_teach_the_shares_of_their_labels() -> None:
    """Two people who disagree teach one half each."""
    labels = {"item": ["a", "a", "b"], "task": ["t"] * 3, "annotator": ["ann", "bob", "ann"], "label": ["x", "y", "y"]}
    found = lesson(Dataset(labels=pa.table(labels)), ("b", "a", "c"), "people")
    assert found.of[0].probs.tolist() == [[0, 1], [0.5, 0.5], [0, 0]]
    assert found.of[0].weight.tolist() == [1, 1, 0]


def test_versions_of_a_judge_teach_together_and_rivals_do_not() -> None:
    """Several models without a name are one teacher only where no item has two of them."""
    rows = {"item": ["a", "b"], "task": ["t"] * 2, "model": ["judge v1", "judge v2"], "label": ["x", "y"]}
    assert lesson(Dataset(model_labels=pa.table(rows)), ("a", "b")).teacher == "judge v1 and judge v2"
    both = Dataset(model_labels=pa.table({**rows, "item": ["a", "a"]}))
    with pytest.raises(SettingError, match="several models"):
        lesson(both, ("a",))
    assert lesson(both, ("a",), "judge v2").of[0].probs.tolist() == [[0, 1]]
    with pytest.raises(SettingError, match="no model 'judge v3'"):
        lesson(both, ("a",), "judge v3")


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_consensus_file_teaches_its_probabilities(ending: str, tmp_path: Path) -> None:
    """In every format that `predict` writes; of other tasks or no consensus at all it is refused."""
    from quorate.consensus.registry import estimator
    from quorate.data.write import write_table

    consensus = estimator("majority").fit(DATA).predict(DATA)
    path = tmp_path / f"c.{ending}"
    write_table(consensus.table(), path)
    found = lesson(consensus_as_data(path, DATA.schema), consensus.items)
    np.testing.assert_allclose(found.of[0].probs, consensus.probs("care"), atol=1e-6)
    with pytest.raises(SchemaError, match="no task"):
        consensus_as_data(path, NEW.schema.__class__((NEW.schema.tasks[1],)))
    with pytest.raises(DataError, match="no consensus"):
        consensus_as_data(tmp_path / "no.parquet", DATA.schema)


def test_weights_are_numbers_of_at_least_zero() -> None:
    """A word among them is told with its row."""
    here = contents(DATA)
    assert set(weights_of(here, "worth").tolist()) == {1.0, 2.0}
    with pytest.raises(DataError, match=r"row 1, column 'text'.*is no weight"):
        weights_of(here, "text")
    with pytest.raises(DataError, match="no column 'price'"):
        weights_of(here, "price")


# ---- measured -------------------------------------------------------------------------------------------------------
def test_what_is_held_out_was_graded_and_groups_stay_whole() -> None:
    """A share of all items, of those graded, or all of these; an item of a held-out group teaches nothing."""
    graded = [at < 30 for at in range(100)]
    assert len(held_out(graded, 0.2)) == 20
    assert held_out(graded, 0.5).tolist() == list(range(30))
    assert not len(held_out(graded, 0.0))
    groups = [f"g{at % 10}" for at in range(100)]
    kept = set(held_out(graded, 0.06, groups=groups).tolist())
    assert {groups[at] for at in kept} == {groups[at] for at in kept if graded[at]}
    assert all((at in kept) == (groups[at] in {groups[k] for k in kept}) for at in range(100))
    with pytest.raises(SettingError, match="held out"):
        held_out(graded, 1.0)


def test_figures_stand_beside_the_teacher_and_a_constant() -> None:
    """Every figure of both tasks with an interval round it; where words decide, the student is as good as its judge."""
    here = contents(DATA)
    done = teach(here, Source(DATA, DATA), share=0.4)
    assert done.n_held_out == 48
    assert done.student.n_taught == 72
    found = {(each.task, each.figure, each.party): each for each in done.figures}
    assert {figure for task, figure, _ in found if task == "care"} == {"agreement", "kappa", "mse", "log_loss"}
    assert {figure for task, figure, _ in found if task == "kind"} == {"agreement", "log_loss"}
    for each in done.figures:
        assert each.estimate is not None
        if each.low is not None and each.high is not None:
            assert each.low <= each.estimate <= each.high
    student, constant = found["care", "agreement", "student"], found["care", "agreement", "constant"]
    assert student.low is not None
    assert constant.estimate is not None
    assert student.low > constant.estimate
    ahead = found["care", "agreement", "student - teacher"].estimate
    teacher = found["care", "agreement", "teacher"].estimate
    assert ahead == pytest.approx(student.estimate - teacher)


def test_people_teach_in_place_of_the_judge_where_they_spoke_and_are_not_held_out() -> None:
    """What people say of held-out items moves nothing that is learned; what they say of the others does."""
    here = contents(DATA)
    held = held_out([True] * len(here), 0.4)
    done = teach(here, Source(DATA, DATA, also=DATA), share=0.4)
    assert done.student.teacher == "kind judge and people"
    aside, other = {here.ids[at] for at in held.tolist()}, here.ids[next(at for at in range(120) if at not in held)]
    assert DATA.labels is not None
    for moved, same in ((aside, True), ({other}, False)):
        said = [
            ("1" if row["task"] == "care" else "blame") if row["item"] in moved else row["label"]
            for row in DATA.labels.to_pylist()
        ]
        turned = Dataset(labels=DATA.labels.set_column(3, "label", [said]), schema=DATA.schema)
        again = teach(here, Source(DATA, DATA, also=turned), share=0.4)
        both = [each.student.predict(here)["care"] for each in (done, again)]
        assert np.array_equal(*both) is same


def test_people_may_have_other_classes_in_another_order() -> None:
    """By their names; a task that they were not asked about is the judge's, and so is an item."""
    labels = {"item": ["i0001"], "task": ["kind"], "annotator": ["ann"], "label": ["blame"]}
    people = Dataset(labels=pa.table(labels), schema=Schema((Task("kind", ("other", "blame")),)))
    ids = ("i0000", "i0001")
    heard, both = lesson(DATA, ids, "kind judge"), lesson(DATA, ids, "kind judge").over(lesson(people, ids, "people"))
    np.testing.assert_array_equal(both.of[1].probs[1], [0.0, 1.0])
    np.testing.assert_array_equal(both.of[1].probs[0], heard.of[1].probs[0])
    np.testing.assert_array_equal(both.of[0].probs, heard.of[0].probs)
    assert both.of[1].weight.tolist() == [1.0, 1.0]


def test_a_figure_is_what_it_says() -> None:
    """By hand: one person an item, and a student that is right of two of three."""
    labels = {"item": ["a", "b", "c"], "task": ["care"] * 3, "annotator": ["ann"] * 3, "label": ["1", "2", "3"]}
    people = Dataset(labels=pa.table(labels), schema=world(6).schema)
    probs = {"care": np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, 0]])}
    found = {(each.figure, each.party): each.estimate for each in compared(people, ("a", "b", "c"), probs, {})}
    assert found["agreement", "student"] == pytest.approx(2 / 3)
    assert found["mse", "student"] == pytest.approx(4 / 3)
    assert found["mse", "constant"] == pytest.approx(2 / 3)
    assert found["kappa", "student"] == pytest.approx(0.0)  # of chance, (5 + 2 + 5) / 9 is lost
    assert found["log_loss", "student"] == pytest.approx(-np.log(1e-6) / 3)
    assert found["log_loss", "constant"] == pytest.approx(np.log(3))
    assert ("agreement", "teacher") not in found


def test_groups_widen_the_interval() -> None:
    """Items that are copies of each other tell no more than one of them."""
    n = 20
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(n) < 0.6, 10)
    labels = {"item": [str(at) for at in range(10 * n)], "task": ["kind"] * 10 * n, "annotator": ["ann"] * 10 * n}
    people = Dataset(labels=pa.table({**labels, "label": ["praise"] * 10 * n}), schema=world(6).schema)
    probs = {"kind": np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])}
    groups = [f"g{at // 10}" for at in range(10 * n)]
    alone = compared(people, labels["item"], probs, {})[0]
    grouped = compared(people, labels["item"], probs, {}, groups=groups)[0]
    assert alone.estimate == grouped.estimate
    assert alone.se is not None
    assert grouped.se is not None
    assert grouped.se > 2 * alone.se


# ---- reading --------------------------------------------------------------------------------------------------------
def test_items_come_with_embeddings_beside_them(tmp_path: Path) -> None:
    """A .npy file, a row per item; one that does not fit is told."""
    (tmp_path / "items.csv").write_text("item,text\na,hello there\nb,good bye\n")
    np.save(tmp_path / "e.npy", np.eye(2))
    found = read_contents(tmp_path / "items.csv", None, tmp_path / "e.npy")
    assert found.names == ("embedding_0", "embedding_1")
    assert found.numbers.tolist() == [[1, 0], [0, 1]]
    assert list(found.texts) == ["text"]
    for bad in (np.eye(3), np.array([[1.0], [np.nan]]), np.array(["a", "b"]), np.zeros(2)):
        np.save(tmp_path / "bad.npy", bad)
        with pytest.raises(FormatError, match=r"bad\.npy"):
            read_contents(tmp_path / "items.csv", None, tmp_path / "bad.npy")
    (tmp_path / "bad.npy").write_bytes(b"no array")
    with pytest.raises(FormatError, match="no array"):
        read_contents(tmp_path / "items.csv", None, tmp_path / "bad.npy")


def test_which_columns_are_read_must_be_clear(tmp_path: Path) -> None:
    """`text`, or the only text; of several they must be named, and the message says how."""
    (tmp_path / "two.csv").write_text("item,first,second\na,x,y\n")
    with pytest.raises(DataError, match="--show first,second"):
        read_contents(tmp_path / "two.csv")
    assert list(read_contents(tmp_path / "two.csv", ("second",)).texts) == ["second"]
    (tmp_path / "x.csv").write_text("item,first,second,x_a\na,x,y,1.5\n")
    assert read_contents(tmp_path / "x.csv").names == ("x_a",)
    (tmp_path / "none.jsonl").write_text('{"item": "a", "n": 1}\n')
    with pytest.raises(DataError, match="no text"):
        read_contents(tmp_path / "none.jsonl")


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package and how to install it."""
    monkeypatch.setitem(__import__("sys").modules, "sklearn.feature_extraction.text", None)
    here = contents(DATA)
    with pytest.raises(MissingExtraError, match=r"quorate\[student\]"):
        taught(here, lesson(DATA, here.ids))
