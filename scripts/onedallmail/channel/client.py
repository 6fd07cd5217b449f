"""The calling side: one client a peer, connections kept open and used again, every wait bounded."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onedallmail.channel.errors import FrameError, RefusedError, UnreachableError
from onedallmail.channel.frames import MAX_LINE_BYTES, Fields, encode, read_frame, write_frame
from onedallmail.channel.identity import Identity
from onedallmail.channel.settings import ChannelSettings, ChannelSettingsError


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float


class Client:
    """Calls one server. A call that meets the end of a kept connection is made again on a new one: verbs can repeat."""

    def __init__(self, settings: ChannelSettings, server: str, *, identity: Identity | None = None) -> None:
        """Open nothing yet; clients may share an identity. Raises OSError, ssl.SSLError or ChannelSettingsError."""
        if server not in settings.addresses:
            msg = f"{server!r} is no server of this platform ({', '.join(sorted(settings.addresses))})"
            raise ChannelSettingsError(msg)
        self._settings = settings
        self._server = server
        self._identity = identity or Identity(settings)
        self._idle: list[_Connection] = []
        self._places = asyncio.Semaphore(settings.max_connections_to_peer)

    async def call(
        self, verb: str, fields: Mapping[str, Any] | None = None, body: bytes = b"", *, timeout_s: float | None = None
    ) -> tuple[Fields, bytes]:
        """Return fields and body of the answer; raises UnreachableError, or RefusedError with what the peer says."""
        request = {**(fields or {}), "verb": verb}
        bound_s = self._settings.timeouts.call_s if timeout_s is None else timeout_s
        try:
            encode(request, body)
            async with asyncio.timeout(bound_s), self._places:
                answer, answer_body = await self._exchange(request, body)
        except TimeoutError as error:
            raise UnreachableError(self._server, verb, f"no answer within {bound_s:g} s") from error
        except (OSError, FrameError, ChannelSettingsError) as error:
            raise UnreachableError(self._server, verb, str(error) or type(error).__name__) from error
        if answer.get("ok") is not True:
            raise RefusedError(
                self._server, verb, str(answer.get("error") or "an answer that is neither ok nor an error")
            )
        return answer, answer_body

    async def close(self) -> None:
        """Give up the kept connections."""
        while self._idle:
            self._idle.pop().writer.transport.abort()

    async def _exchange(self, request: Mapping[str, Any], body: bytes) -> tuple[Fields, bytes]:
        kept = self._kept()
        if kept is not None:
            try:
                return await self._ask(kept, request, body)
            except (OSError, FrameError) as error:
                if isinstance(error, TimeoutError):
                    raise
                await self.close()  # the others are of the same age: the peer was restarted
        return await self._ask(await self._connect(), request, body)

    def _kept(self) -> _Connection | None:
        oldest = time.monotonic() - self._settings.timeouts.idle_s / 2
        while self._idle:
            connection = self._idle.pop()
            if connection.used_at > oldest and not connection.writer.is_closing() and not connection.reader.at_eof():
                return connection
            connection.writer.transport.abort()
        return None

    async def _ask(self, connection: _Connection, request: Mapping[str, Any], body: bytes) -> tuple[Fields, bytes]:
        timeouts = self._settings.timeouts
        try:
            await write_frame(connection.writer, request, body, frame_s=timeouts.frame_s)
            answer = await self._answer(connection.reader)
        except BaseException:
            connection.writer.transport.abort()
            raise
        connection.used_at = time.monotonic()
        self._idle.append(connection)
        return answer

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[Fields, bytes]:
        frame_s, size_bytes = self._settings.timeouts.frame_s, self._settings.max_body_bytes
        # The whole call has a bound: the first byte needs none.
        answer = await read_frame(reader, max_body_bytes=size_bytes, idle_s=None, frame_s=frame_s)
        if answer is None:
            msg = "the peer closed the connection without an answer"
            raise FrameError(msg)
        return answer

    async def _connect(self) -> _Connection:
        self._identity.refresh()
        bound_s = self._settings.timeouts.connect_s
        try:
            async with asyncio.timeout(bound_s):
                reader, writer = await asyncio.open_connection(
                    self._settings.addresses[self._server],
                    self._settings.port,
                    ssl=self._identity.client_context,
                    limit=MAX_LINE_BYTES,
                )
        except TimeoutError as error:
            msg = f"no connection within {bound_s:g} s"
            raise ConnectionError(msg) from error
        found = self._identity.peer(writer)
        if found != self._server:
            writer.transport.abort()
            msg = f"its public key is pinned for {found or 'nobody'}; renew the pins, or see who answers there"
            raise ssl.SSLError(msg)
        return _Connection(reader, writer, time.monotonic())
