"""The custodian: looks after the copies in this server's store, as rules.py says, until they may go."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from onedallmail.channel.errors import ChannelError
from onedallmail.copies import rules
from onedallmail.copies.attempts import Attempts
from onedallmail.copies.care import Care
from onedallmail.copies.places import Places, PlacesSource
from onedallmail.copies.rules import Duty, Word
from onedallmail.copies.settings import Settings
from onedallmail.copies.shelf import Kept, Shelf
from onedallmail.copies.store import Store, StoreError

ROUND_S = 2.0
MAX_PAUSE_S = 60.0
"""Between two looks at a copy that has waited for long."""
NAMES = 1000
"""Of one request."""
MOVED_AT_ONCE = 200
CALL_S = 15.0

Call = Callable[[str, str, Mapping[str, Any], bytes], Awaitable[tuple[dict[str, Any], bytes]]]
"""Server, verb, fields, body -> fields and body of the answer; raises ChannelError."""

log = logging.getLogger("copies.custodian")


@dataclass(slots=True)
class Counts:
    """What became of copies since the service began."""

    finished: int = 0
    forgotten: int = 0
    """Dropped because the living origin no longer has them."""
    handed_over: int = 0


class Custodian:
    """One loop over the store."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        attempts: Attempts,
        places: PlacesSource,
        care: Care | None,
        call: Call,
    ) -> None:
        """Know nothing yet; a witness has no care."""
        self._settings = settings
        self._store = store
        self._attempts = attempts
        self._source = places
        self._care = care
        self._call = call
        self._places = Places(None)
        self.shelf = Shelf(store)
        self.counts = Counts()

    async def run(self) -> None:
        """Look after the copies until cancelled."""
        while True:
            try:
                await self.round()
            except OSError as error:
                log.error("%s", error)  # noqa: TRY400 - the next round tries again
            await asyncio.sleep(ROUND_S)

    async def round(self) -> None:
        """Do once what is due; raises OSError."""
        places = await asyncio.to_thread(self._source.read)
        moved = (places.alive, places.groups) != (self._places.alive, self._places.groups)
        self._places = Places(places.alive, dict(places.groups))
        await asyncio.to_thread(self.shelf.refresh)
        now = time.monotonic()
        by_duty: dict[Duty, list[Kept]] = {duty: [] for duty in Duty}
        for kept in self.shelf:
            if moved or kept.due_at <= now:
                by_duty[self._duty(kept)].append(kept)
                kept.due_at = now + _pause_s(now - kept.seen_at)
        await self._ask_origins([kept for kept in by_duty[Duty.WAIT] if rules.may_ask(now - kept.seen_at)])
        await self._hand_over(by_duty[Duty.HAND_OVER][:MOVED_AT_ONCE])
        if self._care is not None:
            await self._finish(await self._care.look(by_duty[Duty.CARE], self._places))

    def _duty(self, kept: Kept) -> Duty:
        settings, label = self._settings, kept.label
        return rules.duty(
            settings.server,
            label.origin,
            alive=self._places.alive,
            delivers=settings.delivers,
            word=kept.word,
        )

    async def _finish(self, copies: Iterable[Kept]) -> None:
        """Drop copies that nobody needs: at their holders, then here. A holder that can't be told will ask."""
        by_holder: dict[str, list[Kept]] = {}
        for kept in copies:
            told = kept.label.origin == self._settings.server and kept.label.holder
            by_holder.setdefault(kept.label.holder if told else "", []).append(kept)
        for holder, several in by_holder.items():
            if holder:
                await self._tell(holder, [kept.name for kept in several])
            for kept in several:
                self._drop(kept)
                self.counts.finished += 1

    async def _tell(self, holder: str, names: list[str]) -> None:
        alive = self._places.alive
        if alive is not None and holder not in alive and holder not in self._settings.witnesses:
            return
        try:
            for first in range(0, len(names), NAMES):
                await self._call(holder, "drop", {}, json.dumps(names[first : first + NAMES]).encode())
        except ChannelError as error:
            log.info("%s", error)

    async def _ask_origins(self, copies: Iterable[Kept]) -> None:
        by_origin: dict[str, list[Kept]] = {}
        for kept in copies:
            if self._places.alive is not None and kept.label.origin in self._places.alive:
                by_origin.setdefault(kept.label.origin, []).append(kept)
        for origin, several in by_origin.items():
            for first in range(0, len(several), NAMES):
                try:
                    await self._ask_origin(origin, several[first : first + NAMES])
                except (ChannelError, ValueError, KeyError, TypeError) as error:
                    log.info("%s says nothing of its copies: %s", origin, error)
                    break

    async def _ask_origin(self, origin: str, copies: list[Kept]) -> None:
        answer, body = await self._call(origin, "known", {}, json.dumps([kept.name for kept in copies]).encode())
        store, there = str(answer["store"]), set(json.loads(body))
        for kept in copies:
            kept.due_at = time.monotonic() + rules.ASK_AFTER_S
            if kept.name in there:
                kept.word = Word.HOLDS
            elif kept.label.store != store:
                kept.word, kept.due_at = Word.NEW_STORE, 0.0
            else:
                kept.word = Word.FORGOT
            if self._duty(kept) is Duty.DROP:
                self._drop(kept)
                self.counts.forgotten += 1

    async def _hand_over(self, copies: Iterable[Kept]) -> None:
        alive = self._places.alive or frozenset()
        for kept in copies:
            label = kept.label
            for server in rules.adopters(label.copy_id, label.origin, self._settings.mail_regions, alive):
                try:
                    _, parts = await asyncio.to_thread(self._store.read, kept.name)
                    await self._call(server, "adopt", {"copy": label.as_record()}, parts)
                except (ChannelError, StoreError) as error:
                    log.warning("%s", error)
                    continue
                self._drop(kept)
                self.counts.handed_over += 1
                break

    def _drop(self, kept: Kept) -> None:
        self.shelf.drop(kept)
        self._attempts.forget(kept.name)

    def status(self) -> dict[str, Any]:
        """Return what waits here, what was done, and what is wrong."""
        own = [kept for kept in self.shelf if kept.label.origin == self._settings.server]
        now = time.monotonic()
        deeds = self._care.deeds if self._care else None
        alarms = dict(deeds.hindrances) if deeds else {}
        if self._places.alive is None:
            alarms["alive"] = "it is not known which servers live"
        if self.shelf.unreadable:
            alarms["unreadable"] = f"{len(self.shelf.unreadable)} files in the store are no copies; see the log"
        return {
            "waiting": len(self.shelf),
            "waiting_own": len(own),
            "waiting_bytes": sum(kept.size_bytes for kept in self.shelf),
            "oldest_s": round(max((now - kept.seen_at for kept in self.shelf), default=0.0), 1),
            "finished": self.counts.finished,
            "forgotten": self.counts.forgotten,
            "handed_over": self.counts.handed_over,
            "reinjections": deeds.reinjections if deeds else 0,
            "repeats": deeds.repeats if deeds else 0,
            "ended_another_way": deeds.ended if deeds else 0,
            "alarms": alarms,
        }


def _pause_s(age_s: float) -> float:
    return min(max(age_s / 10, ROUND_S), MAX_PAUSE_S)
