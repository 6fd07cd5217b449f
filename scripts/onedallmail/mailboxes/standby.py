"""The standby's side: takes ledgers, merges and declarations of a home, and vouches for messages."""

import asyncio
import json
import logging
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from onedallmail.channel.errors import Refusal
from onedallmail.mailboxes import dovecot, ledger, wire
from onedallmail.mailboxes.dotlock import LockedError
from onedallmail.mailboxes.dovecot import DovecotError
from onedallmail.mailboxes.leaving import Leaving
from onedallmail.mailboxes.ledger import Ledger, LedgerError
from onedallmail.mailboxes.parts import Parts
from onedallmail.mailboxes.places import digests
from onedallmail.mailboxes.rules import Declared, Message, accepts, reconciled, removed_folders, repeated, vouches
from onedallmail.mailboxes.wire import Claim, Knowledge
from onedallmail.placement.map import Placement

Answer = tuple[dict[str, Any], bytes]
Handler = Callable[[str, dict[str, Any], bytes], Awaitable[Answer]]
BUSY_S = 10.0

log = logging.getLogger("mailboxes.standby")


class Standby:
    """Handlers of the verbs. Whether they may act is decided by `rules`; they do the reading and writing."""

    def __init__(self, parts: Parts) -> None:
        """Keep the parts."""
        self._parts = parts
        self._running: Counter[int] = Counter()
        self._ended = asyncio.Condition()
        self._users: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._leaving = Leaving(parts.upkeep, parts.members)
        self.merged = 0

    @property
    def handlers(self) -> dict[str, Handler]:
        """Verb to handler, for the channel's server."""
        return {
            wire.LEDGER: self.ledger,
            wire.MERGE: self.merge,
            wire.READY: self.ready,
            wire.READINESS: self.readiness,
            wire.HELD: self.held,
            wire.DIGEST: self.digest,
            wire.DROP: self.drop,
        }

    async def ledger(self, peer: str, fields: dict[str, Any], body: bytes) -> Answer:
        """Merge the records of a user; they are flushed when this answers."""
        claim = wire.claim(peer, fields)
        try:
            records = ledger.parse(body)
        except LedgerError as error:
            raise Refusal(str(error)) from error
        async with self._taken(claim):
            path = self._parts.store.ledger(claim.user)
            if not path.parent.is_dir():
                msg = f"{claim.user} has no mailbox here: synchronise first"
                raise Refusal(msg)
            try:
                merged = await asyncio.to_thread(ledger.merge_into, path, records)
            except LockedError as error:
                raise Refusal(str(error)) from error
        return {"records": len(merged.after)}, b""

    async def merge(self, peer: str, fields: dict[str, Any], body: bytes) -> Answer:
        """Drop what the home has by replay, and tell what else the home does not know."""
        claim = wire.claim(peer, fields)
        try:
            known = wire.load_knowledge(body)
        except (ValueError, KeyError, TypeError) as error:
            msg = f"what the home knows can't be read: {error}"
            raise Refusal(msg) from error
        async with self._taken(claim):
            try:
                await self._leaving.left(claim.group, claim.epoch, claim.user)
                await asyncio.to_thread(self._parts.merging.begin, claim.group)
                if not self._parts.store.stored(claim.user):
                    return {"present": False, "expunged": 0}, wire.dump_found([], {})
                gone, left, own_ledger = await asyncio.to_thread(self._drop, claim.user, known)
            except (DovecotError, OSError) as error:
                raise Refusal(str(error)) from error
        if gone:
            log.info("%s: %d messages that %s has by replay are gone", claim.user, gone, peer)
        self.merged += gone
        return {"present": True, "expunged": gone}, wire.dump_found(left, own_ledger)

    def _drop(self, user: str, known: Knowledge) -> tuple[int, list[Message], Ledger]:
        """Drop what the home has by replay; return how much that was, what else it does not know, and the ledger.

        First the ledger forgets what goes: were this server home again before it has the home's message, it would
        refuse the replay of one that it does not have.
        """
        own = dovecot.messages(self._parts.upkeep, user)
        gone = repeated(own, known.guids, lambda ingest_id: known.has(ingest_id, user))
        path = self._parts.store.ledger(user)
        records = ledger.read(path)
        ledger.remove_from(path, {ledger.ingest_key(m.ingest_id, user) for m in gone})
        dovecot.expunge(self._parts.upkeep, user, gone)
        dropped = set(gone)
        return len(gone), [m for m in own if m.guid not in known.guids and m not in dropped], records

    async def drop(self, peer: str, fields: dict[str, Any], body: bytes) -> Answer:
        """Remove what the user has removed at the home and a synchronisation would bring back: scripts, folders."""
        claim = wire.claim(peer, fields)
        try:
            wanted = json.loads(body)
            names, folders = [str(name) for name in wanted["scripts"]], wanted["folders"]
            known = None if folders is None else {str(name): str(guid) for name, guid in folders.items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            msg = f"scripts and folders are expected ({error})"
            raise Refusal(msg) from error
        async with self._taken(claim):
            if known is not None and not self._reconciled(claim):
                msg = f"{self._parts.me} is not ready for {claim.user}: its folders may be the only ones"
                raise Refusal(msg)
            try:
                if self._parts.store.stored(claim.user):
                    await asyncio.to_thread(self._remove, claim.user, names, known)
            except DovecotError as error:
                raise Refusal(str(error)) from error
        return {}, b""

    def _remove(self, user: str, scripts: list[str], folders: dict[str, str] | None) -> None:
        upkeep = self._parts.upkeep
        dovecot.drop_scripts(upkeep, user, scripts)
        if folders is not None:
            own = {folder.name: folder.guid for folder in dovecot.folders(upkeep, user)}
            dovecot.remove_folders(upkeep, user, removed_folders(folders, own))

    async def ready(self, peer: str, fields: dict[str, Any], body: bytes) -> Answer:
        """Remember that the home has reconciled the group; the body lists users that it has not."""
        claim = wire.claim(peer, fields, user=False)
        try:
            without = frozenset(str(user) for user in json.loads(body or b"[]"))
        except (ValueError, TypeError) as error:
            msg = f"a JSON list of users is expected ({error})"
            raise Refusal(msg) from error
        async with self._taken(claim):
            await asyncio.to_thread(self._parts.record.declare, claim.group, Declared(peer, claim.epoch, without))
            await asyncio.to_thread(self._parts.merging.end, [claim.group])
        log.info(
            "group %d: %s declared it ready in epoch %d without %d users", claim.group, peer, claim.epoch, len(without)
        )
        return {}, b""

    async def readiness(self, peer: str, _fields: dict[str, Any], _body: bytes) -> Answer:
        """Tell a home which of its declarations are remembered here."""
        known = self._parts.record.declared_by(peer)
        return {}, json.dumps([[group, d.epoch, sorted(d.without)] for group, d in known.items()]).encode()

    async def held(self, _peer: str, fields: dict[str, Any], _body: bytes) -> Answer:
        """Say which ids home and standby hold: `held` is {user: [ids]}, without users that it can't vouch for."""
        asked = [question for question in wire.questions(fields) if self._vouches(question.claim)]

        def look() -> list[set[str]]:
            found = []
            for question in asked:
                user = question.claim.user
                records = ledger.read(self._parts.store.ledger(user))
                found.append({i for i in question.ids if ledger.ingest_key(i, user) in records})
            return found

        held: dict[str, set[str]] = {}
        for question, ids in zip(asked, await asyncio.to_thread(look), strict=True):
            if self._vouches(question.claim):  # a declaration may have ended while files were read
                held.setdefault(question.claim.user, set()).update(ids)
        return {"held": {user: sorted(ids) for user, ids in held.items()}}, b""

    async def digest(self, peer: str, fields: dict[str, Any], _body: bytes) -> Answer:
        """Tell the digests of a mailbox's parts."""
        claim = wire.claim(peer, fields)
        async with self._taken(claim):
            try:
                found = await asyncio.to_thread(digests, self._parts.upkeep, self._parts.store, claim.user)
            except (DovecotError, OSError) as error:
                raise Refusal(str(error)) from error
        return {}, json.dumps(found).encode()

    def _vouches(self, claim: Claim) -> bool:
        return self._judged(claim, vouches)

    def _reconciled(self, claim: Claim) -> bool:
        return self._judged(claim, reconciled)

    def _judged(self, claim: Claim, rule: Callable[[str, str, Placement | None, Declared | None, int], bool]) -> bool:
        placement, record = self._parts.view.placements.get(claim.group), self._parts.record
        if placement is None or (placement.home, placement.epoch) != (claim.home, claim.epoch):
            return False
        if self._parts.members.group_of(claim.user) != claim.group:
            return False
        declared, prepared = record.declared(claim.group), record.prepared(claim.group)
        return rule(self._parts.me, claim.user, placement, declared, prepared)

    @asynccontextmanager
    async def _taken(self, claim: Claim) -> AsyncIterator[None]:
        """Let a request act if the claim is right: one at a time for a user, and counted for quiet()."""
        self._check(claim)
        self._running[claim.group] += 1
        try:
            if not claim.user:
                yield
                return
            lock = self._users.setdefault(claim.user, asyncio.Lock())
            async with lock:
                self._check(claim)
                yield
        finally:
            self._running[claim.group] -= 1
            async with self._ended:
                self._ended.notify_all()

    def _check(self, claim: Claim) -> None:
        placement, prepared = self._parts.view.placements.get(claim.group), self._parts.record.prepared(claim.group)
        if not accepts(self._parts.me, placement, claim.home, claim.epoch, prepared):
            said = f"standby of group {claim.group} with home {claim.home} in epoch {claim.epoch}"
            msg = f"{self._parts.me} is not the {said}; it knows {placement} and was prepared for epoch {prepared}"
            raise Refusal(msg)
        if claim.user and self._parts.members.group_of(claim.user) != claim.group:
            msg = f"the directory here does not know {claim.user} in group {claim.group}; its replica may be late"
            raise Refusal(msg)

    async def quiet(self, group: int) -> None:
        """Wait until no request for a group acts; none begins when its epoch is prepared. Raises TimeoutError."""
        async with asyncio.timeout(BUSY_S), self._ended:
            await self._ended.wait_for(lambda: self._running[group] == 0)
