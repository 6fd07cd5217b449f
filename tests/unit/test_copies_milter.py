"""The milter as Postfix meets it at its socket, and the keeper behind it: two places, or a temporary error."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from onedallmail.channel.errors import UnreachableError
from onedallmail.copies import ingest_milter, keeper
from onedallmail.copies.ingest import HEADER, ingest_id
from onedallmail.copies.ingest_milter import REFUSED, Memory, Message, Milter, NotKeptError
from onedallmail.copies.keeper import Keeper
from onedallmail.copies.keys import SealingKey
from onedallmail.copies.places import Places
from onedallmail.copies.record import Label
from onedallmail.copies.seal import Recipient, open_envelope, open_message
from onedallmail.copies.settings import WithoutSecondPlace
from onedallmail.copies.store import Store
from tests.unit.channels import estate
from tests.unit.copies import Keys, message, settings

ALL = 0x1FFFFF
ACTIONS = 0x1FF


def packet(command: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data) + 1) + command + data


@dataclass
class Postfix:
    """The mail server's end of one milter connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, command: bytes, data: bytes = b"") -> None:
        self.writer.write(packet(command, data))

    async def hear(self) -> tuple[bytes, bytes]:
        (size,) = struct.unpack(">I", await asyncio.wait_for(self.reader.readexactly(4), 3))
        found = await self.reader.readexactly(size)
        return found[:1], found[1:]

    async def negotiate(self, steps: int = ALL) -> int:
        self.say(b"O", struct.pack(">III", 6, ACTIONS, steps))
        command, data = await self.hear()
        assert command == b"O"
        version, actions, agreed = struct.unpack(">III", data)
        assert (version, actions) == (6, 0x11)
        return int(agreed)

    def send(self, *headers: tuple[bytes, bytes], body: bytes = b"body\r\n", queue_id: bytes = b"4Q1") -> None:
        self.say(b"D", b"C{daemon_name}\0smtpd\0")
        self.say(b"D", b"M{auth_authen}\0user\0i\0" + b"\0")
        self.say(b"M", b"<s@out.example>\0SIZE=5\0BODY=8BITMIME\0")
        self.say(b"R", b"<u@example.org>\0NOTIFY=FAILURE\0X=1\0")
        self.say(b"R", b"<v@example.org>\0")
        for name, value in headers:
            self.say(b"L", name + b"\0" + value + b"\0")
        for first in range(0, len(body), 65535):
            self.say(b"B", body[first : first + 65535])
        self.say(b"D", b"Ei\0" + queue_id + b"\0")
        self.say(b"E")

    async def verdict(self) -> list[tuple[bytes, bytes]]:
        found = [await self.hear()]
        while found[-1][0] not in b"cy":
            found.append(await self.hear())
        return found


class Kept:
    """Takes what the milter keeps."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.error: str | None = None
        self.delay_s = 0.0

    async def __call__(self, found: Message) -> str:
        await asyncio.sleep(self.delay_s)
        if self.error:
            raise NotKeptError(self.error)
        self.messages.append(found)
        return "id1"


@contextlib.asynccontextmanager
async def milter(directory: Path, kept: Kept, memory: Memory) -> AsyncIterator[Callable[[], Awaitable[Postfix]]]:
    path = directory / "m.sock"
    listener = await asyncio.start_unix_server(Milter(kept, memory).connected, path)

    async def connect() -> Postfix:
        return Postfix(*await asyncio.open_unix_connection(path))

    try:
        yield connect
    finally:
        listener.close()


def run(directory: Path, test: Callable[[Kept, Memory, Postfix], Awaitable[None]], *, negotiate: bool = True) -> None:
    async def inner() -> None:
        kept, memory = Kept(), Memory(4 << 20, 1 << 20)
        async with milter(directory, kept, memory) as connect:
            postfix = await connect()
            if negotiate:
                await postfix.negotiate()
            await test(kept, memory, postfix)
            postfix.writer.close()

    asyncio.run(inner())


def test_a_message_is_kept_and_marked_and_the_memory_is_free_again(tmp_path: Path) -> None:
    async def test(kept: Kept, memory: Memory, postfix: Postfix) -> None:
        postfix.send((b"Subject", b" hello"), body=b"x" * 100_000)
        assert await postfix.verdict() == [(b"h", HEADER.encode() + b"\0 id1\0"), (b"c", b"")]
        (found,) = kept.messages
        assert found.queue_id == "4Q1"
        assert found.sender == b"<s@out.example>"
        assert found.envelope.sender == "s@out.example"
        assert found.envelope.parameters == ("BODY=8BITMIME",)
        wanted = (Recipient("u@example.org", ("NOTIFY=FAILURE",)), Recipient("v@example.org"))
        assert found.envelope.recipients == wanted
        assert (found.envelope.user, found.envelope.service) == ("user", "smtpd")
        assert found.headers == [(b"Subject", b" hello")]
        assert b"".join(found.body) == b"x" * 100_000
        assert memory.used_bytes == 0

    run(tmp_path, test)


def test_foreign_headers_are_removed_from_the_last_to_the_first(tmp_path: Path) -> None:
    async def test(_kept: Kept, _memory: Memory, postfix: Postfix) -> None:
        postfix.send((b"x-ingest-id", b" a"), (b"Subject", b" s"), (HEADER.encode(), b" b"))
        name = HEADER.encode() + b"\0"
        removed = [(b"m", struct.pack(">I", place) + name + b"\0") for place in (2, 1)]
        assert await postfix.verdict() == [*removed, (b"h", name + b" id1\0"), (b"c", b"")]

    run(tmp_path, test)


def test_several_messages_of_one_connection_do_not_mix(tmp_path: Path) -> None:
    async def test(kept: Kept, memory: Memory, postfix: Postfix) -> None:
        postfix.send((b"Subject", b" 1"), queue_id=b"4Q1")
        await postfix.verdict()
        postfix.say(b"M", b"<lost@out.example>\0")
        postfix.say(b"L", b"Subject\0 lost\0")
        postfix.say(b"A")
        postfix.send((b"Subject", b" 2"), queue_id=b"4Q2")
        await postfix.verdict()
        assert [found.queue_id for found in kept.messages] == ["4Q1", "4Q2"]
        assert kept.messages[1].headers == [(b"Subject", b" 2")]
        assert len(kept.messages[1].envelope.recipients) == 2
        assert memory.used_bytes == 0

    run(tmp_path, test)


def test_a_server_that_expects_replies_and_strips_spaces_gets_what_it_expects(tmp_path: Path) -> None:
    async def test(kept: Kept, _memory: Memory, postfix: Postfix) -> None:
        assert await postfix.negotiate(0) == 0
        postfix.send((b"Subject", b"hello"))
        answers = [await postfix.hear() for _ in range(5)]
        assert answers == [(b"c", b"")] * 5
        assert await postfix.verdict() == [(b"h", HEADER.encode() + b"\0id1\0"), (b"c", b"")]
        assert kept.messages[0].headers == [(b"Subject", b" hello")]

    run(tmp_path, test, negotiate=False)


def test_what_can_not_be_kept_gets_a_temporary_error(tmp_path: Path) -> None:
    async def test(kept: Kept, memory: Memory, postfix: Postfix) -> None:
        kept.error = "no second place"
        postfix.send((b"Subject", b" s"))
        assert await postfix.verdict() == [(b"y", REFUSED.encode() + b"\0")]
        kept.error = None
        postfix.send((b"Subject", b" s"))
        assert (await postfix.verdict())[-1] == (b"c", b"")
        assert memory.used_bytes == 0

    run(tmp_path, test)


def test_what_takes_too_long_gets_a_temporary_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_milter, "TOTAL_S", 0.1)

    async def test(kept: Kept, _memory: Memory, postfix: Postfix) -> None:
        kept.delay_s = 5
        postfix.send((b"Subject", b" s"))
        assert (await postfix.verdict())[-1][0] == b"y"

    run(tmp_path, test)


def test_a_message_that_is_too_large_is_not_held_in_memory(tmp_path: Path) -> None:
    async def test(kept: Kept, memory: Memory, postfix: Postfix) -> None:
        postfix.send((b"Subject", b" s"), body=b"x" * (memory.message_bytes + 1))
        assert (await postfix.verdict())[-1][0] == b"y"
        assert kept.messages == []
        assert memory.used_bytes == 0

    run(tmp_path, test)


def test_the_messages_of_all_connections_share_one_bound(tmp_path: Path) -> None:
    async def test(_kept: Kept, memory: Memory, postfix: Postfix) -> None:
        memory.used_bytes = memory.limit_bytes
        postfix.send((b"Subject", b" s"))
        assert (await postfix.verdict())[-1][0] == b"y"
        assert memory.used_bytes == memory.limit_bytes

    run(tmp_path, test)


@pytest.mark.parametrize(
    "sent", [b"\xff\xff\xff\xff", b"\0\0\0\0", packet(b"O", b"1"), packet(b"Z"), packet(b"M"), packet(b"L", b"a\0")]
)
def test_what_is_no_milter_protocol_ends_the_connection(tmp_path: Path, sent: bytes) -> None:
    async def test(_kept: Kept, _memory: Memory, postfix: Postfix) -> None:
        postfix.writer.write(sent)
        assert await asyncio.wait_for(postfix.reader.read(), 3) == b""

    run(tmp_path, test)


def test_a_server_that_can_not_mark_messages_is_refused(tmp_path: Path) -> None:
    async def test(_kept: Kept, _memory: Memory, postfix: Postfix) -> None:
        postfix.say(b"O", struct.pack(">III", 6, 0, ALL))
        assert await asyncio.wait_for(postfix.reader.read(), 3) == b""

    run(tmp_path, test, negotiate=False)


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
