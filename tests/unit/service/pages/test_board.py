"""The dashboard's figures are those of the campaign, on both databases, with and without a model."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from quorate.service.pages.board import board_of
from quorate.service.pages.gold import check_gold
from quorate.service.pages.rendering import render
from quorate.service.refit import fit
from quorate.store import overview
from quorate.store.campaigns import add_campaign, add_model, change_state, read_campaign
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.overlap import Overlap
from quorate.store.people import add_member, add_user
from quorate.store.queue import lease
from quorate.store.records import Settings
from quorate.store.submit import Answer, submit, undo
from unit.store.conftest import database, postgres_server, url  # noqa: F401 # fixtures
from unit.store.world import SCHEMA, running

GOOD = (Answer("tone", "good", 2.0), Answer("topic", "food", 4.0))
BAD = (Answer("tone", "bad", 2.0), Answer("topic", "food", 4.0))


def test_figures_are_counted_as_they_are(database: Database):  # noqa: F811
    """4 items of 2 tasks, 2 people: one item answered by both and closed, one by one, one taken back."""
    world = running(database, n_items=4, n_users=2, settings=Settings(overlap=2, together=2))
    first, second = world.users

    def say(user: int, answers, now: float) -> str:
        held = lease(database, world.campaign.id, user, now=now)
        assert held
        submit(database, Overlap(), held.id, user, answers, key=held.id, now=now)
        return held.id

    say(first, GOOD, 10.0)
    say(second, BAD, 20.0)  # what was begun comes first: the same item
    say(first, GOOD, 30.0)
    gone = say(first, GOOD, 40.0)
    undo(database, Overlap(), gone, first, key="undo", now=50.0)
    with database.reading() as connection:
        board = board_of(connection, world.campaign, now=60.0)
        events = overview.last_events(connection, world.campaign.id)
    assert (board.items, board.cells, board.closed, board.labels, board.saved) == (4, 8, 2, 6, 0)
    assert [(each.cells, each.share) for each in board.agreement] == [(1, 0.0), (1, 1.0)]
    assert board.certainty.mean == pytest.approx(0.75)  # half of two for the tone, both for the topic
    assert board.certainty.cells == 2
    assert [(each.hand.labels, each.hand.seconds) for each in board.people] == [(4, 3.0), (2, 3.0)]
    assert [each.peers for each in board.people] == [0.5, 0.5]
    assert [(each.task, each.counts) for each in board.disputes] == [("tone", [("bad", 1), ("good", 1)])]
    assert (board.curve[0].open, board.curve[-1].open) == (8, 6)
    assert (board.curve[0].labels, board.curve[-1].labels) == (0, 6)
    assert max(step.labels for step in board.curve) == 8
    assert events[0][0].kind == "withdrawn"
    assert events[0][1] == "person 0"


def test_labels_that_were_not_needed_are_saved(database: Database):  # noqa: F811
    """A task that closes after one of three labels saves two; what is still open saves nothing."""

    class AfterOne(Overlap):
        def decide(self, campaign, evidence):
            said = super().decide(campaign, evidence)
            tasks = {name: task._replace(open=task.label is None) for name, task in said.tasks.items()}
            return said._replace(tasks=tasks)

    world = running(database, n_items=3, n_users=1)
    held = lease(database, world.campaign.id, world.users[0], now=1.0)
    assert held
    submit(database, AfterOne(), held.id, world.users[0], GOOD[:1], key="k", now=2.0)
    with database.reading() as connection:
        counts = overview.count_tasks(connection, world.campaign)
    assert [(each.closed, each.labels, each.saved) for each in counts] == [(1, 1, 2), (0, 0, 0)]


def test_an_empty_campaign_has_a_dashboard(database: Database):  # noqa: F811
    """Nothing is counted, nothing is known, nothing fails."""
    world = running(database, n_items=0, n_users=0)
    with database.reading() as connection:
        board = board_of(connection, world.campaign, now=1.0)
    assert (board.items, board.certainty.mean, board.curve, board.people) == (0, None, [], [])


@pytest.mark.slow
def test_with_a_model_the_board_tells_who_is_reliable_who_errs_together_and_what_gold_says(
    database: Database,  # noqa: F811
    url: str,  # noqa: F811
    tmp_path: Path,
):
    """Two models that copy each other correlate more than with a third; people have intervals; gold is checked."""
    rng = random.Random(0)  # noqa: S311
    truth = [rng.choice(["good", "bad"]) for _ in range(150)]

    def guess(true: str, right: float) -> str:
        return true if rng.random() < right else {"good": "bad", "bad": "good"}[true]

    def item(i: int) -> NewItem:
        copied, alone = guess(truth[i], 0.75), guess(truth[i], 0.75)
        said = {"a": copied, "b": copied if rng.random() < 0.95 else guess(truth[i], 0.75), "c": alone}
        scores = {
            "tone": {
                model: {"good": 0.8 if label == "good" else 0.2, "bad": 0.8 if label == "bad" else 0.2}
                for model, label in said.items()
            }
        }
        return NewItem(f"i{i}", {"text": f"t{i}"}, {"tone": truth[i]} if i < 30 else None, scores=scores)

    def make(connection):
        people = [add_user(connection, f"person {i}", "annotator", now=0.0).id for i in range(3)]
        asked = Settings(overlap=3, together=3, gold_rate=0.5)
        made = add_campaign(connection, "c", SCHEMA, settings=asked, now=0.0)
        for person in people:
            add_member(connection, made.id, person)
        add_items(connection, made, map(item, range(150)), now=0.0)
        change_state(connection, made.id, "running", version=made.version, now=0.0)
        return made.id, people

    campaign_id, people = database.write(make)
    for turn in range(60):
        for person in people:
            held = lease(database, campaign_id, person, now=float(turn), gold=turn % 2 == 0)
            assert held
            said = {"tone": guess(truth[int(held.external_id[1:])], 0.9), "topic": "food"}
            answers = [Answer(task, said[task]) for task in held.tasks]
            submit(database, Overlap(), held.id, person, answers, key=held.id, now=float(turn))
    path = tmp_path / "model.quorate"
    note = fit(url, campaign_id, "hybrid", path)
    through = note.pop("through_event")

    def adopt(connection):
        version = add_model(connection, campaign_id, path.read_bytes(), "hybrid", through_event=through, now=61.0)
        connection.execute(overview.models.update().where(overview.models.c.version == version).values(note=note))
        return read_campaign(connection, campaign_id)

    campaign = database.write(adopt)
    with database.reading() as connection:
        board = board_of(connection, campaign, now=70.0)
        gold = check_gold(connection, campaign)
    correlated = {(each["first"], each["second"]): each["correlation"] for each in board.pairs}
    assert correlated["a", "b"] > 0.8 > correlated["a", "c"]
    assert board.pairs[0]["second"] == "b"
    for person in board.people:
        assert person.accuracy is not None
        assert person.low is not None
        assert person.high is not None
        assert person.low < person.accuracy <= person.high
    assert {each["agent"] for each in board.machines} == {"a", "b", "c"}
    assert gold.cells == 30
    assert board.cells == 2 * 150 - 30
    assert board.cells - board.closed == board.curve[-1].open
    assert gold.accuracy is not None
    assert gold.low is not None
    assert gold.low < gold.accuracy
    page = _drawn(campaign, board, gold)
    for words in ("Who errs together", "independent models", "answers to gold questions are right", "a · b"):
        assert words in page


def _drawn(campaign, board, gold) -> str:
    from quorate.service.pages.board import Shown
    from quorate.store.reading import CampaignPage

    shown = Shown(CampaignPage(campaign, "", 0.0, 0.0, 0.0), board, 0, [], 70.0)
    values = {"campaign": campaign, "shown": shown, "board": board, "gold": gold}
    return bytes(render("figures.html.jinja", me=None, **values).body).decode()
