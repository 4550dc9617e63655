"""What is asked of a language model and what comes back, in our own words; `chat` speaks them to a server.

A request is a value: two equal requests are the same call, and `Request.key` names it for the journal, for a batch
file and for the fake server. Unknown stays absent: a server that gives no log probabilities gives `tokens=None`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

Finish = Literal["stop", "length", "content_filter", "refusal"]
Kind = Literal[
    "rate",  # too many requests a minute
    "tokens",  # too many tokens a minute
    "overload",  # the server is down or asks for patience
    "quota",  # the account is empty
    "timeout",
    "broken",  # the connection or the body ended early, or the body is not an answer
    "refusal",  # refused before a model answered; a refusal in words is an answer that finished by "refusal"
    "filtered",  # the prompt was stopped by a filter; an answer cut by one finished by "content_filter"
    "bad request",
    "auth",
    "budget",  # the cap of the ledger is reached: never sent
    "restricted",  # about a restricted item, to a place outside the boundary: never sent
]
OUTSIDE = -9999.0  # a server's word for "not among the tokens that I list": never a probability
# made once: an encoder made for every call costs more than what it encodes
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
COMPACT = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
OF_KEY = 8  # the first fields of a request, which every key is made of
Part = Mapping[str, Any]  # of a message: {"type": "text", "text": ...}, {"type": "image_url", ...}, and of look-ups
# {"type": "tool_call", "id", "name", "arguments"} by the assistant, {"type": "tool_result", "id", "text"} by the tool


class Message(NamedTuple):
    """One turn of a conversation: plain text, or parts (text and images; calls of tools and what they return)."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Sequence[Part]


class Tool(NamedTuple):
    """Something that a model may look up: its name, what it is good for, a JSON schema of its arguments."""

    name: str
    about: str
    parameters: Mapping[str, Any]


class ToolCall(NamedTuple):
    """What a model wants to look up; the arguments as it said them, which should be a JSON object."""

    id: str
    name: str
    arguments: str


class Step(NamedTuple):
    """One look-up on the way to an answer."""

    round: int  # from 1
    tool: str
    arguments: str
    result: str


class Request(NamedTuple):
    """One call: what decides the answer, and whether it may leave the boundary."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int = 256
    temperature: float = 0.0
    top_logprobs: int | None = None  # None: no log probabilities; 0: those of the answer's own tokens only
    schema: Mapping[str, Any] | None = None  # a JSON schema that the answer must fulfil
    seed: int | None = None
    sample: int = 0  # number of the sample, where one prompt is answered several times
    restricted: bool = False  # may not leave the boundary; it decides no answer, so the key does not know it
    tools: tuple[Tool, ...] = ()
    may_call: bool = True  # False: the tools stand there for what was said before, and the answer is due

    def key(self) -> str:
        """A name for this call: the same for equal requests, on every machine; 64 hexadecimal digits.

        >>> Request("m", (Message("user", "Hello"),)).key() == Request("m", (Message("user", "Hello"),)).key()
        True
        >>> Request("m", (Message("user", "Hello"),)).key() == Request("m", (Message("user", "Hello"),), sample=1).key()
        False
        """
        said = [*self._replace(temperature=float(self.temperature))[:OF_KEY]]
        said += [self.tools, self.may_call] if self.tools else []  # without tools, keys are as they always were
        return hashlib.sha256(canonical(said).encode()).hexdigest()


class Token(NamedTuple):
    """One token of an answer with its log probability (nats), and the likeliest tokens at its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]

    def listed(self) -> tuple[tuple[str, float], ...]:
        """The likeliest tokens that have a probability: those marked as outside the list are left out."""
        return tuple(entry for entry in self.top if entry[1] > OUTSIDE)


class Usage(NamedTuple):
    """What a call is paid by: tokens."""

    prompt_tokens: int
    completion_tokens: int


class Answer(NamedTuple):
    """What a model answered; `tokens` is None where the server gave no log probabilities."""

    text: str
    tokens: tuple[Token, ...] | None
    finish: Finish
    usage: Usage
    model: str  # as the server names what answered: often the name asked for, with a date
    calls: tuple[ToolCall, ...] = ()  # what the model wants to look up before it answers
    steps: tuple[Step, ...] = ()  # what it has looked up on the way here; `usage` is then that of all rounds

    def to_json(self) -> str:
        """The answer as one line of JSON, without steps; `from_json` gives back an equal one, bit by bit."""
        return COMPACT([*self[:5], *([self.calls] if self.calls else [])])

    @classmethod
    def from_json(cls, line: str) -> Answer:
        """The answer that `to_json` wrote.

        >>> answer = Answer("A", (Token("A", -0.1, (("A", -0.1), ("B", OUTSIDE))),), "stop", Usage(12, 1), "m")
        >>> Answer.from_json(answer.to_json()) == answer
        True
        """
        text, tokens, finish, usage, model, *more = json.loads(line)
        calls = tuple(ToolCall(*call) for called in more for call in called)
        return cls(text, None if tokens is None else tuple(map(_token, tokens)), finish, Usage(*usage), model, calls)


class Failure(NamedTuple):
    """A call that gave no answer: of what kind, in whose words, after how many retries."""

    kind: Kind
    detail: str
    retried: int
    steps: tuple[Step, ...] = ()  # what was looked up before it failed


@runtime_checkable
class Transport(Protocol):
    """Whatever can carry a request to a model and its answer back."""

    async def send(self, request: Request) -> Answer:
        """The answer, after one try and no retry. Raises CallError (see `quorate.llm.failures`), by kind."""
        ...


def canonical(value: Any) -> str:
    """JSON with one spelling for equal values: sorted names, no spaces, ASCII only."""
    return CANONICAL(value)


def _token(entry: Sequence[Any]) -> Token:
    token, logprob, top = entry
    return Token(token, logprob, tuple((word, value) for word, value in top))
