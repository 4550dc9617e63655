"""Coded data sets: what stands where, and the parts of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SchemaError
from quorate.schema import Schema, Task
from unit.data.small import SCHEMA, dataset, labels, scores, world

SEEDS = st.integers(0, 1000)
quick = settings(deadline=None, max_examples=10)


def people(coded: Coded) -> list[tuple[str, str, str, str]]:
    """Labels in words, in their order: item, task, annotator ("?" where unknown), label."""
    item, task = np.divmod(coded.cell_of_label(), coded.n_tasks)
    who = [coded.annotators[a] if a >= 0 else "?" for a in coded.labels.annotator]
    tasks = [coded.schema.tasks[t] for t in task]
    what = [entry.classes[code] for entry, code in zip(tasks, coded.labels.code, strict=True)]
    return list(zip([coded.items[i] for i in item], [entry.name for entry in tasks], who, what, strict=True))


def machines(coded: Coded) -> dict[tuple[str, str, str], tuple[int, dict[str, float], str]]:
    """What the models said, in words: kind, score per class, answer."""
    return {
        (coded.items[i], task.name, coded.models[m]): (
            int(output.kind[i, m]),
            dict(zip(task.classes, output.scores[i, m].tolist(), strict=True)),
            task.classes[output.answer[i, m]],
        )
        for task, output in zip(coded.schema.tasks, coded.outputs, strict=True)
        for i, m in zip(*np.nonzero(output.kind), strict=True)
    }


def golden(coded: Coded) -> dict[tuple[str, str], str]:
    """Gold in words."""
    return {
        (coded.items[i], coded.schema.tasks[t].name): coded.schema.tasks[t].classes[coded.gold[i, t]]
        for i, t in zip(*np.nonzero(coded.gold >= 0), strict=True)
    }


def rows(table: pa.Table, *columns: str) -> list[tuple]:
    return list(zip(*(table[column].to_pylist() for column in columns), strict=True))


@quick
@given(SEEDS)
def test_the_arrays_say_what_the_tables_say(seed):
    """Decoded again, every label, score, answer and gold label stands where its row says."""
    tables, coded = world(seed), dataset(seed).encode()
    assert sorted(people(coded)) == sorted(rows(tables["labels"], "item", "task", "annotator", "label"))
    assert golden(coded) == {(i, t): label for i, t, label in rows(tables["gold"], "item", "task", "label")}
    said = machines(coded)
    expected = {(i, t, m): {} for i, t, m in rows(tables["scores"], "item", "task", "model")}
    for i, t, m, label, score in rows(tables["scores"], "item", "task", "model", "label", "score"):
        expected[i, t, m][label] = score
    hard = {(i, t, m): label for i, t, m, label in rows(tables["model_labels"], "item", "task", "model", "label")}
    assert said.keys() == expected.keys() | hard.keys()
    for key, (kind, vector, answer) in said.items():
        scored = expected.get(key, {hard.get(key, ""): 1.0})
        assert kind == (1 if key in expected else 2)
        assert answer == hard.get(key, max(scored, key=lambda label: scored[label]))
        assert vector == pytest.approx({label: scored.get(label, 0.0) for label in vector}, abs=1e-6)


def test_items_stand_in_the_order_of_their_first_row():
    """Labels, then scores, model labels, gold, items; people and models by name."""
    data = Dataset(
        items=pa.table({"item": ["z", "a", "new"]}),
        gold=pa.table({"item": ["g", "a"], "task": ["food"] * 2, "label": ["good"] * 2}),
        model_labels=pa.table({"item": ["m"], "task": ["food"], "model": ["m2"], "label": ["bad"]}),
        scores=scores({("s", "food", "m10"): {"bad": 0.5, "good": 0.5}}),
        labels=labels(("b", "food", "zoe", "good"), ("a", "food", "ann", "bad"), ("b", "food", "bo", "bad")),
    )
    coded = data.encode()
    assert coded.items == ("b", "a", "s", "m", "g", "z", "new")
    assert coded.annotators == ("ann", "bo", "zoe")
    assert coded.models == ("m10", "m2")
    assert (coded.n_items, coded.n_tasks) == (7, 1)
    assert coded.labels.start.tolist() == [0, 2, 3, 3, 3, 3, 3, 3]


def test_a_tie_of_scores_answers_the_first_class():
    """As `argmax` does; the hard answer, where there is one, goes before."""
    table = scores({("a", "food", "m"): {"good": 0.5, "bad": 0.5}, ("b", "food", "m"): {"good": 0.5, "bad": 0.5}})
    hard = pa.table({"item": ["b"], "task": ["food"], "model": ["m"], "label": ["good"]})
    output = Dataset(scores=table, model_labels=hard, schema=SCHEMA).encode().outputs[0]
    assert output.answer[:, 0].tolist() == [0, 1]
    assert output.kind[:, 0].tolist() == [1, 1]


@quick
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_rows_is_the_order_of_arrival_and_nothing_else(seed, random):
    """Permuted rows give the same data set, up to the order of items and of labels in a cell."""
    tables = world(seed)
    places = {name: random.sample(range(len(table)), len(table)) for name, table in tables.items()}
    one = Dataset(**tables, schema=SCHEMA).encode()
    other = Dataset(**{name: table.take(places[name]) for name, table in tables.items()}, schema=SCHEMA).encode()
    assert sorted(one.items) == sorted(other.items)
    assert (one.annotators, one.models) == (other.annotators, other.models)
    same = other.select(np.array([other.items.index(item) for item in one.items]))
    assert sorted(people(one)) == sorted(people(same))
    np.testing.assert_array_equal(one.labels.start, same.labels.start)
    np.testing.assert_array_equal(one.gold, same.gold)
    np.testing.assert_array_equal(one.features, same.features)
    for mine, yours in zip(one.outputs, same.outputs, strict=True):
        np.testing.assert_array_equal(mine.scores, yours.scores)
        np.testing.assert_array_equal(mine.answer, yours.answer)


@quick
@given(SEEDS)
def test_renaming_only_renames(seed):
    """New names that keep the order of the old ones leave every array as it is."""
    tables = world(seed)
    renamed = {
        name: pa.table(
            {
                c: [f"~{v}" for v in t[c].to_pylist()] if c in {"item", "annotator", "model"} else t[c]
                for c in t.column_names
            }
        )
        for name, t in tables.items()
    }
    one, other = Dataset(**tables, schema=SCHEMA).encode(), Dataset(**renamed, schema=SCHEMA).encode()
    assert other.items == tuple(f"~{item}" for item in one.items)
    for mine, yours in zip(one.labels, other.labels, strict=True):
        np.testing.assert_array_equal(mine, yours)
    np.testing.assert_array_equal(one.gold, other.gold)


@quick
@given(SEEDS, st.data())
def test_chosen_items_keep_all_that_was_said_of_them(seed, data):
    """In the order asked for, items twice if asked twice."""
    coded = dataset(seed).encode()
    index = np.array(data.draw(st.lists(st.integers(0, coded.n_items - 1), max_size=8)), np.int64)
    part = coded.select(index)
    assert part.items == tuple(coded.items[i] for i in index)
    for place, i in enumerate(index):
        mine = [label for label in people(coded) if label[0] == coded.items[i]]
        cells = slice(part.labels.start[place * part.n_tasks], part.labels.start[(place + 1) * part.n_tasks])
        assert people(part)[cells] == mine
        np.testing.assert_array_equal(part.gold[place], coded.gold[i])
        np.testing.assert_array_equal(part.features[place], coded.features[i])
        for task in range(coded.n_tasks):
            np.testing.assert_array_equal(part.outputs[task].scores[place], coded.outputs[task].scores[i])


@quick
@given(SEEDS, st.integers(0, 4))
def test_first_labels_are_the_first_of_every_cell(seed, n):
    """At most n per item and task, in order of arrival; nothing else changes."""
    coded = dataset(seed).encode()
    first = coded.first_labels(n)
    expected = []
    for cell in range(coded.n_items * coded.n_tasks):
        expected += people(coded)[coded.labels.start[cell] : coded.labels.start[cell + 1]][:n]
    assert people(first) == expected
    assert first.items == coded.items
    assert first.outputs is coded.outputs


@quick
@given(SEEDS)
def test_counts_count_the_labels(seed):
    """Per item and class; without labels there are none."""
    coded = dataset(seed).encode()
    for t, task in enumerate(coded.schema.tasks):
        counts = coded.counts(t)
        assert counts.shape == (coded.n_items, len(task.classes))
        for i, item in enumerate(coded.items):
            for k, label in enumerate(task.classes):
                assert counts[i, k] == sum(
                    (row[0], row[1], row[3]) == (item, task.name, label) for row in people(coded)
                )
        assert not coded.without_labels().counts(t).any()


def test_kept_labels_are_those_of_the_mask():
    """The rows of the table stay known."""
    coded = dataset(3).encode()
    mask = np.arange(len(coded.labels.code)) % 3 == 0
    kept = coded.keep_labels(mask)
    assert people(kept) == [label for label, chosen in zip(people(coded), mask, strict=True) if chosen]
    np.testing.assert_array_equal(kept.labels.row, coded.labels.row[mask])


# ---- the vocabulary of a fitted model -------------------------------------------------------------------------------

WIDER = Schema(
    (Task("size", ("small", "large")), Task("stars", ("0", "3", "2", "1")), Task("food", ("good", "bad", "none")))
)


@quick
@given(SEEDS)
def test_aligned_data_says_the_same_in_other_codes(seed):
    """What the fitted model knows stays; unknown people are "?", unknown models are gone, absent tasks are empty."""
    coded = dataset(seed).encode()
    aligned = coded.aligned(WIDER, ("p4", "p1", "stranger"), ("new", "m2"))
    assert aligned.schema == WIDER
    known = {"p1", "p4"}
    expected = [(i, t, a if a in known else "?", label) for i, t, a, label in people(coded)]
    assert sorted(people(aligned)) == sorted(expected)
    assert golden(aligned) == golden(coded)
    said = {key: value for key, value in machines(coded).items() if key[2] == "m2"}
    there = machines(aligned)
    assert there.keys() == said.keys()
    for key, (kind, vector, answer) in said.items():
        assert there[key][0] == kind
        assert there[key][2] == answer
        assert {k: there[key][1][k] for k in vector} == vector
    assert aligned.outputs[0].kind.shape == (coded.n_items, 2)
    assert not aligned.outputs[0].kind.any()


def test_labels_of_a_cell_keep_their_order_when_aligned():
    """Arrival is not a matter of codes."""
    coded = dataset(5).encode()
    aligned = coded.aligned(WIDER, coded.annotators, coded.models)
    for item in coded.items:
        for task in coded.schema.tasks:
            mine = [label for label in people(coded) if label[:2] == (item, task.name)]
            assert [label for label in people(aligned) if label[:2] == (item, task.name)] == mine


def test_data_in_the_same_vocabulary_is_left_alone():
    """No copy for nothing."""
    coded = dataset().encode()
    assert coded.aligned(coded.schema, coded.annotators, coded.models) is coded


def test_a_task_or_class_that_the_model_does_not_know_is_told():
    """It cannot be guessed; the error names it and what is known."""
    coded = dataset().encode()
    with pytest.raises(SchemaError, match="task 'stars' is unknown to the fitted model, which knows 'food'"):
        coded.aligned(Schema((SCHEMA.tasks[0],)), (), ())
    narrow = Schema((SCHEMA.tasks[0], Task("stars", ("1", "2"))))
    with pytest.raises(SchemaError, match="class '3' of task 'stars' is unknown") as caught:
        coded.aligned(narrow, (), ())
    assert "fit on data that has this class" in caught.value.mend


def test_an_empty_data_set_has_empty_parts():
    """No item is an answer, too."""
    none = dataset().encode().select(np.zeros(0, np.int64))
    assert (none.n_items, len(none.labels.code)) == (0, 0)
    assert none.first_labels(2).counts(0).shape == (0, 2)
    assert none.aligned(WIDER, (), ()).gold.shape == (0, 3)
