"""What other servers may ask of this one's store: put, adopt, drop, known."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar

from onedallmail.channel.errors import Refusal
from onedallmail.channel.frames import Fields
from onedallmail.channel.server import Handler
from onedallmail.copies import rules
from onedallmail.copies.record import NAME, CopyError, Label, from_record
from onedallmail.copies.settings import Settings
from onedallmail.copies.store import Store, StoreError

T = TypeVar("T")


class Verbs:
    """Answers of one store. Every change is on the disk before it is answered."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Serve a store."""
        self._settings = settings
        self._store = store

    def handlers(self) -> dict[str, Handler]:
        """Return what each verb does."""
        return {"put": self._put, "adopt": self._adopt, "drop": self._drop, "known": self._known}

    async def _put(self, peer: str, fields: Fields, body: bytes) -> tuple[Fields, bytes]:
        """Keep a copy of the peer's; it chose this server as its holder."""
        label = _label(fields, body)
        if not rules.may_store(peer, label.origin, label.holder, self._settings.server):
            msg = f"{label.name}: {peer} may store its own copies only, here those with holder {self._settings.server}"
            raise Refusal(msg)
        await _done(self._store.put, label, body)
        return {}, b""

    async def _adopt(self, peer: str, fields: Fields, body: bytes) -> tuple[Fields, bytes]:
        """Take over a copy from a witness, whose origin is dead: this server is its holder then."""
        label, me = _label(fields, body), self._settings.server
        if not self._settings.delivers:
            msg = f"{label.name}: {me} delivers no mail; hand it over to a mail server"
            raise Refusal(msg)
        if not rules.may_hand_over(peer, label.origin, label.holder, me, self._settings.witnesses):
            msg = f"{label.name}: {peer} may not hand it over to {me}: a witness may, what it holds of another server"
            raise Refusal(msg)
        await _done(self._store.put, label.held_by(me), body)
        return {}, b""

    async def _drop(self, peer: str, _fields: Fields, body: bytes) -> tuple[Fields, bytes]:
        """Remove copies; those that are not here are none the less gone."""
        dropped = 0
        for name in _names(body):
            try:
                label = self._store.label(name)
            except (StoreError, CopyError):
                continue
            if not rules.may_drop(peer, label.origin, label.holder):
                msg = f"{name}: {peer} is neither its origin {label.origin} nor its holder {label.holder}"
                raise Refusal(msg)
            dropped += await _done(self._store.drop, name)
        return {"dropped": dropped}, b""

    async def _known(self, _peer: str, _fields: Fields, body: bytes) -> tuple[Fields, bytes]:
        """Return which of some copies lie here, and the identity of this store."""
        names = _names(body)
        there = await asyncio.to_thread(lambda: [name for name in names if self._store.has(name)])
        return {"store": self._store.identity}, json.dumps(there).encode()


def _label(fields: Fields, body: bytes) -> Label:
    try:
        label = from_record(fields.get("copy"))
    except CopyError as error:
        raise Refusal(str(error)) from error
    if label.envelope_bytes >= len(body):
        msg = f"{label.name}: a body of {len(body)} bytes has no message after {label.envelope_bytes} of envelope"
        raise Refusal(msg)
    return label


def _names(body: bytes) -> list[str]:
    try:
        names = json.loads(body)
    except ValueError as error:
        msg = f"the body is no list of names ({error})"
        raise Refusal(msg) from error
    if not isinstance(names, list) or not all(isinstance(name, str) and NAME.fullmatch(name) for name in names):
        msg = "the body is no list of names of copies"
        raise Refusal(msg)
    return names


async def _done(act: Callable[..., T], *arguments: Any) -> T:
    try:
        return await asyncio.to_thread(act, *arguments)
    except StoreError as error:
        raise Refusal(str(error)) from error
