"""The keeper of messages that are being accepted: two places, or a temporary error."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from onedallmail.channel.errors import UnreachableError
from onedallmail.copies import keeper
from onedallmail.copies.ingest import HEADER, ingest_id
from onedallmail.copies.ingest_milter import NotKeptError
from onedallmail.copies.keeper import Keeper
from onedallmail.copies.keys import SealingKey
from onedallmail.copies.places import Places
from onedallmail.copies.record import Label
from onedallmail.copies.seal import open_envelope, open_message
from onedallmail.copies.settings import WithoutSecondPlace
from onedallmail.copies.store import Store
from tests.unit.channels import estate
from tests.unit.copies import Keys, message, settings


class Remote:
    """Other servers: those in `dead` give no answer."""

    def __init__(self, *dead: str) -> None:
        self.dead = set(dead)
        self.asked: list[str] = []
        self.copies: dict[str, tuple[Label, bytes]] = {}

    async def put(self, server: str, label: Label, parts: bytes, _timeout_s: float) -> None:
        self.asked.append(server)
        if server in self.dead:
            raise UnreachableError(server, "put", "no answer")
        self.copies[server] = label, parts


class Everybody:
    """All mail servers live."""

    def read(self) -> Places:
        return Places(frozenset({"a1", "b1", "c1"}))


async def keeping(directory: Path, remote: Remote, keys: Keys, **changes: object) -> Keeper:
    found = settings(directory, estate(directory, "a1", "b1", "c1", "w1")["a1"], **changes)
    store = Store(directory / "store", "ingest", min_free_bytes=found.min_free_bytes)
    key = SealingKey(keys)
    await key.renew()
    return Keeper(found, store, key, Everybody(), remote.put)


def kept_here(found: Keeper) -> list[tuple[Label, bytes]]:
    return [found._store.read(name) for name in found._store.names()]


def test_both_copies_are_one_and_open_to_what_came_in(tmp_path: Path) -> None:
    async def inner() -> None:
        remote, keys = Remote(), Keys()
        found = await keeping(tmp_path, remote, keys)
        came = message()
        copy_id = await found.keep(came)
        assert copy_id == ingest_id(came.sender, came.headers, b"body\r\n")
        ((server, (label, parts)),) = remote.copies.items()
        assert kept_here(found) == [(label, parts)]
        assert label.holder == server != "w1"
        assert (label.origin, label.queue_id, label.store) == ("a1", "4QUEUE", found._store.identity)
        key = keys.plain[label.key]
        assert open_envelope(label, key, parts) == came.envelope
        marked = f"{HEADER}: {copy_id}\r\nMessage-ID: <1@out>\r\nSubject: x\r\n\r\nbody\r\n".encode()
        assert open_message(label, key, parts) == marked
        assert found.status()["stored_remote"] == 1

    asyncio.run(inner())


def test_the_same_message_twice_has_one_id_and_two_copies(tmp_path: Path) -> None:
    async def inner() -> None:
        found = await keeping(tmp_path, Remote(), Keys())
        ids = {await found.keep(message()), await found.keep(message(queue_id="4RETRY"))}
        assert len(ids) == 1
        assert {label.queue_id for label, _ in kept_here(found)} == {"4QUEUE", "4RETRY"}

    asyncio.run(inner())


def test_when_the_first_choice_is_dead_both_copies_name_the_one_that_holds_it(tmp_path: Path) -> None:
    async def inner() -> None:
        remote = Remote("b1", "c1")
        found = await keeping(tmp_path, remote, Keys())
        await found.keep(message())
        assert remote.asked[-1] == "w1"
        assert [label.holder for label, _ in kept_here(found)] == ["w1"]
        assert remote.copies["w1"][0].holder == "w1"
        assert found.status()["stored_witness"] == 1
        remote.asked.clear()
        await found.keep(message(queue_id="4NEXT"))
        assert remote.asked == ["w1"], "servers that did not answer are not asked again at once"

    asyncio.run(inner())


@pytest.mark.parametrize("policy", WithoutSecondPlace)
def test_without_a_second_place_the_policy_decides(tmp_path: Path, policy: WithoutSecondPlace) -> None:
    async def inner() -> None:
        found = await keeping(tmp_path, Remote("b1", "c1", "w1"), Keys(), without_second_place=policy)
        if policy is WithoutSecondPlace.REFUSE:
            with pytest.raises(NotKeptError, match=r"no server of another region.*b1: no answer"):
                await found.keep(message())
            assert found.status()["refused"] == 1
            return
        await found.keep(message())
        assert [label.holder for label, _ in kept_here(found)] == [""]
        assert found.status()["stored_here_only"] == 1
        assert "no server of another region" in str(found.error)

    asyncio.run(inner())


@pytest.mark.parametrize("policy", WithoutSecondPlace)
def test_a_full_disk_here_is_a_refusal_whatever_the_policy(tmp_path: Path, policy: WithoutSecondPlace) -> None:
    async def inner() -> None:
        full = await keeping(tmp_path, Remote(), Keys(), without_second_place=policy, min_free_bytes=1 << 62)
        with pytest.raises(NotKeptError, match="must stay free"):
            await full.keep(message())

    asyncio.run(inner())


def test_a_key_is_used_on_without_the_key_service_and_without_any_nothing_is_taken(tmp_path: Path) -> None:
    async def inner() -> None:
        keys = Keys()
        found = await keeping(tmp_path, Remote(), keys)
        keys.away = True
        assert not await found._key.renew()
        await found.keep(message())
        assert found.status()["key_error"] == "KMS gives no key"
        found._key = SealingKey(keys)
        await found._key.renew()
        with pytest.raises(NotKeptError, match="KMS gives no key"):
            await found.keep(message())
        keys.away = False
        assert await found._key.renew()
        await found.keep(message(queue_id="4LATER"))
        assert found.status()["key_error"] is None

    asyncio.run(inner())


def test_a_new_key_comes_after_its_time(tmp_path: Path) -> None:
    async def inner() -> None:
        key = SealingKey(Keys(), renew_s=0.01)
        keeping_it = asyncio.create_task(key.keep())
        await asyncio.sleep(0.05)
        first = key.current()
        await asyncio.sleep(0.05)
        assert key.current() != first
        keeping_it.cancel()

    asyncio.run(inner())
    assert tmp_path.exists()


def test_without_a_queue_id_nothing_is_taken(tmp_path: Path) -> None:
    async def inner() -> None:
        found = await keeping(tmp_path, Remote(), Keys())
        with pytest.raises(NotKeptError, match="milter_end_of_data_macros"):
            await found.keep(replace(message(), queue_id=""))

    asyncio.run(inner())


def test_all_remote_servers_together_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "REMOTE_S", 0.0)

    async def inner() -> None:
        remote = Remote()
        found = await keeping(tmp_path, remote, Keys())
        with pytest.raises(NotKeptError):
            await found.keep(message())
        assert remote.asked == []

    asyncio.run(inner())
