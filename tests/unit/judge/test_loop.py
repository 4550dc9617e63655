"""The whole loop on a real socket: seed, calibrate, gate, amplify, watch, alarm, and back."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import FormatError, SettingError
from quorate.judge.amplify import Purse, amplify
from quorate.judge.asked import judge_of
from quorate.judge.folder import AMPLIFIED, QUARANTINE, JudgeFolder
from quorate.judge.parts import numbers
from quorate.judge.rounds import watch_round
from quorate.judge.rule import Rule
from quorate.llm.testing.server import FakeServer
from unit.judge import loop

pytestmark = pytest.mark.slow
CHUNKS = loop.N // 100


@pytest.fixture(scope="module")
def server():
    """Models as they were when the judge was taught."""
    with FakeServer(table=loop.GOOD, models=("weak", "strong")) as found:
        yield found


@pytest.fixture(scope="module")
def passed(tmp_path_factory, server):
    """The folders of a judge that was calibrated, and of the same after its gate opened."""
    before = loop.calibrated(tmp_path_factory.mktemp("made") / "judge", server.url)
    after = JudgeFolder(before.path.with_name("passed"))
    shutil.copytree(before.path, after.path)
    loop.gated(after, judge_of(after), server.url)
    return before, after


@pytest.fixture
def taught(tmp_path, passed) -> JudgeFolder:
    """A judge before its gate."""
    shutil.copytree(passed[0].path, tmp_path / "judge")
    return JudgeFolder(tmp_path / "judge")


@pytest.fixture
def folder(tmp_path, passed) -> JudgeFolder:
    """A judge that passed its gate."""
    shutil.copytree(passed[1].path, tmp_path / "judge")
    return JudgeFolder(tmp_path / "judge")


def run(folder: JudgeFolder, server: FakeServer, **settings):
    """Amplify everything with the judge of the folder."""
    way = loop.line(server.url)
    settings = {"chunk": 100, **settings}
    return amplify(judge_of(folder), loop.ITEMS, folder.file(AMPLIFIED), way.connect, way.purse, **settings)


def test_the_better_model_is_the_judge_passes_and_amplifies_with_its_map(folder, server):
    """The gate opens for a judge that agrees with people; its labels are nearer to the truth than its raw answers."""
    judge = judge_of(folder)
    assert judge.name == "strong v1"
    assert folder.standing().open == ("care",)
    done = run(folder, server)
    assert (done.labels, done.chunks, done.of, done.stopped) == (loop.N, CHUNKS, CHUNKS, None)
    data = Dataset.read(folder.file(AMPLIFIED))
    labels = pq.read_table(folder.file(AMPLIFIED) / "model_labels.parquet")
    truth = [str(1 + code) for code in loop.TRUTH.tolist()]
    right = sum(a == b for a, b in zip(labels["label"].to_pylist(), truth, strict=True))
    raw = sum(a == b for a, b in zip(labels["said"].to_pylist(), truth, strict=True))
    assert right > raw + 0.2 * loop.N
    assert labels["model"].unique().to_pylist() == ["strong v1"]
    assert data.encode().n_items == loop.N


def test_a_judge_that_guesses_is_not_let_through_and_labels_nothing(taught, server):
    """The gate stays closed with its reasons, and amplifying is refused."""
    folder = taught
    with FakeServer(table=loop.SWAPPED, models=("strong",)) as worse:
        found = loop.gated(folder, judge_of(folder), worse.url)
    assert found.standing.open == ()
    assert found.decisions[0].reasons
    page = folder.file("gate.html").read_text()
    assert "care" in page
    assert "strong v1" in page
    with pytest.raises(SettingError, match="the gate is closed"):
        folder.check("amplifying")
    again = loop.gated(folder, judge_of(folder), server.url, Rule(figure="agreement", threshold=0.6))
    assert again.decisions[0].tries == 2
    assert again.decisions[0].level < found.decisions[0].level


def test_killed_and_resumed_in_any_number_of_processes_it_ends_the_same(folder, server, tmp_path):
    """Stopped after three chunks and gone on with in two processes, the tables are bit for bit those of one run."""
    whole = run(folder, server)
    want = {name: (folder.file(AMPLIFIED) / name).read_bytes() for name in ("scores.parquet", "model_labels.parquet")}
    out, way = tmp_path / "other", loop.line(server.url)
    judge = judge_of(folder)
    part = amplify(judge, loop.ITEMS, out, way.connect, way.purse, chunk=100, look=lambda done, _: done >= 3)
    assert (part.chunks, part.stopped) == (3, "look")
    asked_before = server.counts.answered
    rest = amplify(judge, loop.ITEMS, out, way.connect, way.purse, chunk=100, processes=2)
    assert server.counts.answered - asked_before == loop.N - 300
    assert {name: (out / name).read_bytes() for name in want} == want
    assert rest.spent_usd == pytest.approx(whole.spent_usd)
    with pytest.raises(SettingError, match="name another folder"):
        amplify(judge, loop.ITEMS, out, way.connect, way.purse, chunk=50)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_cap_holds_for_all_processes_together(folder, server, tmp_path, processes):
    """What is spent never passes the cap; with more money the run goes on where it was and pays for nothing twice."""
    judge, way = judge_of(folder), loop.line(server.url)
    whole = run(folder, server).spent_usd
    cap = 0.55 * whole
    settings = {"chunk": 100, "processes": processes}
    part = amplify(judge, loop.ITEMS, tmp_path / "o", way.connect, Purse(loop.PRICES, cap), **settings)
    assert part.stopped == "cap"
    assert part.spent_usd <= cap
    assert 0 < part.chunks < CHUNKS
    rest = amplify(judge, loop.ITEMS, tmp_path / "o", way.connect, Purse(loop.PRICES, 1.1 * whole), **settings)
    assert (rest.chunks, rest.stopped) == (CHUNKS, None)
    assert rest.spent_usd == pytest.approx(whole)


def test_a_swapped_judge_is_caught_and_what_it_labeled_is_set_aside(folder, server):
    """Rounds of anchors between chunks: quiet with the judge that passed, an alarm with another behind its name.

    Nothing is labeled after the alarm, the labels since the last good point are in quarantine, their items on the list
    for people, and a restricted one is not.
    """
    judge, rounds = judge_of(folder), []

    def look_at(url):
        def look(done: int, _: int) -> bool:
            found = watch_round(
                folder, loop.says(folder, judge, url), 40, loop.ASKED.schema, restricted=frozenset({loop.NAMES[-1]})
            )
            rounds.append(found)
            return bool(found.alarms) or (url == server.url and done >= 3)

        return look

    run(folder, server, look=look_at(server.url))
    assert [each.alarms for each in rounds] == [()] * 3
    labeled = set(numbers(folder.file(AMPLIFIED)))
    with FakeServer(table=loop.SWAPPED, models=("strong",)) as other:
        way = loop.line(other.url)
        done = amplify(
            judge, loop.ITEMS, folder.file(AMPLIFIED), way.connect, way.purse, chunk=100, look=look_at(other.url)
        )
    assert done.stopped == "look"
    assert rounds[-1].alarms == ("care",)
    standing = folder.standing()
    assert (standing.stage, standing.open) == ("gated", ())
    kept, aside = numbers(folder.file(AMPLIFIED)), numbers(folder.file(QUARANTINE))
    assert set(kept) <= labeled
    assert set(kept) | set(aside) == set(range(max(aside) + 1))
    assert rounds[-1].quarantined == 100 * len(aside)
    listed = folder.file("to_people.csv").read_text().split()[1:]
    assert len(listed) == rounds[-1].quarantined - (max(aside) == CHUNKS - 1)
    with pytest.raises(SettingError, match="the gate is closed"):
        watch_round(folder, loop.says(folder, judge, server.url), 5, loop.ASKED.schema, restricted=frozenset())


def test_a_quarantine_that_a_crash_cut_short_is_finished(folder, server):
    """The alarm is noted before labels move: whoever comes next sets aside what is left."""
    from quorate.judge.rounds import tidy

    run(folder, server)
    folder.take("alarm", tasks=["care"], since_part=4, told="a test")
    assert tidy(folder, loop.ASKED.schema, frozenset()) == 100 * (CHUNKS - 4)
    assert tidy(folder, loop.ASKED.schema, frozenset()) == 0
    assert numbers(folder.file(AMPLIFIED)) == [0, 1, 2, 3]


def test_a_judge_whose_files_were_changed_is_not_used(folder):
    """Neither its map nor its prompt nor its rubric may change between the gate and the labels."""
    path = folder.file("asked.json")
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "model": "weak"}))
    with pytest.raises(FormatError, match="not the one that was kept"):
        judge_of(folder)
