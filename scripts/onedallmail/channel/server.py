"""The listening side: connections of known peers only, each verb answered by its handler."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping

from onedallmail.channel.errors import FrameError, Refusal
from onedallmail.channel.frames import MAX_LINE_BYTES, Fields, read_frame, write_frame
from onedallmail.channel.identity import Identity
from onedallmail.channel.settings import ChannelSettings, ChannelSettingsError

Handler = Callable[[str, Fields, bytes], Awaitable[tuple[Fields, bytes]]]
"""Peer's name, fields of the request, body -> fields of the answer, body. Raises Refusal with a reason for the peer."""
REFRESH_S = 30.0
HELLO_S = 10.0

log = logging.getLogger("channel")


class Server:
    """A listener; `await close()` ends it and its connections."""

    def __init__(self, settings: ChannelSettings, handlers: Mapping[str, Handler]) -> None:
        """Read the identity; raises OSError, ssl.SSLError or ChannelSettingsError."""
        self.port = settings.port
        self._settings = settings
        self._handlers = handlers
        self._identity = Identity(settings)
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._listener: asyncio.Server | None = None
        self._refresher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen at this server's private address; raises OSError."""
        self._listener = await asyncio.start_server(
            self._connected,
            self._settings.addresses[self._settings.server],
            self._settings.port,
            ssl=self._identity.server_context,
            ssl_handshake_timeout=HELLO_S,
            limit=MAX_LINE_BYTES,
        )
        self.port = int(self._listener.sockets[0].getsockname()[1])
        self._refresher = asyncio.create_task(self._refresh())

    async def close(self) -> None:
        """Stop listening, end the connections and wait until their handlers are gone."""
        if self._refresher is not None:
            self._refresher.cancel()
        if self._listener is not None:
            self._listener.close()
        for task, writer in list(self._open.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                self._identity.refresh()
            except (OSError, ssl.SSLError, ChannelSettingsError) as error:
                log.warning("renewed files are not taken over: %s", error)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= self._settings.max_connections:
            log.warning("more than %d connections: one is refused", self._settings.max_connections)
            writer.transport.abort()
            return
        self._open[task] = writer
        address = writer.get_extra_info("peername")
        try:
            peer = self._identity.peer(writer)
            if peer is None:
                log.warning("%s: a certificate of our authority whose key is not pinned; closed", address)
                return
            await self._serve(peer, reader, writer)
        except (FrameError, TimeoutError, OSError) as error:
            log.info("%s: connection given up: %s", address, error or type(error).__name__)
        finally:
            del self._open[task]
            writer.transport.abort() if task.cancelling() else writer.close()

    async def _serve(self, peer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        timeouts, size_bytes = self._settings.timeouts, self._settings.max_body_bytes
        while True:
            try:
                request = await read_frame(
                    reader, max_body_bytes=size_bytes, idle_s=timeouts.idle_s, frame_s=timeouts.frame_s
                )
            except FrameError as error:
                await write_frame(writer, {"error": str(error)}, b"", frame_s=timeouts.frame_s)
                raise
            if request is None:
                return
            answer, body = await self._answer(peer, *request)
            await write_frame(writer, answer, body, frame_s=timeouts.frame_s)

    async def _answer(self, peer: str, fields: Fields, body: bytes) -> tuple[Fields, bytes]:
        verb = str(fields.pop("verb", ""))
        handler = self._handlers.get(verb)
        if handler is None:
            return {"error": f"no verb {verb[:50]!r} here; known are {', '.join(sorted(self._handlers))}"}, b""
        try:
            answer, answer_body = await handler(peer, fields, body)
        except Refusal as refusal:
            return {"error": str(refusal)}, b""
        except Exception:
            log.exception("%s of %s failed", verb, peer)
            return {"error": "internal error; see the log of the service on this server"}, b""
        return {**answer, "ok": True}, answer_body


async def serve(settings: ChannelSettings, handlers: Mapping[str, Handler]) -> Server:
    """Return a server that listens; raises OSError, ssl.SSLError or ChannelSettingsError."""
    server = Server(settings, handlers)
    await server.start()
    return server
