"""What a simulated world is made of, and the named worlds.

"paper" and "coupled" follow [nguyen2026], whose constants are not published: these were chosen. "real-like" adds what
real people and language models do, with round constants chosen so that its figures lie among those of recorded
labelings: agreement from the counts of labels [fleiss1971], the rest from the report `agents` with Dawid-Skene as the
judge. Thirteen recorded sets with people and two or more models, lowest, middle and highest set; the world with 1,000
items, seeds 1 to 3. Half of the sets have scales of five classes or more, which explains their lower agreement.

                                                  recorded              real-like
    two people say the same                       .27   .60   .92      .69 to .71
    Fleiss' kappa                                 .03   .29   .86      .47 to .53
    a model is right                              .20   .56   .85      .62 to .65
    errors of two models correlate                .10   .33   .53      .33 to .34
    the same inside a family that is found        .40   .53   .77      .43 to .51
    wrong in the same class, if both are wrong    .36   .71  1.00      .80
    independent models that 4 to 7 are worth      1.9   2.1   3.3      2.2 to 2.3
    labels per item and task                      2.0   3.0  33.0      3.8
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from quorate.errors import SettingError
from quorate.simulate.errors_together import Together

Array = np.ndarray
ALONE = Together(0.0, 0.0)
MOST_READINGS = 12  # the number of their states grows with a power of it


def shared_components(classes: Sequence[int], correlation: float) -> Float64[Array, "components components"]:
    """Task correlation: equal components of different tasks correlate, different components do not.

    Components lie task after task, classes - 1 of them each (log-odds against the last class).

    >>> shared_components((2, 3), 0.6)[0].tolist()
    [1.0, 0.6, 0.0]
    """
    component = np.concatenate([np.arange(k - 1) for k in classes])
    together = np.where(component[:, None] == component, correlation, 0.0)
    np.fill_diagonal(together, 1.0)
    return together


def families(family: Sequence[int], inside: float, across: float) -> Float64[Array, "models models"]:
    """Model correlation of the copula: `inside` a family, `across` families.

    >>> families((0, 0, 1), 0.7, 0.1)[0].tolist()
    [1.0, 0.7, 0.1]
    """
    code = np.asarray(family)
    together = np.where(code[:, None] == code, inside, across)
    np.fill_diagonal(together, 1.0)
    return together


@dataclass(frozen=True, eq=False)
class Setting:
    """What a world is made of, before any parameter is drawn. Raises SettingError for what cannot be."""

    classes: tuple[int, ...] = (3,) * 10  # per task
    task_correlation: Float64[Array, "components components"] = field(
        default_factory=lambda: shared_components((3,) * 10, 0.6)
    )
    sigma: float = 2.0  # sd of the log-odds of an item's prevalence
    mean_sd: float = 0.7  # sd of their means
    model_correlation: Float64[Array, "models models"] = field(default_factory=lambda: families((0, 0, 1), 0.7, 0.1))
    model_accuracy: tuple[float, float] = (0.40, 0.60)
    concentration: float = 2.0  # lambda of the Dirichlet scores: small is noisy
    n_annotators: int = 50
    diagonal: float = 3.0  # Dirichlet weight of the right answer in a person's rows
    off_diagonal: float = 2.0  # the same for all wrong answers together
    labels_per_item: tuple[int, int] = (5, 5)  # fewest and most; every number between is equally likely
    # what the paper lacks
    ordered: tuple[int, ...] = ()  # places of tasks whose classes are a scale; wrong answers fall near the right one
    model_family: tuple[int, ...] = ()  # code of every model's family, for
    readings: int = 0  # n of `errors_together`; 0: scores are the paper's Dirichlet
    doubt: float = 1.0  # weight of no opinion beside the readings
    together: Together = ALONE  # how much models share their readings
    halo: float = 0.0  # correlation of a person's errors on the tasks of one item
    drift: tuple[float, float] = (0.0, 0.0)  # mean and sd over people of the change of log-odds of a right answer
    spammers: float = 0.0  # share of the annotators
    workload_sd: float = 0.0  # sd of the log of people's shares of the work
    skipped: float = 0.0  # share of the tasks that a person leaves out

    def __post_init__(self) -> None:
        components = sum(k - 1 for k in self.classes)
        if min(self.classes, default=0) < 2:
            raise SettingError(f"every task needs two classes or more, not {self.classes}")
        _check_correlation("task_correlation", self.task_correlation, components)
        _check_correlation("model_correlation", self.model_correlation, len(self.model_correlation))
        fewest, most = self.labels_per_item
        if not 0 <= fewest <= most <= self.n_annotators:
            raise SettingError(
                f"labels_per_item {self.labels_per_item} must rise and not pass {self.n_annotators} annotators"
            )
        _check_habits(self)
        _check_readings(self)

    @property
    def timed(self) -> bool:
        """Whether labels bear the time of their arrival."""
        return self.drift != (0.0, 0.0)

    @property
    def habitual(self) -> bool:
        """Whether anybody does more than err by confusion rows."""
        return self.timed or max(self.halo, self.spammers, self.workload_sd) > 0


def _check_correlation(name: str, matrix: Array, size: int) -> None:
    whole = matrix.shape == (size, size) and np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 1.0)
    if not whole or (size and np.linalg.eigvalsh(matrix).min() < -1e-9):
        raise SettingError(f"{name} of shape {matrix.shape} is not a correlation matrix of {size} components")


def _check_habits(setting: Setting) -> None:
    for name in ("halo", "spammers", "skipped"):
        if not 0 <= getattr(setting, name) <= 1:
            raise SettingError(f"{name} must lie between 0 and 1, not at {getattr(setting, name)}")
    if min(setting.workload_sd, setting.drift[1]) < 0:
        raise SettingError(
            f"workload_sd {setting.workload_sd} and the sd of drift {setting.drift} must not be negative"
        )
    if not set(setting.ordered) <= set(range(len(setting.classes))):
        raise SettingError(f"ordered {setting.ordered} must name places of the {len(setting.classes)} tasks")


def _check_readings(setting: Setting) -> None:
    inside, across = setting.together
    if not 0 <= across <= inside < 1:
        raise SettingError(f"together must have 0 <= across <= inside < 1, not {setting.together}")
    if not 0 <= setting.readings <= MOST_READINGS or (inside and not setting.readings):
        raise SettingError(f"readings must be 1 to {MOST_READINGS} for models to share them, not {setting.readings}")
    if inside and len(setting.model_family) != len(setting.model_correlation):
        raise SettingError(f"{len(setting.model_correlation)} models need as many in model_family, to err together")
    if setting.readings and (setting.doubt <= 0 or setting.model_accuracy[1] >= 1):
        raise SettingError("models that read need a doubt above 0 and a model_accuracy below 1")


REAL_CLASSES = (2, 3, 3, 4, 3)
SETTINGS: dict[str, Setting] = {
    "paper": Setting(),
    "coupled": Setting(task_correlation=shared_components((3,) * 10, 0.85), sigma=3.0),
    "real-like": Setting(
        classes=REAL_CLASSES,
        task_correlation=shared_components(REAL_CLASSES, 0.4),
        mean_sd=1.0,
        model_correlation=families((0, 0, 1, 1, 2, 2), 0.7, 0.1),
        model_accuracy=(0.60, 0.80),
        concentration=3.0,
        n_annotators=40,
        diagonal=8.5,
        off_diagonal=1.5,
        labels_per_item=(3, 5),
        ordered=(2, 3),
        model_family=(0, 0, 1, 1, 2, 2),
        together=Together(inside=0.9, across=0.55),
        readings=2,
        doubt=0.3,
        halo=0.2,
        drift=(-0.3, 0.5),
        spammers=0.05,
        workload_sd=1.0,
        skipped=0.05,
    ),
}
