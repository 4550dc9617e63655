"""Streams of events over real sockets: complete, in order, for a thousand readers, in bounded memory."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

import quorate.service.stream as module
from quorate.store.accounts import remove_member
from quorate.store.database import Database
from quorate.store.log import read_events, record
from quorate.store.people import add_member
from quorate.store.tail import last_event
from unit.service.serving import serving, token_of
from unit.store.world import running


def happen(world, n: int, kind: str = "labels", **body) -> None:
    """So many events."""
    for i in range(n):
        world.database.write(lambda c, i=i: record(c, world.campaign.id, kind, {"n": i, **body}, now=1.0))


def ids_of(database, campaign_id: int, after: int) -> list[int]:
    with database.reading() as connection:
        return [each.id for each in read_events(connection, campaign_id, after=after, most=10**6)]


async def read(session, url: str, n: int, after: int | None = None, *, what=lambda event: event) -> list:
    """The next n events of a stream, or what is wanted of them."""
    found, headers = [], {} if after is None else {"Last-Event-ID": str(after)}
    async with session.get(url, headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        async for line in answer.content:
            if line.startswith(b"data: "):
                found.append(what(json.loads(line[6:])))
            if len(found) >= n:
                break
    return found


def connect(token: str) -> aiohttp.ClientSession:
    timeout, connector = aiohttp.ClientTimeout(total=60), aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}, timeout=timeout, connector=connector)


def test_a_reader_sees_what_happens_and_after_a_break_what_it_missed(database, url):
    """Events come as they happen; a reader that was away gets what it missed, each once, in order."""
    world, token = running(database, n_items=1, n_users=1), token_of(database, "owner", "owner")
    with database.reading() as connection:
        start = last_event(connection)
    with serving(url, workers="none") as served:

        async def reader():
            at = f"{served.url}/api/v1/campaigns/{world.campaign.id}/stream"
            async with connect(token) as session:
                reading = asyncio.create_task(read(session, at, 5, after=start))
                await asyncio.sleep(0.3)
                await asyncio.to_thread(happen, world, 5)
                first = await reading
                await asyncio.to_thread(happen, world, 700)  # more than is at hand for one batch
                rest = await read(session, at, 700, after=first[-1]["id"])
                return first, rest

        first, rest = asyncio.run(reader())
    assert [each["id"] for each in first + rest] == ids_of(database, world.campaign.id, start)
    assert first[0] | {"id": 0} == {
        "id": 0,
        "kind": "labels",
        "item": None,
        "user": None,
        "body": {"n": 0},
        "at": 1.0,
    }


def test_a_stream_is_for_readers_of_that_campaign_only(database, url):
    """Annotators are blind, strangers see no such campaign, and nobody's stream has another campaign's events."""
    world = running(database, n_items=1, n_users=1)
    tokens = {role: token_of(database, f"a {role}", role) for role in ("owner", "lead", "reader", "annotator")}

    def member(connection):
        for user in range(world.users[0] + 1, world.users[0] + 5):
            add_member(connection, world.campaign.id, user)

    with serving(url, workers="none") as served:
        at = f"{served.url}/api/v1/campaigns/{world.campaign.id}/stream"

        async def statuses():
            found = {}
            for role, token in tokens.items():
                async with connect(token) as session, session.get(at) as answer:
                    found[role] = answer.status
            return found

        assert asyncio.run(statuses()) == {"owner": 200, "lead": 404, "reader": 404, "annotator": 403}
        database.write(member)
        time.sleep(0.1)
        assert asyncio.run(statuses()) == {"owner": 200, "lead": 200, "reader": 200, "annotator": 403}


def test_a_revoked_reader_is_shown_out(database, url, monkeypatch):
    """At the next heartbeat a reader who may no longer read is at the end of the stream."""
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.2)
    world, token = running(database, n_items=1, n_users=1), token_of(database, "r", "reader")
    database.write(lambda c: add_member(c, world.campaign.id, world.users[0] + 1))
    with serving(url, workers="none") as served:
        at = f"{served.url}/api/v1/campaigns/{world.campaign.id}/stream"

        async def shown_out():
            async with connect(token) as session, session.get(at) as answer:
                await answer.content.readline()
                await asyncio.sleep(0.5)
                database.write(lambda c: remove_member(c, world.campaign.id, world.users[0] + 1))
                return await asyncio.wait_for(answer.content.read(), 10)

        assert b": still here" in asyncio.run(shown_out())


def test_a_page_of_events_follows_the_last(database, url):
    """Who asks again and again after the last id reads the whole log once."""
    world, token = running(database, n_items=1, n_users=1), token_of(database, "owner", "owner")
    happen(world, 25)
    with serving(url, workers="none") as served:
        at = f"{served.url}/api/v1/campaigns/{world.campaign.id}/events"

        async def pages():
            found, after = [], 0
            async with connect(token) as session:
                while True:
                    async with session.get(at, params={"after": after, "limit": 10}) as answer:
                        page = await answer.json()
                    if not page:
                        return found
                    found += page
                    after = page[-1]["id"]

        assert [each["id"] for each in asyncio.run(pages())] == ids_of(database, world.campaign.id, 0)


@pytest.mark.slow
def test_a_thousand_readers_cost_little_memory(tmp_path):
    """Half of a thousand readers get every event in order; what the others do not read takes no memory.

    Those others are sockets with small buffers, so that what they do not read stays with the server.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    url = f"sqlite:///{tmp_path / 'quorate.db'}"
    database = Database.open(url)
    world, token = running(database, n_items=1, n_users=1), token_of(database, "owner", "owner")
    with database.reading() as connection:
        start = last_event(connection)
    with serving(url, workers="none") as served:
        at = f"{served.url}/api/v1/campaigns/{world.campaign.id}/stream"

        async def thousand():
            sleeping = [sleeper(at, token) for _ in range(500)]
            async with connect(token) as session:
                told = [0] * 500

                def one_more(event, reader):
                    told[reader] += 1
                    return event["id"]

                reading = [
                    asyncio.create_task(read(session, at, 800, after=start, what=partial(one_more, reader=each)))
                    for each in range(500)
                ]
                while served.app.state.stream.readers < 1000:  # noqa: ASYNC110 # in another thread
                    await asyncio.sleep(0.05)
                began, sizes = time.perf_counter(), [memory()]
                for n in (400, 800):
                    await asyncio.to_thread(happen, world, 400, text="x" * 1000)
                    while min(told) < n:  # noqa: ASYNC110 # however long that takes here
                        await asyncio.sleep(0.05)
                    await asyncio.sleep(1)
                    sizes.append(memory())
                found = await asyncio.gather(*reading)
                took = time.perf_counter() - began
                for one in sleeping:
                    one.close()
                return found, took, [after - before for before, after in pairwise(sizes)]

        found, took, grown = asyncio.run(thousand())
        wanted = ids_of(database, world.campaign.id, start)
    database.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert all(each == wanted for each in found)
    words = f"1000 readers, 800 events: {took:.1f} s, {grown[0] / 1e6:.0f} MB and then {grown[1] / 1e6:.0f} MB more"
    print(words)  # noqa: T201
    assert sum(grown) < 500 * 880_000 / 2, words  # of 440 MB that were not read
    assert grown[1] < 500 * 440_000 / 4, words


def sleeper(url: str, token: str) -> socket.socket:
    """A reader that asks for a stream and never reads it."""
    at, made = urlsplit(url), socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect((at.hostname, at.port))
    made.sendall(f"GET {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    return made


def memory() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
