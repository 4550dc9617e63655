"""What a study is told: how much of it, with what, and where it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorate.consensus.estimator import Estimator
from quorate.consensus.registry import ESTIMATORS, estimator
from quorate.errors import MissingExtraError, SettingError
from quorate.study.runs import Runs

Progress = Callable[[float, str], None]
PAPER_NAMES = {"majority-all": "MV", "dawid-skene": "Disc-DS", "calibrated-dawid-skene": "CAL-DS", "haic": "HAIC",
               "calco": "CALCO"}  # fmt: skip
STUDIED = ("majority-all", "dawid-skene", "calibrated-dawid-skene", "haic", "calco", "hybrid")
ORACLE = "oracle"  # the posterior under the true parameters, which nobody can beat
QUICK_OPTIONS: dict[str, dict[str, Any]] = {"calco": {"max_steps": 300}}  # all of its steps take minutes


@dataclass(frozen=True)
class Plan:
    """Options of all studies; None: as many as the study has by default, fewer where it is quick."""

    out: Path = field(default_factory=lambda: Path("quorate-study"))
    quick: bool = False
    seeds: int | None = None
    items: int | None = None
    estimators: tuple[str, ...] = STUDIED
    progress: Progress | None = None

    def __post_init__(self) -> None:
        for name in self.estimators:
            if name not in ESTIMATORS:
                raise SettingError(f"there is no estimator {name!r}; use one of {', '.join(ESTIMATORS)}")

    @property
    def runs(self) -> Runs:
        """Where the parts are kept."""
        return Runs(self.out / "parts")

    def options(self, name: str) -> Estimator:
        """The estimator as this study fits it."""
        return estimator(name, **self.settings(name))

    def settings(self, name: str) -> dict[str, Any]:
        """What differs from the estimator's own defaults."""
        return QUICK_OPTIONS.get(name, {}) if self.quick else {}

    def world_seeds(self, full: int, quick: int) -> list[int]:
        """Seeds of worlds, from 1."""
        return list(range(1, (self.seeds or (quick if self.quick else full)) + 1))

    def n_items(self, full: int, quick: int) -> int:
        """Items of a world, half of which teach."""
        return self.items or (quick if self.quick else full)

    def tell(self, done: int, of: int, what: str) -> None:
        """Report progress: so many parts done."""
        if self.progress is not None:
            self.progress(done / max(of, 1), what)


def need_report() -> None:
    """Raises MissingExtraError where figures or pages cannot be made: before hours of work, not after."""
    for package in ("matplotlib", "jinja2"):
        try:
            __import__(package)
        except ImportError:
            raise MissingExtraError(package, "report") from None


def seeds_said(n: int) -> str:
    """How many, in words: 1 seed, 5 seeds.

    >>> seeds_said(1), seeds_said(5)
    ('1 seed', '5 seeds')
    """
    return f"{n} seed{'s' if n != 1 else ''}"
