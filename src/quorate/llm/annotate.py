"""Ask models for labels of items, with a probability for every class.

    job = Job(read_items(path), read_rubric(rubric), ("gpt-4o-mini",))
    with Journal("calls.sqlite") as journal:
        done = annotate(job, ChatClient(url, api_key=key), journal=journal, ledger=Ledger(read_prices(), cap_usd=5.0))
    done.tally.cells, done.failures

Run again with the same journal it asks only for what is missing. What fails is told item by item; the rest stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from quorate.llm.calls import Call, Job
from quorate.llm.failures import FATAL, BrokenError
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger
from quorate.llm.limits import Limits
from quorate.llm.many import Take, asking_many, wait_for
from quorate.llm.progress import Progress
from quorate.llm.rounds import known_rounds, most_of_rounds
from quorate.llm.settings import is_local
from quorate.llm.tally import Failed, Tally
from quorate.llm.wire import Answer, Failure, Request, Transport

Entry = tuple[Call, Request]
LIKELY_CHARACTERS = 4  # of a prompt, per token
LIKELY_IMAGE_TOKENS = 1_000
LIKELY_SHARE = 0.5  # of the tokens that an answer may have


class Annotated(NamedTuple):
    """What came of a labeling: what was said, what is missing, what it took."""

    job: Job
    tally: Tally
    failures: list[Failed]
    n_calls: int  # answered or failed, those known from the journal included
    spent_usd: float  # by all runs with this journal
    lost_usd: float  # at most, for calls that broke off
    stopped: bool  # before its end: the cap, the account or the key


class Forecast(NamedTuple):
    """What a labeling will take."""

    model: str
    calls: int
    known: int  # answered already, in the journal
    likely_usd: float
    most_usd: float


class Recorded:
    """A transport that sends nothing: what the journal does not know is missing."""

    def __init__(self, failures: Mapping[str, Failure] | None = None) -> None:
        self._failures = failures or {}

    async def send(self, request: Request) -> Answer:
        """No answer. Raises BrokenError with what is known of the call."""
        await asyncio.sleep(0)
        known = self._failures.get(request.key())
        raise BrokenError("no result speaks of it" if known is None else f"{known.kind}: {known.detail}", retry=False)


def annotate(
    job: Job,
    transport: Transport,
    *,
    journal: Journal,
    ledger: Ledger,
    limits: Limits | None = None,
    local: Transport | None = None,
    progress: Progress | None = None,
    check: bool = True,
) -> Annotated:
    """The labels of all items by all models; models on this machine are asked through `local`.

    `check=False` leaves a verifier out: labels alone.

    Raises SettingError before anything is sent where a price is unknown and that is not allowed.
    """
    return wait_for(
        annotating(
            job,
            transport,
            journal=journal,
            ledger=ledger,
            limits=limits,
            local=local,
            progress=progress,
            check=check,
        )
    )


async def annotating(
    job: Job,
    transport: Transport,
    *,
    journal: Journal,
    ledger: Ledger,
    limits: Limits | None = None,
    local: Transport | None = None,
    progress: Progress | None = None,
    check: bool = True,
) -> Annotated:
    """`annotate`, for who has an event loop and may call it off: calls in flight then land, and are kept."""
    tally, limits = Tally(job), limits or Limits()
    n_calls = 0
    stopped = False

    async def asked(entries: Iterator[Entry], n: int, over: Transport, take: Take[Call]) -> None:
        nonlocal n_calls, stopped

        def noted(call: Call, said: Answer | Failure, cost_usd: float) -> None:
            nonlocal n_calls, stopped
            n_calls += 1
            stopped = stopped or (isinstance(said, Failure) and said.kind in FATAL)
            take(call, said, cost_usd)

        await asking_many(
            entries, n, over, noted, journal=journal, ledger=ledger, limits=limits, progress=progress,
            toolbox=job.toolbox,
        )  # fmt: skip

    for models, over in ((_far(job.models), transport), (_near(job.models), local or transport)):
        if models:
            await asked(job.calls(models), job.n_calls(models), over, tally.take)
    tally.settle()
    checks = check_calls(job, tally) if check else []
    if checks:
        name = job.settings.verifier or ""
        over = (local or transport) if is_local(name) else transport
        await asked(_check_requests(job, checks), len(checks), over, tally.take_check)
        tally.settle_checks()
    return Annotated(job, tally, tally.failures(), n_calls, ledger.spent_usd, ledger.lost_usd, stopped)


def requests(job: Job, journal: Journal) -> Iterator[Request]:
    """All requests of models that are not on this machine; with a verifier, the checks of labels that are known.

    Where models look things up, the requests of the rounds that the journal knows, and of the one that is due.
    """
    for _, request in job.calls(_far(job.models)):
        for asked, _ in known_rounds(request, job.toolbox, journal.find):
            yield asked
    if job.settings.confidence == "verifier" and not is_local(job.settings.verifier or ""):
        tally = known_so_far(job, journal)
        for _, request in _check_requests(job, check_calls(job, tally)):
            yield request


def known_so_far(job: Job, journal: Journal) -> Tally:
    """The labels that the journal knows, without a call."""
    tally = Tally(job)
    for call, request in job.calls(job.models):
        *_, (_, answer) = known_rounds(request, job.toolbox, journal.find)
        if answer is not None:
            tally.take(call, answer, 0.0)
    return tally


def check_calls(job: Job, tally: Tally) -> list[Call]:
    """Which labels the verifier is asked about: those of models that show no probabilities."""
    found: list[Call] = []
    for (model, task), cells in tally.cells.items():
        if job.checked(job.models[model]):
            n_classes = cells.probs.shape[1]
            each = job.settings.verify == "each"
            for item in np.flatnonzero(cells.labeled).tolist():
                codes = range(n_classes) if each else (int(cells.code[item]),)
                found += [Call(item, model, task, code=code) for code in codes]
    return sorted(found)


def forecast(job: Job, journal: Journal, ledger: Ledger) -> list[Forecast]:
    """How many calls a labeling takes and what they cost, model by model, without a call.

    What is likely counts four characters of a prompt for a token, half of what an answer may have, and one round of
    look-ups where there are tools; the most counts all rounds.
    """
    found: dict[str, list[float]] = {}
    for request in _all_requests(job):
        each = found.setdefault(request.model, [0, 0, 0.0, 0.0])
        each[0] += 1
        *_, (_, known) = known_rounds(request, job.toolbox, journal.find)
        if known is not None:
            each[1] += 1
        elif not is_local(request.model):
            each[2] += likely_usd(request, ledger) * (2 if request.tools else 1)
            each[3] += sum(ledger.cost_usd(request.model, most) for most in most_of_rounds(request, job.toolbox))
    return [Forecast(model, int(n), int(known), likely, most) for model, (n, known, likely, most) in found.items()]


# ---- inside -----------------------------------------------------------------------------------------------------


def _far(models: Sequence[str]) -> list[str]:
    return [model for model in models if not is_local(model)]


def _near(models: Sequence[str]) -> list[str]:
    return [model for model in models if is_local(model)]


def _check_requests(job: Job, checks: Sequence[Call]) -> Iterator[Entry]:
    for call in checks:
        yield call, job.check(call)


def _all_requests(job: Job) -> Iterator[Request]:
    """Every request; of checks of labels that nobody has given yet, as if the first class had been answered."""
    for _, request in job.calls(job.models):
        yield request
    each = job.settings.verify == "each"
    for _ in filter(job.checked, job.models):
        for item in range(len(job.items)):
            for place, verifier in enumerate(job.verifiers):
                for code in range(len(verifier.question.ids) if each else 1):
                    yield job.check(Call(item, 0, place, code=code))


def likely_usd(request: Request, ledger: Ledger) -> float:
    """What a call is likely to cost (US dollars): four characters a token, half of what the answer may have."""
    from quorate.llm.chat import IMAGE_TOKENS, most_usage

    most = most_usage(request)
    images = sum(
        "image_url" in part for message in request.messages if not isinstance(message.content, str)
        for part in message.content
    )  # fmt: skip
    characters = most.prompt_tokens - images * IMAGE_TOKENS
    prompt = characters // LIKELY_CHARACTERS + images * LIKELY_IMAGE_TOKENS
    completion = round(LIKELY_SHARE * most.completion_tokens)
    return ledger.cost_usd(request.model, most._replace(prompt_tokens=prompt, completion_tokens=completion))
