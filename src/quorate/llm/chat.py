"""Requests and answers in the words of OpenAI's chat completions, which most servers speak."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from quorate.llm.failures import BrokenError
from quorate.llm.wire import OUTSIDE, Answer, Finish, Message, Part, Request, Token, Tool, ToolCall, Usage, canonical

PATH = "/chat/completions"
SCHEMA_NAME = "answer"
CALLED, RETURNED = "tool_call", "tool_result"  # kinds of parts of a message that speak of look-ups
MESSAGE_TOKENS = 16  # at most so many tokens around a message: role and marks
IMAGE_TOKENS = 50_000  # at most, for one image: the dearest that a provider counts
LengthField = Literal["max_completion_tokens", "max_tokens"]
FINISHES: dict[str, Finish] = {"length": "length", "content_filter": "content_filter", "refusal": "refusal"}


def body(request: Request, length_field: LengthField = "max_completion_tokens") -> dict[str, Any]:
    """The body of the call. The sample's number is added to the seed: samples of one prompt differ."""
    asked: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(message) for message in request.messages],
        length_field: request.max_tokens,
        "temperature": request.temperature,
    }
    if request.top_logprobs is not None:
        asked["logprobs"] = True
        asked["top_logprobs"] = request.top_logprobs
    if request.schema is not None:
        wanted = {"name": SCHEMA_NAME, "schema": request.schema, "strict": True}
        asked["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if request.tools:
        asked["tools"] = [_tool(tool) for tool in request.tools]
        asked["tool_choice"] = "auto" if request.may_call else "none"
    if request.seed is not None:
        asked["seed"] = request.seed + request.sample
    return asked


def answer(content: bytes | str, request: Request) -> Answer:
    """The answer that a body holds. Raises BrokenError where it is cut off or is no answer: it may have been paid."""
    try:
        said = json.loads(content)
        choice = said["choices"][0]
        message = choice["message"]
        refusal = message.get("refusal") or (message.get("provider_specific_fields") or {}).get("refusal")
        finish: Finish = "refusal" if refusal else FINISHES.get(choice.get("finish_reason") or "stop", "stop")
        return Answer(
            text=refusal or _text(message.get("content")),
            tokens=_tokens(choice.get("logprobs")),
            finish=finish,
            usage=_usage(said.get("usage"), request),
            model=str(said.get("model") or request.model),
            calls=tuple(map(_call, message.get("tool_calls") or ())) if request.tools else (),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        head = content[:80] if isinstance(content, str) else content[:80].decode(errors="replace")
        raise BrokenError(f"no answer in the body ({type(error).__name__}): {head!r}", paid=True) from None


def most_usage(request: Request) -> Usage:
    """The most tokens a call can use: a token of the prompt is at least one byte of text; images at the dearest."""
    schema = 0 if request.schema is None else len(canonical(request.schema))
    prompt = sum(MESSAGE_TOKENS + _most_tokens(message.content) for message in request.messages)
    tools = sum(MESSAGE_TOKENS + len(canonical(_tool(tool))) for tool in request.tools)
    return Usage(schema + prompt + tools, request.max_tokens)


def _most_tokens(content: str | Sequence[Part]) -> int:
    if isinstance(content, str):
        return len(content.encode(errors="surrogatepass"))
    return sum(_most_of_part(part) for part in content)


def _most_of_part(part: Part) -> int:
    if part["type"] == CALLED:
        return MESSAGE_TOKENS + _most_tokens(part["name"]) + _most_tokens(part["arguments"]) + len(part["id"])
    return _most_tokens(part["text"]) if "text" in part else IMAGE_TOKENS


def _message(message: Message) -> dict[str, Any]:
    content = message.content
    if isinstance(content, str):
        return {"role": message.role, "content": content}
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": content[0]["id"], "content": content[0]["text"]}
    calls = [_asked_for(part) for part in content if part["type"] == CALLED]
    if not calls:
        return {"role": message.role, "content": list(content)}
    said = "".join(part["text"] for part in content if part["type"] == "text")
    return {"role": message.role, "content": said or None, "tool_calls": calls}


def _asked_for(part: Part) -> dict[str, Any]:
    function = {"name": part["name"], "arguments": part["arguments"]}
    return {"id": part["id"], "type": "function", "function": function}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.about, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _call(said: Mapping[str, Any]) -> ToolCall:
    """A call of a tool; some servers give the arguments as an object, not as its text."""
    function = said["function"]
    arguments = function.get("arguments") or "{}"
    text = arguments if isinstance(arguments, str) else canonical(arguments)
    return ToolCall(str(said.get("id") or ""), str(function["name"]), text)


def _text(content: Any) -> str:
    if isinstance(content, list):  # some servers answer in parts
        return "".join(part.get("text") or "" for part in content)
    return content or ""


def _tokens(logprobs: Mapping[str, Any] | None) -> tuple[Token, ...] | None:
    entries = (logprobs or {}).get("content")
    if not entries:
        return None
    return tuple(
        Token(
            entry["token"],
            _logprob(entry["logprob"]),
            tuple((top["token"], _logprob(top["logprob"])) for top in entry.get("top_logprobs") or ()),
        )
        for entry in entries
    )


def _logprob(value: float) -> float:
    """A log probability (nats). What is none (-inf, NaN) says what -9999.0 says: outside the list."""
    return float(value) if math.isfinite(value) else OUTSIDE


def _usage(usage: Mapping[str, Any] | None, request: Request) -> Usage:
    """Tokens as the server counts them; where it does not, the most that they can be."""
    if not usage:
        return most_usage(request)
    return Usage(int(usage["prompt_tokens"]), int(usage.get("completion_tokens") or 0))
