"""The climb of `calco`: stochastic variational inference by Adam until the smoothed bound stops rising."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from quorate.consensus.calco.learned import Learned
from quorate.consensus.calco.problem import Problem
from quorate.errors import MissingExtraError, SettingError

if TYPE_CHECKING:
    from quorate.consensus.calco import Calco
    from quorate.consensus.calco.program import Program
    from quorate.consensus.estimator import Status

WINDOW = 100  # steps over which the bound is smoothed
PATIENCE = 3  # windows without a gain before the fit ends
FINAL_RATE = 0.05  # of the learning rate, reached at the last step
CLIP = 10.0  # of the gradient's norm


class Ended(NamedTuple):
    """How the climb ended; the objective is the bound smoothed over WINDOW steps, in nats."""

    status: Status
    steps: int
    objective: tuple[float, ...]


def train(problem: Problem, options: Calco, tell: Callable[[float], None] | None = None) -> tuple[Learned, Ended]:
    """Learned parameters as numpy arrays, whatever the device.

    Raises MissingExtraError without torch and Pyro, SettingError for a device that cannot be used.
    """
    try:
        import pyro
        import torch
        from threadpoolctl import threadpool_limits

        from quorate.consensus.calco.program import Program
    except ImportError as error:
        raise MissingExtraError("torch with pyro-ppl", "torch") from error
    device = _device(options.device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []), pyro.get_param_store().scope():
        torch.manual_seed(options.seed)
        program = Program(problem, options, device)
        said = problem.n_components > 0 and any(len(group.label) or group.spoken.any() for group in problem.groups)
        with threadpool_limits(1):  # a step is hundreds of small operations: waking threads costs more than they bring
            ended = _climb(program, options, tell) if said else Ended("prior only", 0, ())
        with torch.no_grad():
            return program.learned(), ended


def _device(name: str) -> Any:
    import torch

    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError, ValueError) as error:
        raise SettingError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from None


def _climb(program: Program, options: Calco, tell: Callable[[float], None] | None) -> Ended:
    import torch
    from pyro.infer import SVI, TraceMeanField_ELBO
    from pyro.optim import ClippedAdam

    decay = FINAL_RATE ** (1 / options.max_steps)
    optimiser = ClippedAdam({"lr": options.learning_rate, "lrd": decay, "clip_norm": CLIP, "betas": (0.9, 0.99)})
    inference = SVI(program.model, program.guide, optimiser, TraceMeanField_ELBO())
    generator = torch.Generator().manual_seed(options.seed)
    smoothed: list[float] = []
    window: list[float] = []
    for step in range(1, options.max_steps + 1):
        window.append(-_number(inference.step(program.batch(generator))))
        if len(window) == WINDOW or step == options.max_steps:
            smoothed.append(float(np.mean(window)))
            window = []
            if tell is not None:
                tell(step / options.max_steps)
            if _stopped_rising(smoothed, options.tolerance):
                return Ended("converged", step, tuple(smoothed))
    return Ended("iteration limit", options.max_steps, tuple(smoothed))


def _stopped_rising(smoothed: list[float], tolerance: float) -> bool:
    if len(smoothed) <= PATIENCE:
        return False
    before = max(smoothed[:-PATIENCE])
    return max(smoothed[-PATIENCE:]) - before < tolerance * abs(before)


def _number(loss: Any) -> float:
    return float(loss)
