"""The milter that keeps a copy of each message before Postfix accepts it, and marks the message with its ingest id.

It is the last of all milters, so that it sees what the others made of the message.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from onedallmail.copies import milter_wire as wire
from onedallmail.copies.ingest import HEADER, foreign_headers
from onedallmail.copies.seal import Envelope, Recipient

TOTAL_S = 20.0
"""From the end of a message to the answer; less than Postfix's milter_content_timeout."""
IDLE_S = 3600.0
REFUSED = "451 4.3.0 The message could not be stored in two places; try again later"
MAIL_PARAMETERS = ("BODY=", "SMTPUTF8", "RET=", "ENVID=")
RECIPIENT_PARAMETERS = ("NOTIFY=", "ORCPT=")

log = logging.getLogger("copies.milter")


class NotKeptError(Exception):
    """A message could not be kept as it must be; says why."""


@dataclass(slots=True)
class Message:
    """A message as the milter got it."""

    queue_id: str = ""
    sender: bytes = b""
    envelope: Envelope = field(default_factory=lambda: Envelope("", ()))
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)
    size_bytes: int = 0


Keep = Callable[[Message], Awaitable[str]]
"""Keeps a copy and returns the message's id; raises NotKeptError."""


@dataclass(slots=True)
class Memory:
    """What all sessions together may hold of messages."""

    limit_bytes: int
    message_bytes: int
    used_bytes: int = 0


class Session:
    """One connection of Postfix: some messages, one after the other."""

    def __init__(self, keep: Keep, memory: Memory) -> None:
        """Begin before the negotiation."""
        self._keep = keep
        self._memory = memory
        self._agreed = wire.Step(0)
        self._macros: dict[bytes, dict[str, str]] = {}
        self._message = Message()
        self._refused: str | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer commands until the end; raises MilterError, TimeoutError or OSError."""
        try:
            while True:
                async with asyncio.timeout(IDLE_S):
                    packet = await wire.read_packet(reader)
                if packet is None or packet.command == wire.QUIT:
                    return
                writer.write(await self._answer(packet))
                await writer.drain()
        finally:
            self._forget()

    async def _answer(self, packet: wire.Packet) -> bytes:
        """Return what is sent back to a command, which may be nothing."""
        match packet.command:
            case wire.OPTIONS:
                answer, self._agreed = wire.negotiated(packet.data)
                return answer
            case wire.MACROS:
                command, found = wire.macros(packet)
                self._macros[command] = found
                return b""
            case wire.ABORT | wire.QUIT_NEW:
                self._forget()
                return b""
            case wire.END:
                return await self._end(packet)
        self._take(packet)
        if packet.command not in wire.SILENT:
            msg = f"command {packet.command!r} is not known"
            raise wire.MilterError(msg)
        return b"" if wire.SILENT[packet.command] in self._agreed else wire.packet(wire.CONTINUE)

    def _take(self, packet: wire.Packet) -> None:
        match packet.command:
            case wire.MAIL:
                self._begin(packet.strings())
            case wire.RECIPIENT:
                address, *parameters = packet.strings()
                added = Recipient(_address(address), _kept(parameters, RECIPIENT_PARAMETERS))
                envelope = self._message.envelope
                self._message.envelope = replace(envelope, recipients=(*envelope.recipients, added))
            case wire.HEADER:
                self._header(packet.strings())
            case wire.BODY:
                self._grow(packet.data)

    def _begin(self, strings: list[bytes]) -> None:
        macros = dict(self._macros)
        self._forget()
        self._macros = macros
        address, *parameters = strings
        self._message.sender = address
        self._message.envelope = Envelope(_address(address), (), _kept(parameters, MAIL_PARAMETERS))

    def _header(self, strings: list[bytes]) -> None:
        name, value = strings
        if wire.Step.LEADING_SPACE not in self._agreed:
            value = b" " + value
        if self._fits(len(name) + len(value)):
            self._message.headers.append((name, value))

    def _grow(self, data: bytes) -> None:
        if self._fits(len(data)):
            self._message.body.append(data)

    def _fits(self, size_bytes: int) -> bool:
        """Return whether that much more may be kept in memory; if not, nothing of the message is kept any more."""
        if self._refused is None:
            if self._message.size_bytes + size_bytes > self._memory.message_bytes:
                self._refused = f"it has more than {self._memory.message_bytes} bytes"
            elif self._memory.used_bytes + size_bytes > self._memory.limit_bytes:
                self._refused = f"all messages together have more than {self._memory.limit_bytes} bytes"
        if self._refused is not None:
            return False
        self._message.size_bytes += size_bytes
        self._memory.used_bytes += size_bytes
        return True

    async def _end(self, packet: wire.Packet) -> bytes:
        self._grow(packet.data)
        message = self._message
        message.queue_id = self._macro("i")
        user, service = self._macro("auth_authen"), self._macro("daemon_name")
        message.envelope = replace(message.envelope, user=user, service=service)
        try:
            async with asyncio.timeout(TOTAL_S):
                copy_id = await self._kept(message)
        except TimeoutError:
            log.warning("%s: refused: its copy was not stored within %g s", message.queue_id, TOTAL_S)
            return wire.refusal(REFUSED)
        except NotKeptError as error:
            log.warning("%s: refused: %s", message.queue_id, error)
            return wire.refusal(REFUSED)
        finally:
            self._forget()
        spaced = wire.Step.LEADING_SPACE in self._agreed
        changes = wire.marking(HEADER, copy_id, foreign_headers(message.headers), leading_space=spaced)
        return b"".join((*changes, wire.packet(wire.CONTINUE)))

    async def _kept(self, message: Message) -> str:
        if self._refused is not None:
            raise NotKeptError(self._refused)
        return await self._keep(message)

    def _macro(self, name: str) -> str:
        """Return a macro's newest value, empty if there is none."""
        return next(
            (
                self._macros[stage][name]
                for stage in (*wire.STAGES, wire.HELO, wire.CONNECT)
                if name in self._macros.get(stage, {})
            ),
            "",
        )

    def _forget(self) -> None:
        self._memory.used_bytes -= self._message.size_bytes
        self._message, self._refused = Message(), None
        for command in wire.STAGES:
            self._macros.pop(command, None)


class Milter:
    """The listener at a Unix socket."""

    def __init__(self, keep: Keep, memory: Memory) -> None:
        """Listen to nothing yet."""
        self._keep = keep
        self._memory = memory

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        try:
            await Session(self._keep, self._memory).serve(reader, writer)
        except (wire.MilterError, ValueError) as error:
            log.error("connection of Postfix given up: %s", error)  # noqa: TRY400 - the message says it all
        except (TimeoutError, OSError) as error:
            log.info("connection of Postfix ended: %s", error or type(error).__name__)
        finally:
            writer.close()


def _address(text: bytes) -> str:
    """Return an address as Postfix gives it, without its angle brackets."""
    return text.removeprefix(b"<").removesuffix(b">").decode("utf-8", "surrogateescape")


def _kept(parameters: list[bytes], names: tuple[str, ...]) -> tuple[str, ...]:
    decoded = (parameter.decode("ascii", "replace") for parameter in parameters)
    return tuple(parameter for parameter in decoded if parameter.upper().startswith(names))
