"""Requests to addresses that users gave: into the public network, or not at all."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from quorate.errors import SettingError
from quorate.service.guard import BlockedError, Guard, address_of, check_target, check_url, is_public
from unit.service.receiver import receiving

INSIDE = (
    *("127.0.0.1", "127.8.9.1", "0.1.2.3", "10.0.0.1", "172.16.3.4", "192.168.0.1", "169.254.169.254", "100.64.0.1"),
    *("192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1"),
    *("fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
)
SPELLINGS = (
    *("127.0.0.1", "0x7f000001", "2130706433", "017700000001", "127.1", "127.0.1", "0x7f.1", "0177.0.0.1", "0"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "localhost", "LOCALHOST."),
    *("127.0.0.1.", "①②⑦.0.0.1", "169.254.169.254", "[::ffff:169.254.169.254]", "0xa9fea9fe"),
)


class Answers(AbstractResolver):
    """A name server that gives another answer each time it is asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def resolve(self, host, port=0, family=socket.AF_INET):  # noqa: ARG002 # the interface has it
        """The next answer; the last one stays."""
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        numbers = {"family": socket.AF_INET, "proto": 0, "flags": socket.AI_NUMERICHOST}
        return [{"hostname": host, "host": address, "port": port, **numbers}]

    async def close(self):
        """Nothing is open."""


def only_first(address):
    """The public network of these tests is one address of the loopback."""
    return str(address) == "127.0.0.1"


async def refused(guard: Guard, url: str) -> Exception:
    """Why the guard did not ask."""
    with pytest.raises((OSError, aiohttp.ClientError, SettingError)) as found:
        await guard.fetch(url)
    return found.value


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_public_is_known_by_its_number(address):
    """No loopback, private, link-local, shared, reserved or multicast address, tunneled or mapped, is public."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_the_public_network_is_open(address):
    """Addresses of the public network are admitted, in both families."""
    assert is_public(ip_address(address))


@pytest.mark.parametrize("host", SPELLINGS)
def test_however_it_is_spelled_nothing_inside_is_asked(host):
    """A server that listens on the loopback gets no connection, whatever the URL looks like."""

    async def attempt():
        reached = asyncio.Event()
        server = await asyncio.start_server(lambda _r, w: (reached.set(), w.close()), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await refused(Guard(), f"http://{host}:{port}/latest/meta-data")
        assert not reached.is_set()

    asyncio.run(attempt())


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "gopher://127.0.0.1:70/x", "ftp://example.org", "data:text/html,x", "//example.org/x"),
        *("http://", "http:///x", "http://user:secret@example.org/", "http://a b/", "http://example.org\\@127.0.0.1/"),
        *("http://example.org:99999/", "http://[::1", "http://example.org/\r\nHost: x", "x" * 3000, ""),
    ],
)
def test_only_urls_of_the_web_are_taken(url):
    """Other schemes, credentials, control characters and what is no URL are refused before a name is looked up."""
    with pytest.raises(SettingError):
        check_url(url)
    assert isinstance(asyncio.run(refused(Guard(), url)), SettingError)


@pytest.mark.parametrize("url", ["http://127.1/", "http://localhost/", "http://0x7f000001/", "https://db.internal/"])
def test_a_mistake_is_told_when_the_url_is_given(url):
    """What is spelled as inside is refused at once, unless the service is told to work in a closed network."""
    with pytest.raises(SettingError, match="no public address"):
        check_target(url)
    check_target(url, allow_private=True)


def test_a_redirect_into_the_private_network_is_not_followed():
    """Every step of a redirect is a connection of its own, and checked like the first."""

    async def attempt():
        async with receiving("127.0.0.1") as outside, receiving("127.0.0.2") as inside:
            outside.status, outside.location = 302, inside.url
            error = await refused(Guard(admits=only_first), outside.url)
            assert isinstance(error.__cause__, BlockedError)
            assert "no public address" in str(error)
            assert not inside.requests
            inside_guard = Guard(admits=lambda _: True)
            assert (await inside_guard.fetch(outside.url)).status == 200  # the way itself was open

    asyncio.run(attempt())


def test_a_redirect_to_a_file_is_not_followed():
    """A redirect may lead to a URL of the web only."""

    async def attempt():
        async with receiving() as outside:
            outside.status, outside.location = 302, "file:///etc/passwd"
            assert isinstance(await refused(Guard(admits=only_first), outside.url), SettingError)

    asyncio.run(attempt())


def test_a_name_with_two_answers_is_asked_only_where_it_was_checked():
    """DNS rebinding: the address that is checked is the one that is connected to, at every request anew."""

    async def attempt():
        async with receiving("127.0.0.1") as outside:
            port = int(outside.url.split(":")[2].strip("/"))
            async with receiving("127.0.0.2", port) as inside:
                names = Answers("127.0.0.1", "127.0.0.2")
                guard = Guard(admits=only_first, resolver=lambda: names)
                assert (await guard.fetch(f"http://rebind.example:{port}/")).status == 200
                error = await refused(guard, f"http://rebind.example:{port}/")
                assert "no public address" in str(error)
                assert len(outside.requests) == 1
                assert not inside.requests

    asyncio.run(attempt())


def test_more_than_was_asked_for_is_not_read():
    """A body larger than allowed is refused while it comes in."""

    async def endless(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + b"x" * 300_000)
        await writer.drain()
        writer.close()

    async def attempt():
        async with await asyncio.start_server(endless, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(SettingError, match="more than 100000 bytes"):
                await Guard(admits=only_first).fetch(f"http://127.0.0.1:{port}/", most=100_000)

    asyncio.run(attempt())


def test_an_address_is_read_as_resolvers_read_it():
    """Octal, hexadecimal, decimal and short spellings are numbers; names are none."""
    assert {str(address_of(each)) for each in ("0x7f000001", "2130706433", "127.1", "0177.1")} == {"127.0.0.1"}
    assert address_of("example.org") is None
    assert str(address_of("fe80::1%eth0")) == "fe80::1"


def test_the_guard_raises_an_error_of_the_network():
    """Aiohttp reports a refused address like one that cannot be reached."""
    with pytest.raises(BlockedError):
        Guard()._socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80)))
