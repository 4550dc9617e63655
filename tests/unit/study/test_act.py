"""The study of annotation with critical thinking on simulated models: what it computes, keeps, says and draws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from quorate.act.metrics import area
from quorate.data.dataset import Dataset
from quorate.study import act_runs as runs
from quorate.study.act import CLOSE, act
from quorate.study.plan import Plan
from quorate.study.section import Section

STRENGTH = {"strong": 3.0, "second": 2.2, "weak|one": 0.8, "weak|two": 0.8}


def write(place: Path, n: int = 600) -> None:
    """Three models on one question with three classes, one of them with two prompts; gold for all."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, n)
    rows = []
    for model, strength in STRENGTH.items():
        x = strength * np.eye(3)[truth] + rng.gumbel(size=(n, 3))
        probs = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        rows += [(f"i{i}", "t", model, "abc"[k], probs[i, k]) for i in range(n) for k in range(3)]
    scores = pa.table(dict(zip(("item", "task", "model", "label", "score"), zip(*rows, strict=True), strict=True)))
    gold = pa.table({"item": [f"i{i}" for i in range(n)], "task": ["t"] * n, "label": ["abc"[k] for k in truth]})
    Dataset(scores=scores, gold=gold).write(place)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one data set that can be studied, and one that is too small."""
    place = tmp_path_factory.mktemp("sets")
    write(place / "good")
    write(place / "small", 50)
    return place


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Where the parts are kept for all tests here."""
    return Plan(out=tmp_path_factory.mktemp("out"), seeds=4)


@pytest.fixture(scope="module")
def section(folder: Path, plan: Plan) -> Section:
    """The study of that folder."""
    return act(plan, folder)


def test_variants_of_one_model_are_one_model(folder: Path) -> None:
    """Its score is the mean of theirs."""
    (case,) = runs.cases_of(folder / "good")
    assert case.models == ("second", "strong", "weak")
    assert case.scores.sum(axis=2) == pytest.approx(1, abs=1e-5)
    coded = Dataset.read(folder / "good").encode()
    assert case.scores[:, 2] == pytest.approx(coded.outputs[0].scores[:, 2:].mean(axis=1), abs=1e-6)


def test_nothing_is_judged_that_chose(folder: Path) -> None:
    """Figures of a seed are those of the 400 items that did not choose; turning the truth of these moves no choice."""
    (case,) = runs.cases_of(folder / "good")
    part = runs._chosen(case, 3)
    judging = case.of(np.random.default_rng(3).permutation(600)[200:])
    first = case.models.index(part["annotator"])
    wrong, errors = judging.wrong(first), judging.errors(first)
    assert part["area"]["self"] == pytest.approx(area(errors[:, first], wrong).estimate)
    assert part["hindsight"] == pytest.approx(max(area(each, wrong).estimate for each in errors.T))
    turned = case.truth.copy()
    out = np.random.default_rng(3).permutation(600)[200:]
    turned[out] = (turned[out] + 1) % 3
    again = runs._chosen(case._replace(truth=turned), 3)
    assert [again[name] for name in ("annotator", "criticizer")] == [part[name] for name in ("annotator", "criticizer")]


def test_trees_learn_from_the_test_set_alone_and_find_mistakes(folder: Path) -> None:
    """Above random order; a test set without a mistake teaches nothing, and all labels are alike."""
    (case,) = runs.cases_of(folder / "good")
    assert runs._chosen(case, 3)["area"]["trees"] > 0.55
    test, judging = case.of(np.arange(200)), case.of(np.arange(200, 600))
    first = case.models.index("strong")
    turned = judging._replace(truth=(judging.truth + 1) % 3)
    assert runs._by_trees(test, judging, first, 0) == pytest.approx(runs._by_trees(test, turned, first, 0))
    right = test._replace(truth=test.answers[:, first])
    assert not runs._by_trees(right, judging, first, 0).any()


def test_it_says_who_comes_close_to_the_best_and_draws_it(section: Section) -> None:
    """Sentences, four tables and two pictures; figures for programs; what is too small is not in it."""
    assert "best criticizer in hindsight" in section.found[0]
    assert "random order" in section.found[2]
    assert [len(table.rows) for table in section.tables] == [1, 1, 3, 3]
    assert all(drawing.png.startswith(b"\x89PNG") for drawing in section.drawings)
    json.dumps(section.data, allow_nan=False)
    (case,) = section.data["cases"].values()
    assert case["random"] == pytest.approx(399 / 800)
    assert case["least_measured"] > case["random"]
    assert not section.failed


def test_finished_parts_are_read_and_not_computed_again(section, folder: Path, plan: Plan, monkeypatch) -> None:
    """The second run computes nothing and says the same."""
    monkeypatch.setattr(runs, "case_part", lambda *_: pytest.fail("computed again"))
    assert act(plan, folder).data == section.data


def test_a_data_set_that_fails_is_left_out_by_name(folder: Path, tmp_path: Path, monkeypatch) -> None:
    """And a folder with nothing to study says what it lacks."""
    monkeypatch.setattr(runs, "cases_of", lambda _: (_ for _ in ()).throw(ValueError("no")))
    found = act(Plan(out=tmp_path, seeds=1), folder)
    assert found.failed == {"good": "ValueError: no", "small": "ValueError: no"}
    assert "two models" in found.found[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vlm_mmbench", "trec_dl_relevance", "vaccine_stance"])
def test_on_recorded_models_the_measured_criticizer_is_close_to_the_best(recorded, tmp_path: Path, name: str) -> None:
    """Within .02 ABS of the annotator's best criticizer in hindsight, and above random order with every test set."""
    found = act(Plan(out=tmp_path, seeds=10), recorded(name)).data["cases"]
    for case in found.values():
        assert case["behind"]["measured"] <= CLOSE
        assert case["least_measured"] > case["random"]
