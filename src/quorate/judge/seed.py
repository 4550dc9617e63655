"""What people grade first: a sample with known inclusion probabilities, dealt into items that never mix again.

Calibration items teach, gate items decide whether a judge may work, anchors watch it afterwards. An item has one role
for good: what a judge was chosen on can neither let it through nor vouch for it later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64, Int64, Shaped

from quorate.data.write import write_table
from quorate.errors import FormatError, SettingError

Array = np.ndarray
Role = Literal["calibration", "gate", "anchor"]
ROLES: tuple[Role, ...] = get_args(Role)
SHARES = (0.4, 0.3, 0.3)  # of calibration, gate, anchors
LEAST_DOUBT = 0.2  # of the mean: what everybody agrees on is looked at too, though more rarely


class Sample(NamedTuple):
    """Items chosen without replacement, and how probable it was that each would be."""

    items: tuple[str, ...]
    inclusion: Float64[Array, "items"]


# ---- which items ----------------------------------------------------------------------------------------------------
def at_random(items: Sequence[str], n: int, rng: np.random.Generator) -> Sample:
    """As many items as asked, all equally probable. Raises SettingError for more than there are."""
    _check(items, n)
    kept = np.sort(rng.choice(len(items), n, replace=False))
    return Sample(_those(items, kept), np.full(n, n / len(items)))


def by_stratum(items: Sequence[str], stratum: Sequence[str], n: int, rng: np.random.Generator) -> Sample:
    """As many items as asked, at least one of every stratum, in proportion to the root of its size.

    Power allocation [bankier1988]: small strata are seen often enough to be judged, large ones still most.
    Raises SettingError for fewer items than strata.
    """
    _check(items, n)
    names, of = np.unique(np.asarray(stratum, str), return_inverse=True)
    if n < len(names):
        raise SettingError(f"{n} items are fewer than the {len(names)} strata; grade more, or name another column")
    size = np.bincount(of, minlength=len(names))
    share = _allocated(size, n)
    kept = np.concatenate([rng.choice(np.flatnonzero(of == h), share[h], replace=False) for h in range(len(names))])
    kept = np.sort(kept)
    return Sample(_those(items, kept), (share / size)[of[kept]])


def by_doubt(items: Sequence[str], doubt: Float64[Array, "items"], n: int, rng: np.random.Generator) -> Sample:
    """As many items as asked, the more probable the more doubtful; systematic sampling, [madow1949].

    doubt: 0 or more, as the entropy of the models' votes in nats. Every item keeps some chance.
    """
    _check(items, n)
    size = doubt + LEAST_DOUBT * (doubt.mean() or 1.0)
    inclusion = _inclusion(size, n)
    order = rng.permutation(len(items))
    ends = np.cumsum(inclusion[order])
    hits = np.searchsorted(ends, rng.uniform() + np.arange(n), side="right")
    kept = np.sort(order[np.minimum(hits, len(items) - 1)])
    return Sample(_those(items, kept), inclusion[kept])


def _those(items: Sequence[str], kept: Int64[Array, "kept"]) -> tuple[str, ...]:
    return tuple(map(items.__getitem__, kept.tolist()))


def _check(items: Sequence[str], n: int) -> None:
    if not 1 <= n <= len(items):
        raise SettingError(f"{n} of {len(items)} items cannot be chosen; take between 1 and {len(items)}")


def _allocated(size: Int64[Array, "strata"], n: int) -> Int64[Array, "strata"]:
    """Whole numbers that sum to n, one at least, none above the size, as near to the root's proportion as that lets."""
    share = np.ones(len(size), np.int64)
    root = np.sqrt(size)
    for _ in range(n - len(size)):  # the next goes where the ratio is smallest (Webster's method, stratum by stratum)
        open_ = share < size
        share[np.argmin(np.where(open_, (share + 0.5) / root, np.inf))] += 1
    return share


def _inclusion(size: Float64[Array, "items"], n: int) -> Float64[Array, "items"]:
    """Probabilities proportional to size that sum to n; what would be above 1 is 1, and the rest shares the others."""
    sure = np.zeros(len(size), bool)
    while True:
        rest = size * ~sure
        inclusion = np.where(sure, 1.0, (n - sure.sum()) * rest / max(rest.sum(), np.finfo(float).tiny))
        above = (inclusion > 1.0) & ~sure
        if not above.any():
            return inclusion
        sure |= above


# ---- which role -----------------------------------------------------------------------------------------------------
class Seed(NamedTuple):
    """The items that people grade, what each is for, and how probable it was that it would be chosen."""

    items: tuple[str, ...]
    role: tuple[Role, ...]
    inclusion: Float64[Array, "items"]

    def of(self, *roles: Role) -> tuple[str, ...]:
        """The items of these roles."""
        return tuple(item for item, role in zip(self.items, self.role, strict=True) if role in roles)


def dealt(
    sample: Sample, rng: np.random.Generator, *, shares: Sequence[float] = SHARES, before: Seed | None = None
) -> Seed:
    """The sample with roles at random; items that have one already keep it.

    Raises SettingError for shares that are none, or too few items for all three roles.
    """
    if len(shares) != len(ROLES) or min(shares) <= 0:
        raise SettingError(f"shares of {', '.join(ROLES)} are three numbers above 0, not {tuple(shares)}")
    known = dict(zip(before.items, before.role, strict=True)) if before else {}
    new = [place for place, item in enumerate(sample.items) if item not in known]
    if not known and len(new) < len(ROLES):
        raise SettingError(f"{len(new)} items cannot be dealt into {len(ROLES)} roles; grade more")
    role_of = dict(zip(rng.permutation(new).tolist(), _roles(len(new), shares), strict=True))
    fresh = [Seed((sample.items[p],), (role_of[p],), sample.inclusion[p : p + 1]) for p in new]
    return joined([*([before] if before else []), *fresh])


def joined(parts: Sequence[Seed]) -> Seed:
    """Side by side."""
    inclusion = np.concatenate([np.zeros(0), *(part.inclusion for part in parts)])
    return Seed(sum((part.items for part in parts), ()), sum((part.role for part in parts), ()), inclusion)


def _roles(n: int, shares: Sequence[float]) -> list[Role]:
    """Roles for so many items in these shares, by the largest remainder, each at least once where n allows."""
    exact = n * np.asarray(shares, float) / sum(shares)
    count = np.maximum(np.floor(exact), 1 if n >= len(shares) else 0).astype(np.int64)
    while count.sum() > n:
        count[np.argmax(count - exact)] -= 1
    while count.sum() < n:
        count[np.argmax(exact - count)] += 1
    return [role for role, times in zip(ROLES, count.tolist(), strict=True) for _ in range(times)]


# ---- what each counts ---------------------------------------------------------------------------------------------
def weights_of(seed: Seed, ends: Sequence[int], roles: Sequence[Role]) -> Float64[Array, "items"]:
    """1 / P(chosen) of the items of these roles, else 0; drawings made one after the other in proportion to their
    items.

    ends: how many items the seed had after each drawing. A probability holds within its drawing, so each of them is an
    estimate of its own, and all count by the number of their items.
    """
    serves = np.isin(np.array(seed.role, str), roles)
    weights = np.where(serves, 1 / seed.inclusion, 0.0)
    drawing = np.searchsorted(np.asarray(ends, np.int64), np.arange(len(weights)), side="right")
    size = np.bincount(drawing, weights, minlength=1)
    count = np.bincount(drawing, serves, minlength=1)
    return weights * np.divide(count, size, out=np.zeros_like(size), where=size > 0)[drawing]


# ---- on disk --------------------------------------------------------------------------------------------------------
def write_seed(seed: Seed, path: Path) -> None:
    """item, role, inclusion. Raises FormatError."""
    columns: Mapping[str, Shaped[Array, "items"]] = {
        "item": np.array(seed.items, object),
        "role": np.array(seed.role, object),
    }
    write_table(
        pa.table({**{k: pa.array(v, pa.string()) for k, v in columns.items()}, "inclusion": seed.inclusion}), path
    )


def read_seed(path: Path) -> Seed:
    """As `write_seed` wrote it. Raises FormatError where an item has two roles, or one that there is not."""
    try:
        table = pq.read_table(path)
        items, role = table["item"].to_pylist(), table["role"].to_pylist()
        inclusion = table["inclusion"].to_numpy()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise _broken(path, f"the roles cannot be read ({error})") from None
    strange = next((each for each in role if each not in ROLES), None)
    if strange is not None:
        raise _broken(path, f"there is no role {strange!r}")
    if len(set(items)) < len(items):
        twice = next(item for item in items if items.count(item) > 1)
        raise _broken(path, f"item {twice!r} has two roles")
    return Seed(tuple(items), tuple(role), inclusion.astype(np.float64))


def _broken(path: Path, problem: str) -> FormatError:
    return FormatError(problem, mend="restore the file, or begin a new judge folder", source=str(path))
