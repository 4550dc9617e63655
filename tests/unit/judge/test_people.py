"""Whether people agree comes before whether a judge agrees with them."""

import numpy as np
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.judge.people import people_agree
from quorate.schema import Schema, Task

SCALE = Task("care", ("1", "2", "3", "4"), ordered=True)


def graded_by_two(noise: float, n: int = 300, *, schema: Schema | None = None) -> Dataset:
    """Two people, each right but for so large a share of grades that are drawn at random."""
    rng = np.random.default_rng(5)
    truth = rng.integers(4, size=n)
    rows = {"item": [], "task": [], "annotator": [], "label": []}
    for who in ("ann", "bob"):
        said = np.where(rng.random(n) < noise, rng.integers(4, size=n), truth)
        rows["item"] += [str(i) for i in range(n)]
        rows["task"] += ["care"] * n
        rows["annotator"] += [who] * n
        rows["label"] += [str(1 + code) for code in said]
    return Dataset(labels=pa.table(rows), schema=schema or Schema((SCALE,)))


@pytest.mark.parametrize(("noise", "says"), [(0.05, "agree"), (0.9, "disagree")])
def test_agreement_and_noise_are_told_apart(noise, says):
    """Two careful people agree; two who answer at random do not, and then the rubric is to blame."""
    found = people_agree(graded_by_two(noise))[0]
    assert found.says == says
    assert ("rubric is the problem" in found.sentence()) == (says == "disagree")


def test_few_items_leave_it_unsure():
    """An interval that holds the bound is neither agreement nor the lack of it."""
    found = people_agree(graded_by_two(0.35, n=16))[0]
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.4 <= found.high
    assert found.says == "unsure"


def test_one_person_an_item_says_nothing_about_agreement():
    """Nobody knows, and that is said."""
    data = graded_by_two(0.1)
    found = people_agree(data.first_labels(1))[0]
    assert (found.says, found.alpha, found.n_items) == ("unknown", None, 0)
    assert "nobody knows" in found.sentence()


def test_a_bound_that_is_none_is_refused():
    """Agreement above chance lies between 0 and 1."""
    with pytest.raises(SettingError, match="least_alpha"):
        people_agree(graded_by_two(0.1), least_alpha=1.5)
