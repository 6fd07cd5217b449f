"""Care for copies: who the recipients are, whether they have the message, and another delivery where they have not."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from onedallmail.copies import recipients, rules, seal
from onedallmail.copies.attempts import Attempt, Attempts
from onedallmail.copies.keys import KeysAwayError
from onedallmail.copies.places import Places
from onedallmail.copies.postfix import Queue, QueueAwayError, RefusedError
from onedallmail.copies.recipients import DirectoryAwayError, Final, Lookup
from onedallmail.copies.record import CopyError, WrappedKey
from onedallmail.copies.rules import Facts, Held, Step
from onedallmail.copies.seal import Envelope, Recipient
from onedallmail.copies.shelf import Kept
from onedallmail.copies.standbys import Ask, Question, held
from onedallmail.copies.store import Store, StoreError

RESOLVED_S = 60.0
"""An alias or a mailbox's group may change: what the directory said is used for that long."""
FRESH_S = 5.0
"""Up to that age a message's mailboxes have the homes that they had when it was accepted."""
AGAIN_S = 30.0
"""After a re-injection that failed for now, which counts for nothing."""
TOGETHER = 4
"""Re-injections at the same time."""

Reinject = Callable[[Envelope, Recipient, bytes, bool], str]
"""Envelope, recipient, message, quiet -> queue id; blocks, raises RefusedError or QueueAwayError."""

log = logging.getLogger("copies.care")


@dataclass(frozen=True, slots=True)
class Means:
    """What a mail server's custodian works with."""

    unwrap: Callable[[WrappedKey], Awaitable[bytes]]
    lookup: Lookup
    ask: Ask
    queue: Callable[[], Queue]
    reinject: Reinject
    clock: Callable[[], float] = time.time


@dataclass(slots=True)
class Deeds:
    """What was done since the service began, and what hinders it now."""

    reinjections: int = 0
    repeats: int = 0
    """Re-injections for a recipient who had one before."""
    ended: int = 0
    """Recipients for whom no more is tried."""
    hindrances: dict[str, str] = field(default_factory=dict)

    def hinder(self, what: str, error: Exception | None) -> None:
        """Note a hindrance, or that it has gone."""
        if error is None:
            self.hindrances.pop(what, None)
        elif self.hindrances.get(what) != str(error):
            self.hindrances[what] = str(error)
            log.warning("%s: %s", what, error)


class Care:
    """Finds out how far copies are, and re-injects."""

    def __init__(self, me: str, store: Store, attempts: Attempts, means: Means) -> None:
        """Begin with nothing done."""
        self._me = me
        self._store = store
        self._attempts = attempts
        self._means = means
        self._together = asyncio.Semaphore(TOGETHER)
        self.deeds = Deeds()

    async def look(self, copies: Sequence[Kept], places: Places) -> list[Kept]:
        """Return the copies that may go; the others were asked about and re-injected as far as it is time."""
        opened = [kept for kept in copies if await self._open(kept)]
        known = await self._resolve(opened, places)
        await self._ask(known, places)
        queue = await self._queue(known)
        jobs = []
        for kept in known:
            for final in kept.finals:
                facts = self._facts(kept, final, places, queue)
                kept.steps[final] = Step.WAIT if facts is None else rules.step(facts)
                if facts is not None and kept.steps[final] is Step.REINJECT:
                    jobs.append(self._reinject(kept, final, facts, places))
        await asyncio.gather(*jobs)
        finished = [kept for kept in known if rules.dropped(kept.steps.values())]
        self._count_ended(finished)
        return finished

    async def _open(self, kept: Kept) -> bool:
        if kept.envelope is not None:
            return True
        try:
            key = await self._means.unwrap(kept.label.key)
            label, sealed = await asyncio.to_thread(self._store.envelope, kept.name)
            kept.envelope = seal.open_envelope(label, key, sealed)
        except KeysAwayError as error:
            self.deeds.hinder("keys", error)
            return False
        except (CopyError, StoreError) as error:
            self.deeds.hinder(kept.name, error)
            return False
        self.deeds.hinder("keys", None)
        return True

    async def _resolve(self, copies: Sequence[Kept], places: Places) -> list[Kept]:
        """Return the copies of which the final recipients are known."""
        now = time.monotonic()
        old = [kept for kept in copies if now - kept.resolved_at > RESOLVED_S]
        addresses = {r.address for kept in old if kept.envelope for r in kept.envelope.recipients}
        if addresses:
            try:
                found = await asyncio.to_thread(recipients.expand, addresses, self._means.lookup)
            except DirectoryAwayError as error:
                self.deeds.hinder("directory", error)
                return [kept for kept in copies if kept.finals]
            self.deeds.hinder("directory", None)
            for kept in old:
                self._resolved(kept, found, places, now)
        return [kept for kept in copies if kept.resolved_at > float("-inf")]

    def _resolved(self, kept: Kept, found: dict[str, frozenset[Final]], places: Places, now: float) -> None:
        addressed = kept.envelope.recipients if kept.envelope else ()
        kept.finals = frozenset(final for recipient in addressed for final in found[recipient.address])
        kept.steps = {final: step for final, step in kept.steps.items() if final in kept.finals}
        kept.resolved_at = now
        if self._age_s(kept) < FRESH_S:
            groups = {final.group for final in kept.finals if final.group is not None}
            kept.homes = {g: (p.home, p.epoch) for g in groups if (p := places.groups.get(g)) is not None}

    async def _ask(self, copies: Sequence[Kept], places: Places) -> None:
        questions = {
            (kept.name, final): Question(final.user, final.group, kept.label.copy_id)
            for kept in copies
            for final in kept.finals
            if final.group is not None and kept.steps.get(final) is not Step.DONE
        }
        answers = await held(set(questions.values()), places.groups, places.alive, self._means.ask)
        for kept in copies:
            for final in kept.finals:
                question = questions.get((kept.name, final))
                if question is not None:
                    kept.held[final] = answers.get(question, Held.UNKNOWN)

    async def _queue(self, copies: Sequence[Kept]) -> Queue | None:
        """Return what Postfix works on, if a decision may depend on it; None when it is not known."""
        if not any(self._settled(kept) and self._unsafe(kept) for kept in copies):
            return None
        try:
            queue = await asyncio.to_thread(self._means.queue)
        except QueueAwayError as error:
            self.deeds.hinder("queue", error)
            return None
        self.deeds.hinder("queue", None)
        return queue

    def _facts(self, kept: Kept, final: Final, places: Places, queue: Queue | None) -> Facts | None:
        """Return what is known of a recipient; None for a mailbox whose group has no place."""
        own = kept.label.origin == self._me
        placement = None if final.group is None else places.groups.get(final.group)
        if final.group is not None and placement is None:
            return None
        epoch = placement.epoch if placement else 0
        attempts = self._attempts.of(kept.name, final.address)
        files = ([kept.label.queue_id] if own else []) + [a.queue_id for a in attempts if a.queue_id]
        queued = None
        if queue is not None and self._settled(kept):
            queued = queue.has(files, None if final.group is None else final.address)
        here = [attempt for attempt in attempts if attempt.epoch == epoch]
        since_s = self._means.clock() - attempts[-1].at_s if attempts else self._age_s(kept)
        home = kept.homes.get(final.group) if final.group is not None else None
        return Facts(
            mailbox=final.group is not None,
            taken_over=bool(files),
            queued=queued,
            held=kept.held.get(final, Held.UNKNOWN),
            attempts=len(here),
            accepted=any(attempt.queue_id for attempt in here),
            same_home=own and placement is not None and home == (placement.home, placement.epoch),
            since_s=since_s,
        )

    async def _reinject(self, kept: Kept, final: Final, facts: Facts, places: Places) -> None:
        if kept.envelope is None:
            return
        placement = None if final.group is None else places.groups.get(final.group)
        same = (r for r in kept.envelope.recipients if r.address.lower() == final.address.lower())
        recipient = next(same, Recipient(final.address))
        async with self._together:
            try:
                key = await self._means.unwrap(kept.label.key)
                label, parts = await asyncio.to_thread(self._store.read, kept.name)
                message = await asyncio.to_thread(seal.open_message, label, key, parts)
                quiet = rules.quiet(facts)
                queue_id = await asyncio.to_thread(self._means.reinject, kept.envelope, recipient, message, quiet)
            except RefusedError as error:
                log.warning("%s: Postfix refuses it: %s", kept.name, error)
                queue_id = ""
            except (QueueAwayError, KeysAwayError, StoreError, CopyError) as error:
                self.deeds.hinder("re-injection", error)
                kept.due_at = time.monotonic() + AGAIN_S
                return
        self.deeds.hinder("re-injection", None)
        self.deeds.reinjections += 1
        self.deeds.repeats += bool(self._attempts.of(kept.name, final.address))
        log.info("%s: given to Postfix again as %s (attempt %d)", kept.name, queue_id or "nothing", facts.attempts + 1)
        epoch = placement.epoch if placement else 0
        try:
            self._attempts.add(kept.name, final.address, Attempt(self._means.clock(), epoch, queue_id))
        except OSError as error:
            self.deeds.hinder("attempts", error)

    def _count_ended(self, copies: Sequence[Kept]) -> None:
        for kept in copies:
            ended = sum(step is Step.ENDED for step in kept.steps.values())
            if ended:
                self.deeds.ended += ended
                log.error("%s: %d recipients ended another way: see Postfix's log", kept.name, ended)

    def _age_s(self, kept: Kept) -> float:
        return self._means.clock() - kept.label.accepted_at.timestamp()

    def _settled(self, kept: Kept) -> bool:
        return kept.label.origin != self._me or self._age_s(kept) >= rules.SETTLED_S

    @staticmethod
    def _unsafe(kept: Kept) -> bool:
        return any(final.group is None or kept.held.get(final) is not Held.YES for final in kept.finals)
