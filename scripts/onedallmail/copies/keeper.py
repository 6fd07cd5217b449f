"""Keeps the copy of a message that is being accepted: on this server and on one of another region, at the same time."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from onedallmail.channel.errors import ChannelError
from onedallmail.copies import ingest, record, seal
from onedallmail.copies.ingest_milter import Message, NotKeptError
from onedallmail.copies.keys import KeysAwayError, SealingKey
from onedallmail.copies.places import PlacesSource
from onedallmail.copies.record import Label
from onedallmail.copies.rules import remote_holders
from onedallmail.copies.settings import Settings, WithoutSecondPlace
from onedallmail.copies.store import Store, StoreError

REMOTE_S = 14.0
"""For all remote servers that are tried together."""
ONE_S = 6.0
AVOIDED_S = 5.0
"""A server that did not answer is tried last for that long: it may be dead without anybody knowing yet."""
LARGE_BYTES = 256 * 1024
"""From there on hashing and sealing would hold other messages up."""
WRITERS = 8

Put = Callable[[str, Label, bytes, float], Awaitable[None]]
"""Stores a copy at a server within a time; raises ChannelError."""

log = logging.getLogger("copies.keeper")


@dataclass(slots=True)
class Counts:
    """What became of the messages since the service began."""

    remote: int = 0
    witness: int = 0
    alone: int = 0
    """Accepted with a copy on this server only (policy accept)."""
    refused: int = 0
    remote_failures: int = 0


class Keeper:
    """Seals messages, and stores each in two places."""

    def __init__(self, settings: Settings, store: Store, key: SealingKey, places: PlacesSource, put: Put) -> None:
        """Begin with nothing counted."""
        self._settings = settings
        self._store = store
        self._key = key
        self._places = places
        self._put = put
        self._writers = ThreadPoolExecutor(WRITERS, "store")
        self._failed_at: dict[str, float] = {}
        self.counts = Counts()
        self.error: str | None = None
        """Why the newest message was refused or stored on this server only; None when it was stored well."""

    async def keep(self, message: Message) -> str:
        """Return the id of a message of which two copies are on disk; raises NotKeptError."""
        try:
            return await self._keep(message)
        except (NotKeptError, KeysAwayError, StoreError) as error:
            self.counts.refused += 1
            self.error = str(error)
            raise NotKeptError(self.error) from error

    async def _keep(self, message: Message) -> str:
        if not message.queue_id:
            msg = "Postfix named no queue id: milter_end_of_data_macros must contain i"
            raise NotKeptError(msg)
        if message.size_bytes > LARGE_BYTES:
            label, parts = await asyncio.to_thread(self._sealed, message)
        else:
            label, parts = self._sealed(message)
        alive = self._places.read().alive
        settings = self._settings
        candidates = remote_holders(label.copy_id, label.origin, settings.regions, alive, settings.witnesses)
        candidates.sort(key=self._avoided)
        label = label.held_by(candidates[0] if candidates else "")
        async with asyncio.TaskGroup() as both:
            remote = both.create_task(self._remote(candidates, label, parts))
            local = both.create_task(self._local(label, parts))
        failure = local.result() or remote.result()[1]
        holder = remote.result()[0]
        if local.result() or (holder is None and settings.without_second_place is WithoutSecondPlace.REFUSE):
            raise NotKeptError(failure)
        if holder != label.holder and (again := await self._local(label.held_by(holder or ""), parts)):
            raise NotKeptError(again)
        self._count(holder, failure)
        return label.copy_id

    def _sealed(self, message: Message) -> tuple[Label, bytes]:
        body = b"".join(message.body)
        copy_id = ingest.ingest_id(message.sender, message.headers, body)
        key = self._key.current()
        label = Label(
            copy_id=copy_id,
            origin=self._settings.server,
            queue_id=message.queue_id,
            store=self._store.identity,
            holder="",
            at=record.now(),
            key=key.wrapped,
            envelope_bytes=seal.sealed_size(seal.envelope_bytes(message.envelope)),
        )
        return label, seal.seal(label, key.plain, message.envelope, ingest.marked(message.headers, body, copy_id))

    async def _local(self, label: Label, parts: bytes) -> str:
        """Return why it is not stored here, empty if it is."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._writers, self._store.put, label, parts)
        except StoreError as error:
            return str(error)
        return ""

    async def _remote(self, candidates: list[str], label: Label, parts: bytes) -> tuple[str | None, str]:
        """Return the server that stores it now, or None and why none does."""
        reasons, until = [], time.monotonic() + REMOTE_S
        for server in candidates:
            left_s = until - time.monotonic()
            if left_s <= 0:
                break
            try:
                await self._put(server, label.held_by(server), parts, min(left_s, ONE_S))
            except ChannelError as error:
                self._failed_at[server] = time.monotonic()
                self.counts.remote_failures += 1
                reasons.append(str(error))
            else:
                self._failed_at.pop(server, None)
                return server, ""
        return None, f"no server of another region stored the copy ({'; '.join(reasons) or 'there is none'})"

    def _avoided(self, server: str) -> bool:
        failed_at = self._failed_at.get(server)
        return failed_at is not None and time.monotonic() - failed_at < AVOIDED_S

    def _count(self, holder: str | None, failure: str) -> None:
        if holder is None:
            self.counts.alone += 1
            log.error("accepted with a copy on this server only: %s", failure)
        elif holder in self._settings.witnesses:
            self.counts.witness += 1
        else:
            self.counts.remote += 1
        self.error = failure or None

    def status(self) -> dict[str, int | str | float | None]:
        """Return the counts, the key's state and the newest trouble."""
        counts = replace(self.counts)
        return {
            "stored_remote": counts.remote,
            "stored_witness": counts.witness,
            "stored_here_only": counts.alone,
            "refused": counts.refused,
            "remote_failures": counts.remote_failures,
            "key_age_s": self._key.age_s,
            "key_error": self._key.error,
            "error": self.error,
        }
