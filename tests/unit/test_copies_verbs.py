"""What servers ask of each other's stores, over the real channel, and who is refused."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onedallmail.channel.errors import RefusedError, UnreachableError
from onedallmail.channel.peers import Peers
from onedallmail.channel.server import Server, serve
from onedallmail.copies.store import Store
from onedallmail.copies.verbs import Verbs
from tests.unit.channels import estate
from tests.unit.copies import ID, copy, settings

SERVERS = ("a1", "b1", "c1", "w1")


def over_tls(directory: Path, test: Callable[[dict[str, Peers], dict[str, Store]], Any], server: str = "b1") -> None:
    """Run a test against the real verbs of a server over the real channel."""

    async def run() -> None:
        channels = estate(directory, *SERVERS)
        store = Store(directory / server, "copies", min_free_bytes=0)
        listening: Server = await serve(
            channels[server], Verbs(settings(directory, channels[server]), store).handlers()
        )
        peers = {name: Peers(replace(channel, port=listening.port)) for name, channel in channels.items()}
        try:
            await test(peers, {server: store})
        finally:
            await listening.close()

    asyncio.run(run())


def test_verbs_over_the_channel_do_what_rules_allow_and_nothing_else(tmp_path: Path) -> None:
    label, parts = copy(holder="b1")

    async def test(peers: dict[str, Peers], stores: dict[str, Store]) -> None:
        names = json.dumps([label.name]).encode()
        with pytest.raises(RefusedError, match="own copies only"):
            await peers["c1"].call("b1", "put", {"copy": label.as_record()}, parts)
        with pytest.raises(RefusedError, match="own copies only"):
            await peers["a1"].call("b1", "put", {"copy": label.held_by("c1").as_record()}, parts)
        with pytest.raises(RefusedError, match="label is not right"):
            await peers["a1"].call("b1", "put", {"copy": {**label.as_record(), "id": "../x"}}, parts)
        with pytest.raises(RefusedError, match="has no message"):
            await peers["a1"].call("b1", "put", {"copy": label.as_record()}, parts[:20])
        assert stores["b1"].names() == set()
        await peers["a1"].call("b1", "put", {"copy": label.as_record()}, parts)
        assert stores["b1"].read(label.name) == (label, parts)
        answer, body = await peers["c1"].call("b1", "known", {}, json.dumps([label.name, f"{ID}-4X-a1"]).encode())
        assert (answer["store"], json.loads(body)) == (stores["b1"].identity, [label.name])
        with pytest.raises(RefusedError, match="neither its origin"):
            await peers["c1"].call("b1", "drop", {}, names)
        with pytest.raises(RefusedError, match="no list"):
            await peers["a1"].call("b1", "drop", {}, b'["../x"]')
        for dropped in (1, 0):
            answer, _ = await peers["a1"].call("b1", "drop", {}, names)
            assert answer["dropped"] == dropped
        with pytest.raises(RefusedError, match="a witness may"):
            await peers["c1"].call("b1", "adopt", {"copy": label.held_by("c1").as_record()}, parts)
        await peers["w1"].call("b1", "adopt", {"copy": label.held_by("w1").as_record()}, parts)
        assert stores["b1"].label(label.name) == label

    over_tls(tmp_path, test)


def test_a_full_disk_is_told_to_the_caller(tmp_path: Path) -> None:
    label, parts = copy(holder="b1")

    async def test(peers: dict[str, Peers], stores: dict[str, Store]) -> None:
        stores["b1"]._min_free_bytes = 1 << 62
        with pytest.raises(RefusedError, match="make room on this disk"):
            await peers["a1"].call("b1", "put", {"copy": label.as_record()}, parts)

    over_tls(tmp_path, test)


def test_a_holder_that_dies_between_disk_and_answer_leaves_a_copy_that_can_be_put_again(tmp_path: Path) -> None:
    label, parts = copy(holder="b1")

    async def run() -> None:
        channels = estate(tmp_path, *SERVERS)
        store = Store(tmp_path / "b1", "copies", min_free_bytes=0)
        handlers = Verbs(settings(tmp_path, channels["b1"]), store).handlers()
        stored = asyncio.Event()

        async def put_and_die(peer: str, fields: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
            await handlers["put"](peer, fields, body)
            stored.set()
            await asyncio.sleep(60)
            return {}, b""

        dying = await serve(channels["b1"], {"put": put_and_die})
        peers = Peers(replace(channels["a1"], port=dying.port))
        putting = asyncio.create_task(peers.call("b1", "put", {"copy": label.as_record()}, parts))
        await stored.wait()
        await dying.close()
        with pytest.raises(UnreachableError):
            await putting
        assert store.names() == {label.name}
        again = await serve(replace(channels["b1"], port=dying.port), handlers)
        await peers.call("b1", "put", {"copy": label.as_record()}, parts)
        assert store.read(label.name) == (label, parts)
        await again.close()

    asyncio.run(run())
