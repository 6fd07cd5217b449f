"""Whom the channel between servers trusts, over real TLS: authorities, pins, versions, and settings that are none."""

import asyncio
import json
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from onedallmail.channel.client import Client
from onedallmail.channel.errors import UnreachableError
from onedallmail.channel.identity import Identity
from onedallmail.channel.server import Server
from onedallmail.channel.settings import ChannelSettings, ChannelSettingsError, load_pins, parse_channel
from tests.unit.channel_servers import at, between, running
from tests.unit.channels import QUICK, Authority, estate


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
