"""The milter protocol (Sendmail 8.14, version 6) as bytes, as far as reading and marking messages needs it."""

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag

VERSION = 6
MAX_PACKET_BYTES = 1 << 20
"""Postfix sends bodies in pieces of 64 kB; a header may have header_size_limit bytes."""
WORD = struct.Struct(">I")

ABORT, BODY, CONNECT, MACROS, END, HELO, QUIT_NEW = b"A", b"B", b"C", b"D", b"E", b"H", b"K"
HEADER, MAIL, END_OF_HEADERS, OPTIONS, QUIT, RECIPIENT, DATA, UNKNOWN = b"L", b"M", b"N", b"O", b"Q", b"R", b"T", b"U"
STAGES = (END, BODY, END_OF_HEADERS, HEADER, DATA, RECIPIENT, MAIL)
"""Commands of one message, the last first."""
CONTINUE, REPLY_CODE, ADD_HEADER, CHANGE_HEADER = b"c", b"y", b"h", b"m"


class Action(IntFlag):
    """What a milter may do to a message."""

    ADD_HEADERS = 0x1
    CHANGE_HEADERS = 0x10


class Step(IntFlag):
    """What the mail server is asked to leave out, and to which commands it expects no reply."""

    NO_CONNECT = 0x1
    NO_HELO = 0x2
    NO_END_OF_HEADERS = 0x40
    NO_REPLY_HEADER = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    NO_REPLY_CONNECT = 0x1000
    NO_REPLY_HELO = 0x2000
    NO_REPLY_MAIL = 0x4000
    NO_REPLY_RECIPIENT = 0x8000
    NO_REPLY_DATA = 0x10000
    NO_REPLY_UNKNOWN = 0x20000
    NO_REPLY_END_OF_HEADERS = 0x40000
    NO_REPLY_BODY = 0x80000
    LEADING_SPACE = 0x100000
    """Header values come, and go back, with the space after the colon."""


SILENT = {
    CONNECT: Step.NO_REPLY_CONNECT,
    HELO: Step.NO_REPLY_HELO,
    MAIL: Step.NO_REPLY_MAIL,
    RECIPIENT: Step.NO_REPLY_RECIPIENT,
    DATA: Step.NO_REPLY_DATA,
    UNKNOWN: Step.NO_REPLY_UNKNOWN,
    HEADER: Step.NO_REPLY_HEADER,
    END_OF_HEADERS: Step.NO_REPLY_END_OF_HEADERS,
    BODY: Step.NO_REPLY_BODY,
}
"""Commands that are answered with CONTINUE, unless the server agreed to expect nothing."""
WANTED = (
    Step.NO_CONNECT
    | Step.NO_HELO
    | Step.NO_END_OF_HEADERS
    | Step.NO_UNKNOWN
    | Step.NO_DATA
    | Step.NO_REPLY_HEADER
    | Step.NO_REPLY_MAIL
    | Step.NO_REPLY_RECIPIENT
    | Step.NO_REPLY_BODY
    | Step.LEADING_SPACE
)
NEEDED = Action.ADD_HEADERS | Action.CHANGE_HEADERS


class MilterError(Exception):
    """The mail server said something that is not of this protocol."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A command of the mail server."""

    command: bytes
    data: bytes

    def strings(self) -> list[bytes]:
        """Return the strings of which the data consists."""
        return self.data.split(b"\0")[:-1]


async def read_packet(reader: asyncio.StreamReader) -> Packet | None:
    """Return the next command, or None at the end; raises MilterError or OSError."""
    try:
        (size,) = WORD.unpack(await reader.readexactly(WORD.size))
        if not 1 <= size <= MAX_PACKET_BYTES:
            msg = f"a packet of {size} bytes is announced, 1 to {MAX_PACKET_BYTES} are allowed"
            raise MilterError(msg)
        packet = await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        if not error.partial and error.expected == WORD.size:
            return None
        msg = "the connection ended within a packet"
        raise MilterError(msg) from error
    return Packet(packet[:1], packet[1:])


def packet(command: bytes, data: bytes = b"") -> bytes:
    """Return a packet."""
    return WORD.pack(len(data) + 1) + command + data


def negotiated(data: bytes) -> tuple[bytes, Step]:
    """Return the answer to the mail server's options, and the steps that are agreed on; raises MilterError."""
    try:
        version, actions, steps = struct.unpack(">III", data[:12])
    except struct.error as error:
        msg = "the options of the mail server are too short"
        raise MilterError(msg) from error
    if version < VERSION or NEEDED & ~actions:
        msg = f"the mail server offers version {version} and actions {actions:#x}: {VERSION} and {NEEDED:#x} are needed"
        raise MilterError(msg)
    agreed = WANTED & Step(steps & int(WANTED))
    return packet(OPTIONS, struct.pack(">III", VERSION, NEEDED, agreed)), agreed


def macros(found: Packet) -> tuple[bytes, dict[str, str]]:
    """Return the command that macros are for, and them by name without braces."""
    strings = Packet(MACROS, found.data[1:]).strings()
    pairs = zip(strings[::2], strings[1::2], strict=False)
    return found.data[:1], {
        name.decode("ascii", "replace").strip("{}"): value.decode("utf-8", "replace") for name, value in pairs
    }


def marking(name: str, value: str, foreign: int, *, leading_space: bool) -> Iterator[bytes]:
    """Return the packets that remove the foreign headers of a name (counted from 1, last first), and add ours."""
    encoded = name.encode()
    for place in range(foreign, 0, -1):
        yield packet(CHANGE_HEADER, WORD.pack(place) + encoded + b"\0\0")
    yield packet(ADD_HEADER, encoded + b"\0" + (b" " if leading_space else b"") + value.encode() + b"\0")


def refusal(text: str) -> bytes:
    """Return the packet that answers the client with a code and a text."""
    return packet(REPLY_CODE, text.encode() + b"\0")
