"""The channel between servers over real TLS: whom it trusts, what it refuses, and that nothing waits for ever."""

import asyncio
import contextlib
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from onedallmail.channel.client import Client
from onedallmail.channel.errors import ChannelError, FrameError, Refusal, RefusedError, UnreachableError
from onedallmail.channel.frames import MAX_LINE_BYTES, Fields, encode
from onedallmail.channel.identity import Identity
from onedallmail.channel.server import Server, serve
from onedallmail.channel.settings import ChannelSettings, ChannelSettingsError, Timeouts, load_pins, parse_channel
from tests.unit.channels import QUICK, Authority, estate


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


def test_a_server_of_another_authority_is_not_asked_anything(tmp_path: Path) -> None:
    async def run() -> None:
        ours, theirs = estate(tmp_path / "ours", "a", "b"), estate(tmp_path / "theirs", "a", "b")
        async with running(theirs["b"]) as server:
            with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
                await Client(at(server, ours["a"]), "b").call("echo")

    asyncio.run(run())


def test_a_client_of_another_authority_gets_no_answer(tmp_path: Path) -> None:
    async def run() -> None:
        ours, theirs = estate(tmp_path / "ours", "a", "b"), estate(tmp_path / "theirs", "a", "b")
        stranger = replace(theirs["a"], ca=ours["a"].ca, pins=ours["a"].pins)
        async with running(ours["b"]) as server:
            with pytest.raises(UnreachableError):
                await Client(at(server, stranger), "b").call("echo")

    asyncio.run(run())


def test_a_key_of_our_authority_that_is_not_pinned_is_refused_on_both_sides(tmp_path: Path) -> None:
    async def run() -> None:
        authority = Authority(tmp_path)
        both = estate(tmp_path, "a", "b")
        del authority
        unpinned = tmp_path / "other-pins.json"
        unpinned.write_text(json.dumps({"a": ["00" * 32], "b": ["00" * 32]}))
        async with running(both["b"]) as server:
            with pytest.raises(UnreachableError, match="pinned for nobody"):
                await Client(replace(at(server, both["a"]), pins=unpinned), "b").call("echo")
        async with running(replace(both["b"], pins=unpinned)) as server:
            with pytest.raises(UnreachableError):
                await Client(at(server, both["a"]), "b").call("echo")

    asyncio.run(run())


def test_another_server_of_the_platform_is_not_taken_for_the_one_that_was_meant(tmp_path: Path) -> None:
    async def run() -> None:
        three = estate(tmp_path, "a", "b", "c")
        async with running(three["c"]) as server:
            a = at(server, three["a"])
            wrong = replace(a, addresses={**a.addresses, "b": a.addresses["c"]})
            with pytest.raises(UnreachableError, match="pinned for c"):
                await Client(wrong, "b").call("echo")

    asyncio.run(run())


def test_a_next_pin_is_accepted_before_its_certificate_is_used(tmp_path: Path) -> None:
    async def run() -> None:
        authority = Authority(tmp_path)
        old, new = authority.issue("b"), authority.issue("b")  # the second has replaced the files of the first
        both = {"a": authority.issue("a"), "b": [old, new]}
        pins = tmp_path / "pins.json"
        pins.write_text(json.dumps({"a": [both["a"]], "b": both["b"]}))
        b = ChannelSettings(
            server="b",
            port=0,
            addresses={"a": "127.88.0.1", "b": "127.88.0.2"},
            certificate=str(tmp_path / "b.crt"),
            key=str(tmp_path / "b.key"),
            ca=str(authority.file),
            pins=pins,
            timeouts=QUICK,
        )
        a = replace(b, server="a", certificate=str(tmp_path / "a.crt"), key=str(tmp_path / "a.key"))
        async with running(b) as server:
            await Client(at(server, a), "b").call("echo")

    asyncio.run(run())


def handshake(context: ssl.SSLContext, address: str, port: int) -> None:
    with socket.create_connection((address, port), 2) as plain, context.wrap_socket(plain):
        pass


def test_tls_1_2_is_refused(tmp_path: Path) -> None:
    async def test(server: Server, a: ChannelSettings) -> None:
        context = Identity(a).client_context
        await asyncio.to_thread(handshake, context, a.addresses["b"], server.port)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(handshake, context, a.addresses["b"], server.port)

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


def test_a_renewed_certificate_and_new_pins_are_used_without_a_restart(tmp_path: Path) -> None:
    async def run() -> None:
        both = estate(tmp_path, "a", "b")
        async with running(both["b"]) as server:
            a = at(server, both["a"])
            client = Client(a, "b")
            await client.call("echo")
            fresh = Authority(tmp_path / "fresh")
            pins = {"a": [fresh.issue("a")], "b": [fresh.issue("b")]}
            for name in ("a.crt", "a.key", "b.crt", "b.key", "ca.crt"):
                (tmp_path / "fresh" / name).replace(tmp_path / name)
            a.pins.write_text(json.dumps(pins))
            server._identity.refresh()
            await client.close()
            with pytest.raises(UnreachableError):  # the listener trusts the authority that it was started with
                await client.call("echo")
        async with running(replace(both["b"], port=server.port)):
            await client.call("echo")

    asyncio.run(run())


@pytest.mark.parametrize("text", ["[]", '{"a": "00"}', '{"a": ["00"]}', '{"a": [5]}', "{"])
def test_pins_that_are_none_are_refused_with_the_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pins.json"
    file.write_text(text)
    with pytest.raises(ChannelSettingsError, match=r"pins\.json"):
        load_pins(file)


def test_settings_without_this_server_are_refused(tmp_path: Path) -> None:
    raw_settings = {"server": "a", "port": 1, "addresses": {"b": "127.0.0.1"}, "certificate": "", "key": "", "ca": ""}
    with pytest.raises(ChannelSettingsError, match="not among addresses"):
        parse_channel({**raw_settings, "pins": str(tmp_path / "pins")})
    with pytest.raises(ChannelSettingsError, match="pins"):
        parse_channel(raw_settings)
    with pytest.raises(ChannelSettingsError, match="strange"):
        parse_channel({**raw_settings, "addresses": {"a": ""}, "pins": "x", "strange": 1})
