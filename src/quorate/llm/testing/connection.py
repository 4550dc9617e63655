"""One connection of the fake server: whole requests in, whole answers out, or broken off as told."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

HEAD_END = b"\r\n\r\n"
MOST_HEAD, MOST_BODY = 64 * 1024, 256 * 1024 * 1024
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 411: "Length Required"}
AT_ONCE = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # linger for no time: the connection ends by a reset
Said = bytes | tuple[bytes, str]  # what is sent, and how the connection ends where it ends badly


@runtime_checkable
class Handler(Protocol):
    """What a connection hands its requests to."""

    def connected(self) -> None:
        """One more connection."""
        ...

    def landed(self) -> None:
        """One call is over."""
        ...

    def handle(self, method: str, path: str, headers: bytes, body: bytes, connection: Connection) -> None:
        """Answer one call, now or later."""
        ...


class Connection(asyncio.Protocol):
    """One connection: reads whole requests, writes whole answers (or breaks off as told)."""

    def __init__(self, server: Handler) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._waiting = False  # for the answer to the call before

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connected()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's word
        """The client is gone."""
        if self._waiting:
            self._waiting = False
            self._server.landed()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Some bytes came: hand on every whole request."""
        self._buffer += data
        while not self._waiting and self._next():
            pass

    def _next(self) -> bool:
        """Whether a whole request stood in the buffer; it was handed on."""
        end = self._buffer.find(HEAD_END)
        if end < 0:
            if len(self._buffer) > MOST_HEAD:
                self._break_off()
            return False
        head = bytes(self._buffer[:end])
        length = _length(head)
        if length is None or length > MOST_BODY:
            self.write(http(411, error_body("invalid_request_error", "length", "say how long the body is")))
            self._break_off()
            return False
        begin = end + len(HEAD_END)
        if len(self._buffer) < begin + length:
            return False
        body = bytes(self._buffer[begin : begin + length])
        del self._buffer[: begin + length]
        method, path, *_ = [*head.decode("latin-1").split(" ", 2), ""]
        self._server.handle(method, path, head, body, self)
        return True

    def write(self, data: bytes) -> None:
        """Send bytes, if anybody still listens."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def keep_silent(self) -> None:
        """Never answer."""
        self._waiting = True

    def later(self, delay_s: float, answer: Callable[[], Said]) -> None:
        """Send what `answer` gives, after a delay."""
        self._waiting = True
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, self._land, answer)
        else:
            self._land(answer)

    def _land(self, answer: Callable[[], Said]) -> None:
        if self._waiting:  # else the client is gone: whoever hangs up before the answer is not billed here
            self._waiting = False
            self._server.landed()
            said = answer()
            self.write(said if isinstance(said, bytes) else said[0])
            if not isinstance(said, bytes):
                self._break_off(reset=said[1] == "reset")
            elif self._buffer:
                self.data_received(b"")

    def _break_off(self, *, reset: bool = False) -> None:
        if self._transport is None:
            return
        if reset:
            handle: socket.socket = self._transport.get_extra_info("socket")
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            # what was written is given a moment to leave before the reset
            asyncio.get_running_loop().call_later(0.01, self._transport.abort)
        else:
            self._transport.close()


def http(status: int, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole response."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"HTTP/1.1 {status} {REASONS.get(status, 'Said')}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n{extra}\r\n"
    )
    return head.encode("latin-1") + content


def error_body(kind: str, code: str, message: str) -> dict[str, Any]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _length(head: bytes) -> int | None:
    """The length of the body in bytes; None where it is not said."""
    value = header(head, b"content-length")
    if value is None:
        return None if head.startswith(b"POST") else 0
    return int(value) if value.isdigit() else None


def header(head: bytes, name: bytes) -> bytes | None:
    """The value of a header (its name in small letters), None where it is not there."""
    low = head.lower()
    place = low.find(b"\r\n" + name + b":")
    if place < 0:
        return None
    begin = place + len(name) + 3
    end = head.find(b"\r\n", begin)
    return head[begin : end if end >= 0 else len(head)].strip()
