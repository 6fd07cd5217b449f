"""A server of the channel with some verbs, and its client, for tests of what servers say to each other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from onedallmail.channel.errors import Refusal
from onedallmail.channel.frames import Fields
from onedallmail.channel.server import Server, serve
from onedallmail.channel.settings import ChannelSettings
from tests.unit.channels import estate


async def echo(peer: str, fields: Fields, body: bytes) -> tuple[Fields, bytes]:
    return {"peer": peer, "fields": fields}, body[::-1]


async def refuse(_peer: str, _fields: Fields, _body: bytes) -> tuple[Fields, bytes]:
    msg = "the disk is full"
    raise Refusal(msg)


async def fail(_peer: str, _fields: Fields, _body: bytes) -> tuple[Fields, bytes]:
    msg = "secret detail"
    raise RuntimeError(msg)


async def sleep(_peer: str, _fields: Fields, _body: bytes) -> tuple[Fields, bytes]:
    await asyncio.sleep(60)
    return {}, b""


HANDLERS = {"echo": echo, "refuse": refuse, "fail": fail, "sleep": sleep}


@contextlib.asynccontextmanager
async def running(settings: ChannelSettings) -> AsyncIterator[Server]:
    server = await serve(settings, HANDLERS)
    try:
        yield server
    finally:
        await server.close()


def at(server: Server, settings: ChannelSettings) -> ChannelSettings:
    return replace(settings, port=server.port)


def between(directory: Path, test: Callable[[Server, ChannelSettings], Awaitable[None]]) -> None:
    """Run a test with server b and the settings of its client a."""

    async def run() -> None:
        both = estate(directory, "a", "b")
        async with running(both["b"]) as server:
            await test(server, at(server, both["a"]))

    asyncio.run(run())
