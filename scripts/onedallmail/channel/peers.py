"""Clients of one port at all servers, with one identity."""

from collections.abc import Mapping
from typing import Any

from onedallmail.channel.client import Client
from onedallmail.channel.frames import Fields
from onedallmail.channel.identity import Identity
from onedallmail.channel.settings import ChannelSettings


class Peers:
    """Calls any server; each has a client, made when it is first needed."""

    def __init__(self, settings: ChannelSettings) -> None:
        """Read this server's identity; raises OSError, ssl.SSLError or ChannelSettingsError."""
        self._settings = settings
        self._identity = Identity(settings)
        self._clients: dict[str, Client] = {}

    async def call(
        self,
        server: str,
        verb: str,
        fields: Mapping[str, Any] | None = None,
        body: bytes = b"",
        *,
        timeout_s: float | None = None,
    ) -> tuple[Fields, bytes]:
        """Return what a server answers; raises ChannelError, or ChannelSettingsError for a name that none has."""
        if server not in self._clients:
            self._clients[server] = Client(self._settings, server, identity=self._identity)
        return await self._clients[server].call(verb, fields, body, timeout_s=timeout_s)

    async def close(self) -> None:
        """Give up the kept connections."""
        for client in self._clients.values():
            await client.close()
