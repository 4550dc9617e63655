"""A real Label Studio beside a real quorate: a project, our backend, two people, and the same numbers on both sides."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from label_studio_peer import Peer, installed, label_studio
from quorate.consensus.archive import load, save
from quorate.consensus.registry import estimator
from quorate.data.dataset import Dataset
from quorate.data.formats.label_studio import from_label_studio
from quorate.data.formats.label_studio_write import to_label_studio
from quorate.service.app import make_app
from quorate.service.engine import Engine
from quorate.service.state import ServiceSettings
from quorate.simulate.setting import Setting
from quorate.simulate.world import simulate
from quorate.store.campaigns import add_campaign, add_model, change_state, read_campaign
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.log import read_events
from quorate.store.opinions import Opinion, read_opinions
from quorate.store.people import add_member, add_token, add_user
from quorate.store.reading import labels_of_item, read_item
from quorate.store.rebuild import compare
from quorate.store.records import Settings
from quorate.store.submit import rejudge
from unit.service.loopback import serving

pytestmark = [pytest.mark.label_studio, pytest.mark.slow]
TAUGHT, ASKED = 200, 12
SURE = 0.9


class Campaign(NamedTuple):
    """A campaign that is served, and what it was made of."""

    url: str
    token: str
    database: Database
    id: int
    data: Dataset  # of the items that are asked: scores and texts
    model: Path

    def opinions(self) -> dict[str, Opinion]:
        """What is thought of every item now."""
        with self.database.reading() as connection:
            campaign = read_campaign(connection, self.id)
            return read_opinions(connection, Engine(), campaign, self.data.encode().items)

    def labels(self) -> set[tuple[str, str, str, str]]:
        """Item, task, person and label of everything that stands."""
        with self.database.reading() as connection:
            return {
                (item, row["task"], row["annotator"], row["label"])
                for item in self.data.encode().items
                for row in labels_of_item(connection, read_item(connection, self.id, item).id)
                if not row["withdrawn"]
            }


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """Label Studio, just installed."""
    program = installed()
    assert program is not None
    with label_studio(program, tmp_path_factory.mktemp("label-studio")) as running:
        yield running


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """A running campaign with a fitted model and scored items, on a real socket."""
    folder = tmp_path_factory.mktemp("quorate")
    world = simulate(Setting((3, 2), np.eye(3)), TAUGHT + ASKED, seed=0).dataset()
    items = world.encode().items
    model = estimator("hybrid").fit(world.select(items[:TAUGHT]))
    save(model, folder / "model.quorate")
    asked = world.select(items[TAUGHT:])
    texts = pa.table({"item": items[TAUGHT:], "text": [f"What do you think of {item}?" for item in items[TAUGHT:]]})
    data = Dataset(scores=asked.scores, items=texts, schema=world.schema)
    url = f"sqlite:///{folder / 'quorate.db'}"
    with serving(make_app(ServiceSettings(database=url, workers="none"))) as address:
        database = Database.open(url)
        made = database.write(lambda connection: _made(connection, data, (folder / "model.quorate").read_bytes()))
        rejudge(database, Engine(), made[2], now=0.0)  # as the service does after an upload
        yield Campaign(address, *made, data, folder / "model.quorate")._replace(database=database)
        database.close()


def _made(connection: Any, data: Dataset, archive: bytes) -> tuple[str, Any, int]:
    policy = {"policy": "per-task-confidence", "threshold": SURE}
    settings = Settings(overlap=5, blind=False)
    campaign = add_campaign(connection, "reviews", data.schema, policy=policy, settings=settings, now=0.0)
    lead = add_user(connection, "lead", "lead", now=0.0).id
    add_member(connection, campaign.id, lead)
    add_model(connection, campaign.id, archive, "hybrid", through_event=0, now=0.0)
    texts = {row["item"]: {"text": row["text"]} for row in data.items.to_pylist()}
    scores: dict[str, Any] = {item: {} for item in texts}
    for row in data.scores.to_pylist():
        scores[row["item"]].setdefault(row["task"], {}).setdefault(row["model"], {})[row["label"]] = row["score"]
    campaign = read_campaign(connection, campaign.id)
    add_items(connection, campaign, [NewItem(item, texts[item], scores=scores[item]) for item in texts], now=0.0)
    change_state(connection, campaign.id, "running", version=campaign.version, now=0.0)
    return add_token(connection, lead, "label studio", now=0.0).text, None, campaign.id


def region(control: str, label: str) -> dict[str, Any]:
    return {"from_name": control, "to_name": "text", "type": "choices", "value": {"choices": [label]}}


def connected(peer: Peer, campaign: Campaign) -> tuple[int, dict[str, int], int]:
    """A project with the campaign's items, our backend and our webhook: its number, its tasks by item, the backend."""
    made = to_label_studio(campaign.data)
    project = peer.ask("POST", "/api/projects/", {"title": "reviews", "label_config": made.config})["id"]
    peer.ask("POST", f"/api/projects/{project}/import", list(made.tasks))
    tasks = peer.ask("GET", f"/api/tasks?project={project}&page_size=100")["tasks"]
    url = f"{campaign.url}/label-studio/{campaign.id}"
    backend = {"url": url, "project": project, "title": "quorate", "is_interactive": False}
    backend |= {"auth_method": "BASIC_AUTH", "basic_auth_user": "quorate", "basic_auth_pass": campaign.token}
    number = peer.ask("POST", "/api/ml/", backend)["id"]
    hook = {"url": f"{url}/webhook", "project": project, "send_payload": True, "send_for_all_actions": True}
    peer.ask("POST", "/api/webhooks/", hook | {"headers": {"Authorization": f"Bearer {campaign.token}"}})
    return project, {task["data"]["quorate_id"]: task["id"] for task in tasks}, number


def fetched(peer: Peer, project: int, tasks: dict[str, int]) -> dict[str, dict[str, Any]]:
    """The newest prediction of every item, after all were asked for."""
    chosen = {"selectedItems": {"all": True, "excluded": []}}
    peer.ask("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}", chosen)
    found = {item: peer.ask("GET", f"/api/tasks/{number}")["predictions"] for item, number in tasks.items()}
    return {item: max(said, key=lambda each: each["id"]) for item, said in found.items()}


def assert_proposed(predictions: dict[str, dict[str, Any]], opinions: dict[str, Opinion]) -> None:
    """Every prediction holds the open tasks, each with its label and confidence, and nothing else."""
    for item, said in predictions.items():
        open_ = {name: task for name, task in opinions[item].state.items() if task.open}
        shown = {each["from_name"]: each for each in said["result"]}
        assert shown.keys() == open_.keys()
        for name, task in open_.items():
            assert shown[name]["value"] == {"choices": [task.label]}
            assert shown[name]["score"] == pytest.approx(task.confidence)
        if open_:
            assert said["score"] == pytest.approx(min(task.confidence or 0.0 for task in open_.values()))


def test_a_team_keeps_its_tool(campaign: Campaign, peer: Peer, tmp_path: Path) -> None:
    """Predictions are the engine's; two people's answers, changed and deleted ones too, move the posterior at once;
    what is settled is proposed no more; the export, imported, holds the same labels, and the same model makes of them
    the same posterior.
    """
    project, tasks, backend = connected(peer, campaign)
    assert set(tasks) == set(campaign.data.encode().items)
    before = campaign.opinions()
    assert_proposed(fetched(peer, project, tasks), before)

    second = peer.join("second@example.com")
    schema, rng = campaign.data.schema, np.random.default_rng(0)
    made: list[tuple[Peer, int]] = []
    for item in list(tasks)[:8]:
        for person in (peer, second):
            result = [region(task.name, str(rng.choice(task.classes))) for task in schema.tasks]
            said = {"result": result, "lead_time": 3.5, "ground_truth": False}
            made.append((person, person.ask("POST", f"/api/tasks/{tasks[item]}/annotations/", said)["id"]))
    after = campaign.opinions()
    assert len(campaign.labels()) == 8 * 2 * len(schema)
    moved = [
        abs(after[i].state[t.name].confidence - before[i].state[t.name].confidence)
        for i in list(tasks)[:8]
        for t in schema.tasks
    ]
    assert min(moved) > 0
    assert all(after[item] == before[item] for item in list(tasks)[8:])
    stored = {item: _stored(campaign, item) for item in tasks}
    for item in list(tasks)[:8]:
        assert stored[item] == {name: pytest.approx(task.confidence) for name, task in after[item].state.items()}

    person, number = made[0]
    changed = [region(task.name, task.classes[0]) for task in schema.tasks]
    person.ask("PATCH", f"/api/annotations/{number}/", {"result": changed})
    person, number = made[3]
    person.ask("DELETE", f"/api/annotations/{number}/")
    skipped = peer.ask(
        "POST", f"/api/tasks/{tasks[list(tasks)[9]]}/annotations/", {"result": [], "was_cancelled": True}
    )
    assert skipped["was_cancelled"]
    assert len(campaign.labels()) == (8 * 2 - 1) * len(schema)
    assert compare(campaign.database, Engine(), campaign.id).differences == ()

    final = campaign.opinions()
    assert_proposed(fetched(peer, project, tasks), final)
    peer.ask("POST", f"/api/ml/{backend}/train")
    with campaign.database.reading() as connection:
        assert [each.kind for each in read_events(connection, campaign.id)].count("refit asked") == 1

    export = peer.ask("GET", f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true")
    (tmp_path / "export.json").write_text(json.dumps(export))
    (tmp_path / "config.xml").write_text(to_label_studio(campaign.data).config)
    quorate("import", "label-studio", "export.json", "--config", "config.xml", "--out", "back", cwd=tmp_path)
    back = Dataset.read(tmp_path / "back")
    rows = back.labels.select(["item", "task", "annotator", "label"]).to_pylist()
    assert {tuple(row.values()) for row in rows} == campaign.labels()
    consensus = load(campaign.model).predict(back)
    for task in schema.tasks:
        probs = dict(zip(consensus.items, consensus.probs(task.name), strict=True))
        for item in tasks:
            assert final[item].verdict.tasks[task.name].probs == pytest.approx(probs[item], abs=1e-6)


def _stored(campaign: Campaign, item: str) -> dict[str, float | None]:
    with campaign.database.reading() as connection:
        state = read_item(connection, campaign.id, item).state
    return {name: task.confidence for name, task in state.items()}


def quorate(*arguments: str, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "quorate", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_our_export_comes_back_from_label_studio(peer: Peer) -> None:
    """Labels of people whom it does not know, gold and scores: imported there, exported there, the same here."""
    world = simulate(Setting((3, 2), np.eye(3), n_annotators=4, labels_per_item=(2, 2)), 10, seed=1).dataset()
    items = world.encode().items
    task = world.schema.tasks[0]
    gold = pa.table({"item": items[:3], "task": [task.name] * 3, "label": [task.classes[0]] * 3})
    texts = pa.table({"item": items, "text": [f"Text <{item}> & more" for item in items]})
    data = Dataset(labels=world.labels, scores=world.scores, gold=gold, items=texts, schema=world.schema)
    made = to_label_studio(data)
    project = peer.ask("POST", "/api/projects/", {"title": "whole", "label_config": made.config})["id"]
    peer.ask("POST", f"/api/projects/{project}/import", list(made.tasks))
    export = peer.ask("GET", f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true")
    back = from_label_studio(export, config=made.config).data
    assert back.schema == data.schema
    for name in ("labels", "scores", "gold", "items"):
        columns = [c for c in getattr(data, name).column_names if c not in {"created_at", "seconds", "assisted"}]
        sets = [{tuple(row.values()) for row in getattr(d, name).select(columns).to_pylist()} for d in (data, back)]
        assert sets[0] == sets[1], name
