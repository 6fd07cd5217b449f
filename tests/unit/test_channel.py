"""The channel between servers over real TLS: what it carries and refuses, and that nothing waits for ever."""

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from onedallmail.channel.client import Client
from onedallmail.channel.errors import ChannelError, FrameError, RefusedError, UnreachableError
from onedallmail.channel.frames import MAX_LINE_BYTES, encode
from onedallmail.channel.identity import Identity
from onedallmail.channel.server import Server, serve
from onedallmail.channel.settings import ChannelSettings, Timeouts
from tests.unit.channel_servers import HANDLERS, at, between, running
from tests.unit.channels import QUICK, estate


def test_fields_and_body_arrive_with_the_name_of_the_pinned_peer(tmp_path: Path) -> None:
    async def test(_server: Server, a: ChannelSettings) -> None:
        client = Client(a, "b")
        answer, body = await client.call("echo", {"x": [1, "ä"]}, b"\x00\nabc")
        assert answer == {"peer": "a", "fields": {"x": [1, "ä"]}, "ok": True}
        assert body == b"cba\n\x00"

    between(tmp_path, test)


def test_a_connection_is_used_again_and_calls_in_parallel_have_their_own(tmp_path: Path) -> None:
    async def test(server: Server, a: ChannelSettings) -> None:
        client = Client(a, "b")
        for _ in range(5):
            await client.call("echo")
        assert len(server._open) == 1
        answers = await asyncio.gather(*(client.call("echo", {"n": n}) for n in range(40)))
        assert [answer["fields"]["n"] for answer, _ in answers] == list(range(40))
        assert len(server._open) <= a.max_connections_to_peer

    between(tmp_path, test)


def test_what_a_handler_refuses_is_told_and_what_breaks_it_is_not(tmp_path: Path) -> None:
    async def test(_server: Server, a: ChannelSettings) -> None:
        client = Client(a, "b")
        with pytest.raises(RefusedError, match="refuse at b: the disk is full"):
            await client.call("refuse")
        with pytest.raises(RefusedError) as caught:
            await client.call("fail")
        assert "secret" not in str(caught.value)
        with pytest.raises(RefusedError, match="no verb 'other'"):
            await client.call("other")

    between(tmp_path, test)


async def raw(server: Server, a: ChannelSettings) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(a.addresses["b"], server.port, ssl=Identity(a).client_context)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"x" * (MAX_LINE_BYTES + 2), "longer than"),
        (b'{"verb":"echo","body":99999999999}\n', "0 to"),
        (b'{"verb":"echo","body":-1}\n', "0 to"),
        (b'{"verb":"echo","body":true}\n', "0 to"),
        (b"[]\n", "no JSON object"),
        (b"\n", "no JSON"),
        (b"GET / HTTP/1.1\n", "no JSON"),
    ],
)
def test_what_is_no_frame_is_answered_with_the_reason_and_ends_the_connection(
    tmp_path: Path, sent: bytes, reason: str
) -> None:
    async def test(server: Server, a: ChannelSettings) -> None:
        reader, writer = await raw(server, a)
        writer.write(sent)
        assert reason in json.loads(await reader.readline())["error"]
        assert await reader.read() == b""
        writer.close()

    between(tmp_path, test)


def test_a_line_that_is_too_long_is_not_even_sent(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="several calls"):
        encode({"x": "y" * MAX_LINE_BYTES})

    async def test(_server: Server, a: ChannelSettings) -> None:
        with pytest.raises(ChannelError, match="several calls"):
            await Client(a, "b").call("echo", {"x": "y" * MAX_LINE_BYTES})

    between(tmp_path, test)


def test_a_peer_that_stalls_within_a_frame_is_given_up(tmp_path: Path) -> None:
    async def run() -> None:
        both = estate(tmp_path, "a", "b")
        async with running(replace(both["b"], timeouts=Timeouts(frame_s=0.2))) as server:
            reader, writer = await raw(server, both["a"])
            writer.write(b'{"verb":"echo","body":10}\nabc')
            started = time.monotonic()
            assert await reader.read() == b""
            assert time.monotonic() - started < 2
            writer.close()

    asyncio.run(run())


def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    async def run() -> None:
        both = estate(tmp_path, "a", "b")
        async with running(replace(both["b"], timeouts=Timeouts(idle_s=0.2))) as server:
            reader, writer = await raw(server, both["a"])
            assert await asyncio.wait_for(reader.read(), 2) == b""
            writer.close()

    asyncio.run(run())


def test_a_call_ends_when_its_handler_does_not_and_the_next_one_works(tmp_path: Path) -> None:
    async def test(_server: Server, a: ChannelSettings) -> None:
        client = Client(a, "b")
        with pytest.raises(UnreachableError, match=r"sleep at b: no answer within 0\.2 s"):
            await client.call("sleep", timeout_s=0.2)
        await client.call("echo")

    between(tmp_path, test)


def test_a_peer_that_accepts_but_never_speaks_tls_is_given_up(tmp_path: Path) -> None:
    async def run() -> None:
        both = estate(tmp_path, "a", "b")
        silent = await asyncio.start_server(lambda _r, _w: asyncio.sleep(5), both["b"].addresses["b"], 0)
        a = replace(both["a"], port=silent.sockets[0].getsockname()[1], timeouts=replace(QUICK, connect_s=0.2))
        with pytest.raises(UnreachableError, match=r"no connection within 0\.2 s"):
            await Client(a, "b").call("echo")
        silent.close()

    asyncio.run(run())


def test_kept_connections_to_a_server_that_was_restarted_do_no_harm(tmp_path: Path) -> None:
    async def run() -> None:
        both = estate(tmp_path, "a", "b")
        first = await serve(both["b"], HANDLERS)
        client = Client(at(first, both["a"]), "b")
        await asyncio.gather(*(client.call("echo") for _ in range(5)))
        await first.close()
        with pytest.raises(UnreachableError, match="Connect"):
            await client.call("echo")
        async with running(replace(both["b"], port=first.port)):
            await client.call("echo")

    asyncio.run(run())


def test_a_server_that_restarts_between_two_calls_is_noticed_only_by_the_connection(tmp_path: Path) -> None:
    async def run() -> None:
        both = estate(tmp_path, "a", "b")
        first = await serve(both["b"], HANDLERS)
        client = Client(at(first, both["a"]), "b")
        await client.call("echo")
        await first.close()
        async with running(replace(both["b"], port=first.port)):
            answer, _ = await client.call("echo", {"again": True})
            assert answer["fields"] == {"again": True}

    asyncio.run(run())
