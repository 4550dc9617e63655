"""A running campaign with a fitted model, scores for every item, and members with tokens."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from quorate.consensus.archive import save
from quorate.consensus.estimator import Model
from quorate.consensus.registry import estimator
from quorate.service.engine import Engine
from quorate.simulate.setting import Setting
from quorate.simulate.world import World, simulate
from quorate.store.campaigns import add_campaign, add_model, change_state
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.people import add_member, add_token, add_user
from quorate.store.records import Settings
from quorate.store.submit import rejudge

TAUGHT = 120
POLICY = {"policy": "per-task-confidence", "threshold": 0.9}


class Ground(NamedTuple):
    """What a test works with; items are called by their names in the world."""

    campaign: int
    model: Model
    world: World  # of the items that are asked about, every annotator of the model among its people
    tokens: dict[str, str]  # annotator -> token
    scores: dict[str, dict[str, dict[str, dict[str, float]]]]


def ready(database: Database, *, n_items: int, n_tasks: int = 3, settings: Settings | None = None) -> Ground:
    """Fit a model on some items of a small world, and open a campaign on the others."""
    ties = np.full((2 * n_tasks, 2 * n_tasks), 0.4) + 0.6 * np.eye(2 * n_tasks)
    setting = Setting(classes=(3,) * n_tasks, task_correlation=ties, n_annotators=8)
    everything = simulate(setting, TAUGHT + n_items, seed=3)
    data = everything.dataset(gold=True)  # what is predicted is the truth, not what so many people would say
    names = data.encode().items
    model = estimator("hybrid").fit(data.select(names[:TAUGHT]))
    scores: dict[str, dict[str, dict[str, dict[str, float]]]] = {name: {} for name in names[TAUGHT:]}
    for row in data.scores.to_pylist():
        if row["item"] in scores:
            scores[row["item"]].setdefault(row["task"], {}).setdefault(row["model"], {})[row["label"]] = row["score"]
    rest = everything.select(np.arange(TAUGHT, TAUGHT + n_items))
    rules = settings or Settings(overlap=len(model.annotators), together=1)

    def make(connection) -> tuple[int, dict[str, str]]:
        campaign = add_campaign(connection, "over http", data.schema, now=0.0, policy=POLICY, settings=rules)
        new = (NewItem(name, {"text": f"this is {name}"}, scores=said) for name, said in scores.items())
        add_items(connection, campaign, new, now=0.0)
        with TemporaryDirectory() as folder:
            save(model, Path(folder) / "model")
            archive = (Path(folder) / "model").read_bytes()
        add_model(connection, campaign.id, archive, "hybrid", through_event=0, now=0.0)
        tokens = {}
        for name in model.annotators:
            user = add_user(connection, name, "annotator", now=0.0)
            add_member(connection, campaign.id, user.id)
            tokens[name] = add_token(connection, user.id, "test", now=0.0).text
        change_state(connection, campaign.id, "running", version=campaign.version, now=0.0)
        return campaign.id, tokens

    campaign, tokens = database.write(make)
    after: int | None = 0
    while after is not None:
        after = rejudge(database, Engine(), campaign, now=0.0, after=after)
    return Ground(campaign, model, rest, tokens, scores)
