"""The loop, several tasks at once, embeddings of texts, and what a data set says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import DataError, SettingError
from quorate.select.embeddings import embedded
from quorate.select.evidence import labeled_enough, places_of, said_by
from quorate.select.loop import Loop, Round, Task, labels_to_reach, mean_curve, run, saving
from quorate.select.names import STRATEGIES
from quorate.select.strategies import Pool, select
from quorate.select.tasks import select_all


def task(seed: int = 0, n: int = 240) -> tuple[Task, np.ndarray]:
    """Three classes that a line tells apart, of unequal size; 80 items to measure on."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, n, p=[0.7, 0.2, 0.1])
    rows = rng.normal(size=(n, 4)) + 3.0 * np.eye(3, 4)[codes]
    return Task(rows[80:], rows[:80], codes[:80], 3), codes[80:]


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "worth"])
def test_no_item_is_asked_twice_and_the_loop_ends_where_it_is_told(strategy: str) -> None:
    """Every strategy: labels grow by the batch to the most; the same seed gives the same curve."""
    of, known = task()
    asked: list[int] = []

    def ask(places: np.ndarray) -> np.ndarray:
        asked.extend(places.tolist())
        return known[places]

    curve = run(of, ask, strategy, Loop(batch=15, first=10, most=50), seed=3)
    assert [each.labels for each in curve] == [10, 25, 40, 50]
    assert len(set(asked)) == len(asked) == 50
    assert run(of, known.__getitem__, strategy, Loop(batch=15, first=10, most=50), seed=3) == curve


def test_it_stops_at_the_target_and_all_strategies_begin_alike() -> None:
    """The first round that reaches the target is the last; first batches of a seed are the same."""
    of, known = task()
    whole = run(of, known.__getitem__, "entropy", Loop(10, 10, 100), seed=1)
    target = whole[3].accuracy
    reached = next(at for at, each in enumerate(whole) if each.accuracy >= target)
    assert run(of, known.__getitem__, "entropy", Loop(10, 10, 100, target), seed=1) == whole[: reached + 1]
    assert run(of, known.__getitem__, "random", Loop(10, 10, 100), seed=1)[0] == whole[0]


def test_a_first_batch_of_one_class_is_no_end() -> None:
    """Nothing can be learned of it, and the loop goes on."""
    of, known = task()
    same = replace_first(of, known)
    curve = run(same[0], same[1].__getitem__, "margin", Loop(5, 5, 40), seed=0)
    assert curve[-1].labels == 40


def replace_first(of: Task, known: np.ndarray) -> tuple[Task, np.ndarray]:
    """The same world, in which the first five that seed 0 draws are of one class."""
    codes = known.copy()
    codes[np.random.default_rng(0).permutation(len(known))[:5]] = 0
    return of, codes


def test_what_cannot_run_is_refused() -> None:
    """Unknown strategies, and sizes that cannot be."""
    of, known = task()
    for strategy, loop, says in (
        ("best", Loop(), "no strategy 'best'"),
        ("worth", Loop(), "for a loop"),
        ("random", Loop(first=200), "first 200"),
    ):
        with pytest.raises(SettingError, match=says):
            run(of, known.__getitem__, strategy, loop)


def test_labels_to_reach_lie_on_the_line_between_rounds() -> None:
    """By hand; None where it is never reached."""
    curve = [Round(10, 0.5), Round(20, 0.7), Round(30, 0.9)]
    assert labels_to_reach(curve, 0.6) == pytest.approx(15)
    assert labels_to_reach(curve, 0.9) == pytest.approx(30)
    assert labels_to_reach(curve, 0.4) == 10
    assert labels_to_reach(curve, 0.95) is None
    assert [tuple(each) for each in mean_curve([curve[:2], [Round(10, 0.7), Round(20, 0.9)]])] == [
        (10, pytest.approx(0.6)), (20, pytest.approx(0.8))
    ]  # fmt: skip


def test_the_saving_of_random_order_itself_is_nothing_and_of_a_faster_one_its_share() -> None:
    """A curve that is twice as fast needs half the labels, with an interval that holds it."""
    rng = np.random.default_rng(0)
    slow = [[Round(n, 0.5 + n / 400 + 0.001 * rng.normal()) for n in range(20, 201, 20)] for _ in range(12)]
    fast = [[Round(n, 0.5 + n / 200 + 0.001 * rng.normal()) for n in range(20, 201, 20)] for _ in range(12)]
    half, whole = saving(fast, slow), saving(slow, slow)
    assert half is not None
    assert whole is not None
    assert half.estimate == pytest.approx(0.5, abs=0.01)
    assert half.low <= half.estimate <= half.high
    assert whole.estimate == pytest.approx(1.0, abs=1e-9)
    assert saving([], []) is None
    to_target = saving(fast, slow, target=0.7)
    assert to_target is not None
    assert to_target.estimate == pytest.approx(0.5, abs=0.01)


def test_a_curve_that_stopped_stays_where_it_was() -> None:
    """In the mean over seeds; where the target is never reached all labels count."""
    stopped, on = [Round(10, 0.5), Round(20, 0.9)], [Round(10, 0.5), Round(20, 0.6), Round(30, 0.7)]
    assert [each.labels for each in mean_curve([stopped, on])] == [10, 20, 30]
    assert [each.accuracy for each in mean_curve([stopped, on])] == pytest.approx([0.5, 0.75, 0.8])
    found = saving([stopped], [on], target=0.9)
    assert found is not None
    assert found.estimate == pytest.approx(20 / 30)


# ---- several tasks --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name not in {"worth", "random"}])
def test_two_tasks_alike_are_chosen_as_one(strategy: str) -> None:
    """The mean over equal tasks is that of one, and distances of gradients are as the others."""
    rng = np.random.default_rng(2)
    committee = rng.dirichlet(np.ones(3), (3, 60))
    pool = Pool(probs=committee.mean(axis=0), rows=rng.normal(size=(60, 4)), committee=committee,
                labeled=np.arange(60) < 9)  # fmt: skip
    one, two = select_all(strategy, [pool], 8, seed=4), select_all(strategy, [pool, pool], 8, seed=4)
    assert one.places.tolist() == two.places.tolist() == select(strategy, pool, 8, seed=4).places.tolist()


def test_the_worth_of_an_item_is_the_mean_over_its_tasks() -> None:
    """An item that is unsure on both tasks comes before one that is so on one."""
    sure, even = [1.0, 0.0], [0.5, 0.5]
    first = Pool(probs=np.array([even, even, sure]))
    second = replace(first, probs=np.array([sure, even, sure]))
    found = select_all("entropy", [first, second], 2)
    assert found.places.tolist() == [1, 0]
    assert found.criterion.tolist() == [1.0, 0.5]
    with pytest.raises(SettingError, match="no task"):
        select_all("entropy", [], 2)


# ---- embeddings -----------------------------------------------------------------------------------------------------
def test_texts_with_words_in_common_lie_close() -> None:
    """Directions of length 1; the same text is the same place; no known word is nowhere."""
    texts = ["the red kettle leaks", "a red kettle", "the train was late", "a late train", "zzz", "a red kettle"] * 2
    rows = embedded({"text": texts})
    lengths = np.sqrt((rows * rows).sum(axis=1))
    assert set(lengths.round(4).tolist()) <= {0.0, 1.0}
    assert rows[0] @ rows[1] > rows[0] @ rows[2]
    np.testing.assert_allclose(rows[7], rows[11], atol=1e-6)
    many = embedded({"text": [f"word{at % 40} and word{at % 7} on word{at % 11}" for at in range(300)]}, 8)
    assert many.shape == (300, 8)
    assert np.array_equal(
        many, embedded({"text": [f"word{at % 40} and word{at % 7} on word{at % 11}" for at in range(300)]}, 8)
    )


def test_texts_without_words_are_refused() -> None:
    """The error says how to mend it."""
    with pytest.raises(DataError, match="no word stands in two items"):
        embedded({"text": ["", "?", "!"]})


# ---- data -----------------------------------------------------------------------------------------------------------
def test_what_models_say_and_who_is_labeled() -> None:
    """A silent model counts as even; labels and gold count on every task asked about."""
    scores = {"item": ["a", "a", "b", "b"], "task": ["t"] * 4, "model": ["m", "m", "n", "n"], "label": list("xyxy"),
              "score": [0.9, 0.1, 0.2, 0.8]}  # fmt: skip
    labels = {"item": ["a", "a", "b"], "task": ["t", "u", "t"], "annotator": ["p"] * 3, "label": ["x", "v", "y"]}
    gold = {"item": ["c"], "task": ["t"], "label": ["x"]}
    coded = Dataset(scores=pa.table(scores), labels=pa.table(labels), gold=pa.table(gold)).encode()
    task_t = [each.name for each in coded.schema.tasks].index("t")
    found = said_by(coded, task_t)
    place = {item: at for at, item in enumerate(coded.items)}
    m, n = coded.models.index("m"), coded.models.index("n")
    np.testing.assert_allclose(found[m, place["a"]], [0.9, 0.1], atol=1e-6)
    np.testing.assert_allclose(found[m, place["b"]], [0.5, 0.5])
    np.testing.assert_allclose(found[n, place["b"]], [0.2, 0.8], atol=1e-6)
    assert said_by(coded, task_t, ["n"]).shape == (1, 3, 2)
    both = labeled_enough(coded, range(2))
    assert [item for item, at in place.items() if both[at]] == ["a"]
    assert labeled_enough(coded, [task_t])[[place[item] for item in "abc"]].all()
    assert places_of(coded, ["zz", "c"]).tolist() == [place["c"]]
    with pytest.raises(SettingError, match="no model 'o'"):
        said_by(coded, task_t, ["o"])
    with pytest.raises(DataError, match="no model says anything"):
        said_by(coded, 1 - task_t)
