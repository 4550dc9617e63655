"""The study of recorded data: the protocol's figures, one file per data set and estimator, faults that cost nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quorate.data.dataset import Dataset
from quorate.errors import DataError
from quorate.evaluate.compare import compare
from quorate.simulate.world import Setting, shared_components, simulate
from quorate.study import recorded as module
from quorate.study.plan import Plan
from quorate.study.recorded import data_sets, recorded
from quorate.study.recorded_page import paired

SETTING = Setting(classes=(2, 3), task_correlation=shared_components((2, 3), 0.5), n_annotators=9)
NAMES = ("majority-all", "dawid-skene")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small sets, one that nothing can be judged on, one with a broken table, and what is no set."""
    place = tmp_path_factory.mktemp("sets")
    for seed, name in enumerate(("first", "second")):
        simulate(SETTING, 60, seed=seed).dataset().write(place / name)
    (place / "single").mkdir()
    (place / "single" / "labels.csv").write_text("item,task,annotator,label\na,ok,ann,yes\nb,ok,ann,no\n")
    (place / "broken").mkdir()
    (place / "broken" / "labels.csv").write_text("item,task,annotator,label\na,ok,ann,yes\na,ok,ann,no\n")
    (place / "notes").mkdir()
    return place


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two estimators beside the people's majority."""
    return Plan(out=tmp_path / "out", estimators=NAMES)


def test_the_figures_are_those_of_compare(plan: Plan, folder: Path) -> None:
    """The one protocol, whoever asks."""
    found = recorded(plan, folder).data["sets"]["first"]["estimators"]
    whole = compare(Dataset.read(folder / "first"), ["dawid-skene"])
    expected = whole.results["dawid-skene"].figures()
    for key in ("hidden_label", "auc", "auc_se", "status"):
        assert found["dawid-skene"][0][key] == expected[key]
    parts = {name: [json.loads((plan.runs.folder / f"recorded-first.{name}.json").read_text())["part"]]
             for name in ("majority", "dawid-skene")}  # fmt: skip
    gap, by_labels = paired(parts, "dawid-skene", "majority"), whole.paired("dawid-skene", "majority")
    assert gap is not None
    assert by_labels is not None
    assert tuple(gap) == pytest.approx(tuple(by_labels), abs=1e-6)


def test_a_set_that_fails_is_named_once_and_the_others_go_on(plan: Plan, folder: Path) -> None:
    """With what is wrong and how to mend it."""
    found = recorded(plan, folder)
    assert list(found.data["sets"]) == ["first", "second"]
    assert set(found.failed) == {"broken", "single"}
    assert "row 2" in found.failed["broken"]
    assert "at least two" in found.failed["single"]


def test_a_second_run_reads_what_is_kept_and_new_data_are_computed(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file per data set and estimator; other labels in the same folder are other data."""
    computed: list[tuple[str, str]] = []
    honest = module._computed

    def counting(plan: Plan, folder: Path, name: str, seed: int):
        computed.append((folder.name, name))
        return honest(plan, folder, name, seed)

    monkeypatch.setattr(module, "_computed", counting)
    place = tmp_path / "sets"
    for seed, name in enumerate(("one", "two")):
        simulate(SETTING, 40, seed=seed).dataset().write(place / name)
    recorded(plan, place)
    assert len(computed) == len(list(plan.runs.folder.iterdir())) == 6
    recorded(plan, place)
    assert len(computed) == 6
    simulate(SETTING, 40, seed=7).dataset().write(place / "two")
    module._ready.cache_clear()
    recorded(plan, place)
    assert computed[6:] == [("two", name) for name in ("majority", *NAMES)]


def test_a_folder_that_is_a_data_set_is_one(folder: Path) -> None:
    """And a folder without any says what it should hold."""
    assert data_sets(folder / "first") == [folder / "first"]
    assert [each.name for each in data_sets(folder)] == ["broken", "first", "second", "single"]
    with pytest.raises(DataError, match=r"labels\.csv"):
        data_sets(folder / "notes")
    with pytest.raises(DataError, match="no such folder"):
        data_sets(folder / "nowhere")


def test_quick_takes_sets_with_people_and_models_first(folder: Path) -> None:
    """A few, in the order of their names."""
    few = module.chosen(folder, quick=True)
    assert len(few) == module.QUICK_SETS
    assert {"first", "second"} < {each.name for each in few}
