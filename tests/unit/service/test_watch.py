"""Who answers without looking is flagged soon; who answers as others do, hardly ever."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.service.watch import Watch
from quorate.store.watching import Outcome, flag, read_outcomes
from unit.service.labeled import able, answer, campaign_of, constant

N_CLASSES = 3


def outcomes(rates, n, *, seed=0, switch=None):
    """N answers of each person: with rate r right, else evenly spread; person 0 guesses class 0 from `switch` on."""
    rng, label_id = np.random.default_rng(seed), 0
    for i in range(n):
        truth = int(rng.integers(N_CLASSES))
        for user, rate in enumerate(rates):
            guesses = switch is not None and user == 0 and i >= switch
            right = rng.random() < rate
            label = 0 if guesses else truth if right else int(rng.integers(N_CLASSES))
            label_id += 1
            yield Outcome(1, user, label_id, "t", label, truth, N_CLASSES)


@pytest.mark.parametrize("seed", range(5))
def test_a_constant_answer_is_flagged_within_forty(seed):
    """Who always gives the same answer is flagged before forty answers, and nobody else is."""
    flags = Watch().take(outcomes([0.0, 0.9, 0.8, 0.85], 300, seed=seed, switch=0))
    assert [(each.user_id, each.reason) for each in flags] == [(0, "answers say nothing")]
    assert flags[0].answers < 40


def test_who_begins_to_guess_later_is_flagged_too():
    """Five hundred good answers do not excuse what comes after them."""
    flags = Watch().take(outcomes([0.9, 0.9, 0.85], 700, switch=500))
    assert [(each.user_id, each.reason) for each in flags] == [(0, "answers have come to say nothing")]
    assert flags[0].answers < 600


def test_who_is_only_weaker_is_not_flagged():
    """One who answers at least half as the others do is flagged in no more than a thousandth of campaigns."""
    flags = [each for seed in range(60) for each in Watch().take(outcomes([0.55, 0.9, 0.9], 400, seed=seed))]
    assert len(flags) <= 1


def test_who_says_the_opposite_is_flagged():
    """Answers that are wrong more often than guesses would be say nothing that others could use."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(200):
        truth = int(rng.integers(2))
        for user in range(3):
            said = 1 - truth if user == 0 else truth if rng.random() < 0.9 else 1 - truth
            rows.append(Outcome(1, user, 3 * i + user, "t", said, truth, 2))
    assert {each.user_id for each in Watch().take(rows)} == {0}


def test_a_label_counts_once():
    """A task that reopens and closes again brings the same labels to light, and they change nothing."""
    rows = list(outcomes([0.0, 0.9, 0.9], 25, switch=0))
    once, twice = Watch(), Watch()
    assert once.take(rows) == twice.take(rows)
    assert twice.take(rows * 20) == []


def test_a_spammer_is_flagged_once_from_the_log(database):
    """The log of a campaign with a constant answerer gives one flag; a second follower writes no second."""
    people = (able(0.95), able(0.9), able(0.9), constant)
    world = campaign_of(database, people, 60)
    answer(world, people)
    with database.reading() as connection:
        seen = read_outcomes(connection, after=0, through=10**9, most=10**6)
    (found,) = Watch().take(seen.outcomes)
    assert found.user_id == world.users[3]
    twice = [
        database.write(lambda c: flag(c, found.campaign_id, found.user_id, found.reason, {}, now=1.0)) for _ in "ab"
    ]
    assert twice == [True, False]
    assert len(seen.outcomes) == 60 * 4 * 2


def test_reading_in_parts_is_reading_at_once(database):
    """However few events are read at a time, every outcome comes to light."""
    people = (able(0.9),) * 3
    world = campaign_of(database, people, 12)
    answer(world, people)
    with database.reading() as connection:
        whole = read_outcomes(connection, after=0, through=10**9, most=10**6)
        after, parts = 0, set()
        while after < 10**9:
            seen = read_outcomes(connection, after=after, through=10**9, most=5)
            parts |= set(seen.outcomes)
            after = seen.through
    assert parts == set(whole.outcomes)
    assert len(parts) == 12 * 3 * 2


def test_ones_own_word_is_no_truth(database):
    """Where one person alone decides, their answers are held against nothing."""
    world = campaign_of(database, (constant,), 5)
    answer(world, (constant,))
    with database.reading() as connection:
        assert read_outcomes(connection, after=0, through=10**9, most=100).outcomes == ()
