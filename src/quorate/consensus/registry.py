"""Names of estimators, and where each lives; a module is imported only when its name is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from quorate.consensus.estimator import Estimator, Model
from quorate.errors import SettingError


class Home(NamedTuple):
    """Where an estimator lives, and the options that its name stands for."""

    module: str
    options: str
    model: str
    preset: dict[str, Any]


ESTIMATORS: dict[str, Home] = {
    "majority": Home("quorate.consensus.majority", "Majority", "MajorityModel", {}),
    "majority-all": Home("quorate.consensus.majority", "Majority", "MajorityModel", {"who": "all"}),
    "dawid-skene": Home("quorate.consensus.dawid_skene", "DawidSkene", "DawidSkeneModel", {}),
    "calibrated-dawid-skene": Home("quorate.consensus.calibrated", "CalibratedDawidSkene", "CalibratedModel", {}),
    "haic": Home("quorate.consensus.complementarity", "Haic", "HaicModel", {}),
    "calco": Home("quorate.consensus.calco", "Calco", "CalcoModel", {}),
    "hybrid": Home("quorate.consensus.hybrid", "Hybrid", "HybridModel", {}),
}


def estimator(name: str = "hybrid", **options: Any) -> Estimator:
    """The estimator of that name with its options. Raises SettingError for an unknown name or option.

    >>> estimator("majority").who
    'people'
    """
    home = _home(name)
    kind = getattr(import_module(home.module), home.options)
    try:
        return kind(**{**home.preset, **options})
    except TypeError as error:
        raise SettingError(f"estimator {name!r}: {error}") from None


def model_class(name: str) -> type[Model]:
    """The class of fitted models of that name. Raises SettingError for an unknown name."""
    home = _home(name)
    return getattr(import_module(home.module), home.model)


def _home(name: str) -> Home:
    if name not in ESTIMATORS:
        raise SettingError(f"there is no estimator {name!r}; use one of {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]
