"""The studies of the simulated world, small: shapes, order of things, resuming, what fails is left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from quorate.errors import MissingExtraError, SettingError
from quorate.evaluate.protocol import replay
from quorate.measure.efficiency import auc, curve
from quorate.simulate.world import SETTINGS
from quorate.study import gather
from quorate.study.campaign import GRID, campaign, setting_of, settings_json
from quorate.study.efficiency import efficiency
from quorate.study.gather import gathered
from quorate.study.plan import Plan
from quorate.study.policies import policies
from quorate.study.stopping_runs import TABLE_4
from quorate.study.tasks import tasks

NAMES = ("majority-all", "dawid-skene")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two estimators, two seeds, 40 items."""
    return Plan(out=tmp_path, quick=True, seeds=2, items=40, estimators=NAMES)


def test_ten_tasks_are_the_papers_world() -> None:
    """The setting with another number of tasks is the same in all else."""
    assert settings_json(setting_of(10)) == settings_json(SETTINGS["paper"])
    assert setting_of(3).task_correlation[0, 2] == SETTINGS["paper"].task_correlation[0, 2]


def test_efficiency_gives_curves_and_areas_of_all_and_the_oracle(plan: Plan) -> None:
    """One curve per estimator and policy, its ends where they must be; the same area as by the protocol."""
    found = efficiency(plan)
    assert list(found.data["estimators"]) == [*NAMES, "oracle"]
    for of in found.data["estimators"].values():
        for policy in ("minimum", "per-task-confidence"):
            assert len(of["policies"][policy]["accuracy"]) == len(GRID)
            assert 0 < of["policies"][policy]["auc"] < 1
    assert found.failed == {}
    of = campaign(10, 40, 1)
    model = plan.options("dawid-skene").fit(of.teach)
    steps = replay(model, of.judge, of.truth)
    kept = json.loads(next(iter(sorted(plan.runs.folder.glob("*seed-1.dawid-skene*")))).read_text())["part"]["policies"]
    for policy, rule in (("minimum", "minimum"), ("per-task-confidence", "per_task")):
        by_protocol = auc(curve(steps.confidence, steps.credit, np.full((20, 10), 5), rule=rule))
        assert kept[policy]["auc"] == pytest.approx(by_protocol, abs=1e-12)


@pytest.mark.slow
def test_the_oracle_is_best_in_the_long_run(tmp_path: Path) -> None:
    """Under the true parameters the log loss has no rival: over many items, far beyond its error."""
    found = efficiency(Plan(out=tmp_path, seeds=3, items=200, estimators=NAMES)).data["estimators"]
    areas = {name: of["policies"]["minimum"]["log_loss_area"] for name, of in found.items()}
    assert min(areas, key=lambda name: areas[name]) == "oracle"


def test_a_study_cut_short_goes_on_where_it_stopped(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in its fourth part it keeps three; the second run computes the three that are left, no more."""
    computed: list[str] = []
    honest = gather._computed

    def cut_short(*given):
        if len(computed) == 3:
            raise KeyboardInterrupt
        computed.append(given[1])
        return honest(*given)

    monkeypatch.setattr(gather, "_computed", cut_short)
    with pytest.raises(KeyboardInterrupt):
        efficiency(plan)
    assert len(list(plan.runs.folder.iterdir())) == 3
    monkeypatch.setattr(gather, "_computed", lambda *given: (computed.append(given[1]), honest(*given))[1])
    first = efficiency(plan)
    assert len(computed) == 6  # two seeds of two estimators and the oracle
    again = efficiency(plan)
    assert len(computed) == 6
    assert again.data == first.data


def test_an_estimator_that_fails_is_named_and_the_others_go_on(plan: Plan) -> None:
    """In any case, foreseen or not; and it is not tried again in this run."""
    tried: list[str] = []

    def work(name: str, case: int) -> dict[str, int]:
        tried.append(name)
        if name == "calco":
            raise MissingExtraError("torch", "torch")
        if name == "haic":
            raise ValueError("singular matrix")
        return {"case": case}

    found = gathered(plan, ("calco", "haic", "hybrid"), (1, 2), work)
    assert found.parts == {"hybrid": {1: {"case": 1}, 2: {"case": 2}}}
    assert "quorate[torch]" in found.failed["calco"]
    assert found.failed["haic"] == "ValueError: singular matrix"
    assert tried == ["calco", "haic", "hybrid", "hybrid"]


def test_tasks_gives_one_figure_per_number_of_tasks(plan: Plan) -> None:
    """Area and accuracy at half the labels, under both policies."""
    found = tasks(plan)
    assert set(found.data["figures"]) == {
        f"{what}, {policy}" for what in ("auc", "half") for policy in ("minimum", "per-task-confidence")
    }
    for of in found.data["figures"].values():
        assert list(of) == [*NAMES, "oracle"]
        assert all([row["tasks"] for row in rows] == found.data["tasks"] for rows in of.values())
    single = [of["dawid-skene"][0]["value"] for of in found.data["figures"].values()]
    assert single[0] == pytest.approx(single[2])  # with one task the two policies are one


@pytest.mark.slow
def test_policies_gives_all_policies_and_says_who_is_on_the_front(plan: Plan) -> None:
    """Every policy of Table 4 and what is used today; whole-item policies are the same as they go."""
    found = policies(plan)
    of = found.data["policies"]
    assert set(TABLE_4) < set(of)
    assert found.data["estimator"] == "majority-all"
    assert {name for name, each in of.items() if "auc_as_it_goes" in each} == {
        "per-task-confidence",
        "per-task-entropy",
    }
    assert of["joint"]["auc"] == pytest.approx(of["product"]["auc"])  # votes on tasks are independent
    assert any("The paper finds per-task confidence on the front" in sentence for sentence in found.found)


def test_an_unknown_estimator_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    """Not found out after an hour."""
    with pytest.raises(SettingError, match="no estimator 'oracel'"):
        Plan(out=tmp_path, estimators=("oracel",))
