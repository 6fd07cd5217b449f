"""Data keys of copies, in memory only: a new one every hour, the old one used on while the key service is away."""

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from onedallmail.copies.record import WrappedKey

RENEW_S = 3600.0
RETRY_S = 15.0
REMEMBERED = 512
"""Unwrapped keys of other servers' or earlier hours' copies."""

log = logging.getLogger("copies.keys")


class KeysAwayError(Exception):
    """The key service gave no key; says what was tried and what to do."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key of AES-256, and how the key service wrapped it."""

    wrapped: WrappedKey
    plain: bytes


class KeyService(Protocol):
    """What wraps and unwraps data keys. Calls block, and raise KeysAwayError."""

    def generate(self) -> DataKey:
        """Return a new data key."""

    def unwrap(self, key: WrappedKey) -> bytes:
        """Return the plain key."""


class SealingKey:
    """The data key under which this server seals at present."""

    def __init__(self, service: KeyService, *, renew_s: float = RENEW_S, retry_s: float = RETRY_S) -> None:
        """Ask nothing yet."""
        self._service = service
        self._renew_s, self._retry_s = renew_s, retry_s
        self._key: DataKey | None = None
        self._made_at = 0.0
        self.error: str | None = "no data key was asked for yet"
        """Why the key is missing or too old; None while all is well."""

    def current(self) -> DataKey:
        """Return the key; raises KeysAwayError when there never was one."""
        if self._key is None:
            raise KeysAwayError(self.error)
        return self._key

    @property
    def age_s(self) -> float | None:
        """The age of the key, None when there is none."""
        return None if self._key is None else time.monotonic() - self._made_at

    async def keep(self) -> None:
        """Renew the key in time until cancelled."""
        while True:
            await asyncio.sleep(self._renew_s if await self.renew() else self._retry_s)

    async def renew(self) -> bool:
        """Ask for a new key; return whether it came. Without one the old one stays."""
        try:
            self._key = await asyncio.to_thread(self._service.generate)
        except KeysAwayError as error:
            if self.error is None or self._key is None:
                log.warning("%s; %s", error, "the last key is used on" if self._key else "no mail can be taken")
            self.error = str(error)
            return False
        if self.error is not None and self._made_at:
            log.info("the key service gives keys again")
        self.error, self._made_at = None, time.monotonic()
        return True


class OpeningKeys:
    """Unwraps the keys of copies, each once."""

    def __init__(self, service: KeyService, *, pause_s: float = RETRY_S) -> None:
        """Ask nothing yet; after a failure nothing is asked for pause_s."""
        self._service = service
        self._pause_s = pause_s
        self._known: OrderedDict[WrappedKey, bytes] = OrderedDict()
        self._failed_at: dict[str, float] = {}
        self.error: str | None = None

    async def unwrap(self, key: WrappedKey) -> bytes:
        """Return the plain key; raises KeysAwayError."""
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        failed_at = self._failed_at.get(key.arn)
        if failed_at is not None and time.monotonic() - failed_at < self._pause_s:
            raise KeysAwayError(self.error)
        try:
            plain = await asyncio.to_thread(self._service.unwrap, key)
        except KeysAwayError as error:
            self._failed_at[key.arn] = time.monotonic()
            if self.error is None:
                log.warning("%s", error)
            self.error = str(error)
            raise
        self._failed_at.pop(key.arn, None)
        self.error = None
        self._known[key] = plain
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return plain
