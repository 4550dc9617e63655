"""The policy optimizer: least cost under a floor, or best quality within limits, with a proof."""

from quorate.policy.optimize.constraints import Constraints
from quorate.policy.optimize.optimizer import optimize, optimize_on
from quorate.policy.optimize.result import Optimized

__all__ = ["Constraints", "Optimized", "optimize", "optimize_on"]
