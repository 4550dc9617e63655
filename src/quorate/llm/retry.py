"""Which failures are tried again, how often, and after how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from quorate.errors import MissingExtraError
from quorate.llm.failures import CallError
from quorate.llm.limits import Clock
from quorate.llm.wire import Answer

if TYPE_CHECKING:
    from tenacity import RetryCallState


class Patience(NamedTuple):
    """How much is put up with."""

    tries: int = 8  # of one call
    paid_tries: int = 3  # of one call that broke off and may have been charged: every one of them may cost
    first_s: float = 0.5  # the longest wait after the first failure; it doubles with each
    most_s: float = 60.0  # the longest wait that nobody asked for
    told_s: float = 3_600.0  # a server that asks for a longer wait stops the run


def wait_s(error: CallError, failures: int, patience: Patience, rng: np.random.Generator) -> float:
    """Seconds to wait after the so-manieth failure: as told, else between 0 and a bound that doubles (full jitter)."""
    if error.retry_after_s is not None:
        return error.retry_after_s
    return float(rng.uniform(0.0, min(patience.most_s, patience.first_s * 2.0 ** (failures - 1))))


async def tried_again(
    error: CallError,
    again: Callable[[], Awaitable[Answer]],
    *,
    patience: Patience,
    clock: Clock,
    waits: Callable[[CallError], float],
) -> tuple[Answer | CallError, int]:
    """The answer of a call whose first try failed by `error`, or its last failure; and the number of retries.

    `again` makes one more try; `waits` tells the seconds before it.
    """
    try:
        from tenacity import AsyncRetrying, retry_if_exception
    except ImportError:
        raise MissingExtraError("tenacity", "llm") from None
    paid = 0
    first: CallError | None = error

    def more(failure: BaseException) -> bool:
        nonlocal paid
        if not isinstance(failure, CallError):
            return False
        paid += failure.paid
        return failure.retry and paid < patience.paid_tries

    def pause(state: RetryCallState) -> float:
        assert state.outcome is not None
        failure = state.outcome.exception()
        assert isinstance(failure, CallError)
        return waits(failure)

    async def attempt() -> Answer:
        nonlocal first
        if first is not None:
            failure, first = first, None
            raise failure
        return await again()

    retrying = AsyncRetrying(
        stop=lambda state: state.attempt_number >= patience.tries,
        wait=pause,
        retry=retry_if_exception(more),
        sleep=clock.sleep,
        reraise=True,
    )
    try:
        return await retrying(attempt), retrying.statistics["attempt_number"] - 1
    except CallError as failure:
        return failure, retrying.statistics["attempt_number"] - 1
