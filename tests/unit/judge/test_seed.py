"""Which items people grade, and what each is for."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import FormatError, SettingError
from quorate.judge.seed import ROLES, Sample, at_random, by_doubt, by_stratum, dealt, read_seed, write_seed

NAMES = [f"item {i}" for i in range(60)]
STRATUM = ["rare"] * 4 + ["common"] * 50 + ["middle"] * 6


def doubts() -> np.ndarray:
    """From nothing at all to so much that some items are sure to be chosen."""
    return np.concatenate([np.zeros(20), np.linspace(0.1, 1.0, 38), [30.0, 40.0]])


SCHEMES = {
    "at random": lambda n, rng: at_random(NAMES, n, rng),
    "by stratum": lambda n, rng: by_stratum(NAMES, STRATUM, n, rng),
    "by doubt": lambda n, rng: by_doubt(NAMES, doubts(), n, rng),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_inclusion_probabilities_are_what_repetition_shows(scheme):
    """Over 2,000 samples every item comes in as often as its inclusion probability says, within four errors."""
    rng, n, times = np.random.default_rng(1), 12, 2000
    seen, told = np.zeros(len(NAMES)), np.zeros(len(NAMES))
    place = {name: i for i, name in enumerate(NAMES)}
    for _ in range(times):
        found = SCHEMES[scheme](n, rng)
        assert len(set(found.items)) == n
        at = [place[item] for item in found.items]
        seen[at] += 1
        told[at] = found.inclusion
    share, se = seen / times, np.sqrt(told * (1 - told) / times)
    assert (told > 0).all()
    assert np.abs(share - told)[se > 0].max() < 4.5 * se[se > 0].max()
    assert (np.abs(share - told) <= 4.5 * se + 1e-12).all()
    assert told.sum() == pytest.approx(n)


def test_small_strata_are_seen_and_large_ones_seen_most():
    """Every stratum has an item, and the more items it has the more are graded, less than in proportion."""
    found = by_stratum(NAMES, STRATUM, 15, np.random.default_rng(0))
    of = dict(zip(NAMES, STRATUM, strict=True))
    count = {name: sum(of[item] == name for item in found.items) for name in set(STRATUM)}
    assert 1 <= count["rare"] <= count["middle"] < count["common"] < 15 * 50 / 60


@given(st.integers(3, 200), st.integers(0, 10))
def test_roles_are_disjoint_in_their_shares_and_kept_for_good(n, seed):
    """Every item has one role, shares differ from 40, 30, 30 by less than one item, and more items change no role."""
    rng = np.random.default_rng(seed)
    first = dealt(Sample(tuple(map(str, range(n))), np.full(n, 0.5)), rng)
    assert sorted(first.items) == sorted(map(str, range(n)))
    counts = [len(first.of(role)) for role in ROLES]
    assert min(counts) >= 1
    assert np.abs(np.array(counts) - np.array([0.4, 0.3, 0.3]) * n).max() <= 2
    both = dealt(Sample(tuple(map(str, range(n + 20))), np.full(n + 20, 0.5)), rng, before=first)
    assert (
        dict(zip(both.items, both.role, strict=True)).items() >= dict(zip(first.items, first.role, strict=True)).items()
    )
    assert set(both.of("calibration")) & set(both.of("gate", "anchor")) == set()


def test_roles_come_back_from_disk_and_two_roles_are_refused(tmp_path):
    """A file in which an item has two roles would let a judge vouch for itself."""
    found = dealt(at_random(NAMES, 20, np.random.default_rng(3)), np.random.default_rng(3))
    write_seed(found, tmp_path / "roles.parquet")
    back = read_seed(tmp_path / "roles.parquet")
    assert (back.items, back.role, back.inclusion.tolist()) == (found.items, found.role, found.inclusion.tolist())
    table = pa.parquet.read_table(tmp_path / "roles.parquet")
    again = table.slice(0, 1).set_column(1, "role", pa.array(["gate" if found.role[0] != "gate" else "anchor"]))
    pa.parquet.write_table(pa.concat_tables([table, again]), tmp_path / "roles.parquet")
    with pytest.raises(FormatError, match="has two roles"):
        read_seed(tmp_path / "roles.parquet")


def test_more_items_than_there_are_is_refused():
    """The message says how many there are."""
    with pytest.raises(SettingError, match="between 1 and 60"):
        at_random(NAMES, 61, np.random.default_rng(0))
    with pytest.raises(SettingError, match="3 strata"):
        by_stratum(NAMES, STRATUM, 2, np.random.default_rng(0))
    with pytest.raises(SettingError, match="three numbers"):
        dealt(at_random(NAMES, 5, np.random.default_rng(0)), np.random.default_rng(0), shares=(1.0, 0.0, 1.0))
