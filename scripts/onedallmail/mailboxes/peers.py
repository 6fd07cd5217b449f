"""Calls to the other mail servers' mailbox services."""

import json
from collections.abc import Collection
from dataclasses import dataclass

from onedallmail.channel.client import Client
from onedallmail.channel.errors import UnreachableError
from onedallmail.channel.identity import Identity
from onedallmail.channel.settings import ChannelSettings
from onedallmail.mailboxes import ledger, wire
from onedallmail.mailboxes.ledger import Ledger
from onedallmail.mailboxes.rules import Declared, Message
from onedallmail.mailboxes.wire import Claim

MERGE_S = 300.0
"""A standby that lists a large mailbox and drops messages needs its time."""


class AnswerError(Exception):
    """A peer's answer that can't be read."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a standby had of a mailbox: whether any, how much is gone, what the home does not know, its ledger."""

    present: bool
    expunged: int
    unknown: list[Message]
    records: Ledger


class Peers:
    """One client a server. All raise ChannelError, or AnswerError for an answer that is none."""

    def __init__(self, settings: ChannelSettings) -> None:
        """Open nothing yet; raises what Identity raises."""
        self._me = settings.server
        identity = Identity(settings)
        others = (name for name in settings.addresses if name != settings.server)
        self._clients = {name: Client(settings, name, identity=identity) for name in others}

    async def close(self) -> None:
        """Give up the connections."""
        for client in self._clients.values():
            await client.close()

    def _client(self, server: str, verb: str) -> Client:
        if server not in self._clients:
            raise UnreachableError(server, verb, "its address is not known here; run role mailboxes on this server")
        return self._clients[server]

    async def ship(self, standby: str, claim: Claim, records: Ledger) -> None:
        """Give records of a user's ledger to the standby, which has flushed them when this returns."""
        await self._client(standby, wire.LEDGER).call(wire.LEDGER, claim.fields, ledger.dump(records))

    async def drop(self, standby: str, claim: Claim, scripts: Collection[str]) -> None:
        """Remove Sieve scripts of a user at the standby."""
        body = json.dumps(sorted(scripts)).encode()
        await self._client(standby, wire.DROP).call(wire.DROP, claim.fields, body)

    async def merge(self, standby: str, claim: Claim, knowledge: bytes) -> Found:
        """Let the standby drop what the home has by replay; return what else it has."""
        fields, body = await self._client(standby, wire.MERGE).call(
            wire.MERGE, claim.fields, knowledge, timeout_s=MERGE_S
        )
        try:
            unknown, records = wire.load_found(body)
            return Found(bool(fields["present"]), int(fields["expunged"]), unknown, records)
        except (ValueError, KeyError, TypeError) as error:
            msg = f"merge at {standby}: {error}"
            raise AnswerError(msg) from error

    async def declare(self, standby: str, claim: Claim, without: frozenset[str]) -> None:
        """Declare the standby ready for a group, except for some users."""
        await self._client(standby, wire.READY).call(wire.READY, claim.fields, json.dumps(sorted(without)).encode())

    async def readiness(self, standby: str) -> dict[int, Declared]:
        """Return which of this server's declarations the standby remembers."""
        _, body = await self._client(standby, wire.READINESS).call(wire.READINESS)
        try:
            me = self._me
            return {int(g): Declared(me, int(e), frozenset(map(str, without))) for g, e, without in json.loads(body)}
        except (ValueError, TypeError) as error:
            msg = f"readiness at {standby}: {error}"
            raise AnswerError(msg) from error

    async def digests(self, standby: str, claim: Claim) -> dict[str, str]:
        """Return the digests of a mailbox's parts at the standby."""
        _, body = await self._client(standby, wire.DIGEST).call(wire.DIGEST, claim.fields, timeout_s=MERGE_S)
        try:
            return {str(part): str(value) for part, value in json.loads(body).items()}
        except (ValueError, AttributeError) as error:
            msg = f"digest at {standby}: {error}"
            raise AnswerError(msg) from error
