"""The milter as Postfix meets it at its socket."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from onedallmail.copies import ingest_milter
from onedallmail.copies.ingest import HEADER
from onedallmail.copies.ingest_milter import REFUSED, Memory, Message, Milter, NotKeptError
from onedallmail.copies.seal import Recipient

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
