"""Look-ups before an answer: a model asks, tools return, the model goes on, until it answers or the rounds are over.

Every round is a request of its own, with its own key: it is journaled, paid and retried like any other call, and a run
that was killed goes on within an item. What is said of a call is made plain before it is sent back: a model's own ids
and broken arguments would make a key that changes from run to run, or a body that a server refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from quorate.llm.chat import CALLED, MESSAGE_TOKENS, RETURNED, most_usage
from quorate.llm.toolbox import MOST_ARGUMENTS, MOST_CALLS, MOST_RESULT, NAME, Toolbox, arguments_of
from quorate.llm.wire import Answer, Failure, Message, Request, Step, ToolCall, Usage

TOO_MANY = f"error: at most {MOST_CALLS} look-ups at once"
BYTES_PER_CHARACTER = 4


class Talk:
    """One call and its rounds: `request` is what is to be asked next."""

    def __init__(self, request: Request, toolbox: Toolbox | None) -> None:
        self.request = request
        self._toolbox = toolbox if request.tools else None
        self._round = 0
        self._steps: list[Step] = []
        self._usage = Usage(0, 0)

    def take(self, said: Answer | Failure) -> Answer | Failure | None:
        """What came of the call in the end, with its steps and the tokens of all rounds; None where it goes on."""
        if self._toolbox is None:
            return said
        if isinstance(said, Failure):
            return said._replace(steps=tuple(self._steps))
        self._usage = Usage(*map(sum, zip(self._usage, said.usage, strict=True)))
        if not said.calls or self._round == self._toolbox.rounds:
            return said._replace(usage=self._usage, steps=tuple(self._steps))
        self._round += 1
        self._go_on(said, self._toolbox)
        return None

    def _go_on(self, said: Answer, toolbox: Toolbox) -> None:
        asked, returned = [], []
        for number, call in enumerate(said.calls, start=1):
            result = toolbox.result(call) if number <= MOST_CALLS else TOO_MANY
            self._steps.append(Step(self._round, call.name, call.arguments, result))
            if number <= MOST_CALLS:
                name = f"call{self._round:02}{number:03}"  # nine letters and digits: some servers take no other id
                asked.append({"type": CALLED, "id": name, **_plain(call)})
                returned.append(Message("tool", ({"type": RETURNED, "id": name, "text": result},)))
        words: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.text else []
        messages = (*self.request.messages, Message("assistant", (*words, *asked)), *returned)
        self.request = self.request._replace(messages=messages, may_call=self._round < toolbox.rounds)


def known_rounds(
    request: Request, toolbox: Toolbox | None, find: Callable[[str], Answer | None]
) -> Iterator[tuple[Request, Answer | None]]:
    """The requests of a call up to the first that is not known; beside the last, what came of it, where it is known."""
    talk = Talk(request, toolbox)
    while True:
        asked = talk.request
        known = find(asked.key())
        final = None if known is None else talk.take(known)
        yield asked, final if isinstance(final, Answer) else None
        if known is None or final is not None:
            return


def most_of_rounds(request: Request, toolbox: Toolbox | None) -> list[Usage]:
    """The most tokens that each round of a call can use, if every round is taken."""
    first = most_usage(request)
    if toolbox is None or not request.tools:
        return [first]
    said = request.max_tokens * 16  # bytes of words beside the calls: a token is seldom longer
    grown = (
        MESSAGE_TOKENS + said + MOST_CALLS * (3 * MESSAGE_TOKENS + BYTES_PER_CHARACTER * (MOST_ARGUMENTS + MOST_RESULT))
    )
    return [first._replace(prompt_tokens=first.prompt_tokens + n * grown) for n in range(toolbox.rounds + 1)]


def _plain(call: ToolCall) -> dict[str, str]:
    """A call as it is said back: a name that may be one, and arguments that are JSON."""
    name = call.name if NAME.fullmatch(call.name) else re.sub(r"[^A-Za-z0-9_-]", "_", f"t{call.name}")[:64]
    return {"name": name, "arguments": json.dumps(arguments_of(call) or {}, sort_keys=True)}
