"""Laws of the client, over real sockets; the zoo of faults is in tests/acceptance/test_llm_faults.py."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from calls import request, requests
from quorate.errors import SettingError
from quorate.llm.client import ChatClient, environment_proxy
from quorate.llm.failures import AuthError, BadRequestError, BrokenError, CallError, OverloadError
from quorate.llm.testing.faults import Fault
from quorate.llm.testing.server import FakeServer
from quorate.llm.wire import Answer, Request


def _sent(client: ChatClient, wanted: list[Request]) -> list[Answer | BaseException]:
    async def run() -> list[Answer | BaseException]:
        async with client:
            return await asyncio.gather(*map(client.send, wanted), return_exceptions=True)

    return asyncio.run(run())


class Canned:
    """A server that says the same bytes to everybody and keeps what it was sent."""

    def __init__(self, *replies: bytes) -> None:
        self._replies = list(replies)
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Canned:  # noqa: PYI034 - the checker of axes knows no Self
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        for reply in self._replies:
            connection, _ = self._listener.accept()
            with connection:
                heard = b""
                while b"\r\n\r\n" not in heard or len(heard.split(b"\r\n\r\n", 1)[1]) < _length(heard):
                    heard += connection.recv(65_536)
                self.heard.append(heard)
                connection.sendall(reply)


def _length(heard: bytes) -> int:
    return int(heard.lower().split(b"content-length:")[1].split(b"\r\n")[0])


def _http(status: str, body: bytes, *headers: str) -> bytes:
    told = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{told}\r\n".encode() + body


GOOD = b'{"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}], "model": "m", "usage": null}'


def test_two_hundred_calls_fly_over_one_pool_of_connections():
    """Connections are shared and used again: no more of them than calls at once."""
    with FakeServer(latency_s=0.2) as server:
        said = _sent(ChatClient(server.url, connections=200), requests(400))
        assert all(isinstance(answer, Answer) for answer in said)
        assert server.counts.most_in_flight == 200
        assert server.counts.connections == 200


def test_the_key_is_sent_and_never_said():
    """A server that repeats the key in its message does not get it into ours."""
    body = b'{"error": {"message": "Incorrect API key provided: sk-secret", "code": "invalid_api_key"}}'
    with Canned(_http("401 Unauthorized", body)) as server:
        client = ChatClient(server.url, api_key="sk-secret")
        [error] = _sent(client, [request(1)])
        assert isinstance(error, AuthError)
        assert "sk-secret" not in error.detail + str(error) + repr(client)
        assert b"Authorization: Bearer sk-secret" in server.heard[0]


def test_a_redirect_is_not_followed():
    """It would carry key and data to another place."""
    with Canned(_http("307 Temporary Redirect", b"", "Location: http://127.0.0.1:9/")) as server:
        [error] = _sent(ChatClient(server.url, api_key="k"), [request(1)])
        assert isinstance(error, BadRequestError)


def test_an_error_under_status_200_is_an_error():
    """Some gateways say 200 and then what went wrong."""
    with Canned(_http("200 OK", b'{"error": {"code": 503, "message": "upstream"}}')) as server:
        [error] = _sent(ChatClient(server.url), [request(1)])
        assert isinstance(error, OverloadError)


def test_a_model_that_wants_the_other_word_for_the_length_gets_it_from_then_on():
    """The refused try is free and is retried; other models are asked as before."""
    said = b"""{"error": {"message": "Unsupported parameter: 'max_completion_tokens' is not supported"}}"""
    with Canned(_http("400 Bad Request", said), _http("200 OK", GOOD), _http("200 OK", GOOD)) as server:
        client = ChatClient(server.url)

        async def run() -> None:
            async with client:
                with pytest.raises(BrokenError) as caught:
                    await client.send(request(1))
                assert caught.value.retry
                assert not caught.value.paid
                await client.send(request(1))
                await client.send(request(1, model="other"))

        asyncio.run(run())
        assert [b'"max_tokens"' in heard for heard in server.heard] == [False, True, False]


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"nonsense\r\n\r\n", _http("200 OK", GOOD[:-20])]
)
def test_what_is_cut_off_is_broken_and_perhaps_paid(reply: bytes):
    """However it ends early, it is one kind of failure, and the ledger is told the truth."""
    with Canned(reply) as server:
        [error] = _sent(ChatClient(server.url), [request(1)])
        assert isinstance(error, BrokenError)
        assert error.paid


def test_a_name_that_leads_nowhere_is_free():
    """What was never sent is not paid."""
    [error] = _sent(ChatClient("http://nowhere.invalid/v1"), [request(1)])
    assert isinstance(error, CallError)
    assert not error.paid


def test_limits_in_headers_are_handed_on():
    """With the model they are for."""
    heard: list[tuple[str, str]] = []
    with FakeServer(requests_per_min=600.0) as server:
        client = ChatClient(
            server.url, observe=lambda model, headers: heard.append((model, headers["x-ratelimit-limit-requests"]))
        )
        _sent(client, [request(1)])
    assert heard == [("fake-small", "600")]


def test_a_base_url_that_is_none_is_refused():
    """Before anything is sent."""
    with pytest.raises(SettingError, match="ftp"):
        ChatClient("ftp://somewhere")


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch):
    """By scheme, with its exceptions."""
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert environment_proxy("https://api.example/v1") == "http://proxy:3128"
    assert environment_proxy("https://inside.example/v1") is None


def test_the_openai_package_carries_the_same_calls():
    """Same answers, same kinds of failure, no retries of its own."""
    import openai

    from quorate.llm.sdk import OpenAIClient

    async def run(url: str) -> tuple[Answer, Answer]:
        package = OpenAIClient(openai.AsyncOpenAI(base_url=url, api_key="k"))
        async with ChatClient(url) as ours:
            answers = await package.send(request(1)), await ours.send(request(1))
        server.faults = [Fault("overload", first=10**6)]
        with pytest.raises(OverloadError):
            await package.send(request(2))
        server.faults = [Fault("reset-body", first=10**6)]
        with pytest.raises(BrokenError):
            await package.send(request(3))
        await package.aclose()
        return answers

    with FakeServer() as server:
        theirs, ours = asyncio.run(run(server.url))
        assert theirs == ours
        assert server.counts.received == 4
