"""Consensus of people and language models that can be trusted.

Names are loaded when they are first used (PEP 562), so that `import quorate` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quorate import errors
    from quorate.client.client import Client
    from quorate.consensus.archive import load
    from quorate.consensus.registry import estimator
    from quorate.data.dataset import Dataset
    from quorate.evaluate.compare import compare
    from quorate.measure.agreement import agreement
    from quorate.schema import Schema, Task
    from quorate.signature import verify_webhook

__version__ = "0.1.0"

__all__ = [
    "Client",
    "Dataset",
    "Schema",
    "Task",
    "__version__",
    "agreement",
    "compare",
    "errors",
    "estimator",
    "load",
    "verify_webhook",
]

_HOME = {
    "Client": "quorate.client.client",
    "Dataset": "quorate.data.dataset",
    "Schema": "quorate.schema",
    "Task": "quorate.schema",
    "agreement": "quorate.measure.agreement",
    "compare": "quorate.evaluate.compare",
    "estimator": "quorate.consensus.registry",
    "load": "quorate.consensus.archive",
    "verify_webhook": "quorate.signature",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("quorate.errors")
    if name not in _HOME:
        raise AttributeError(f"module 'quorate' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
