"""The journal of what was acknowledged, and the invariant: each of it is in its mailbox once, no less and no more.

A sender whose connection broke after the data does not know the message's fate: as a real one does, it offers the same
bytes again, to any server, until it hears an answer.
"""

import re
import smtplib
import ssl
import threading
import time
from collections import Counter, deque
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count, cycle

from onedallmail.platform.ports import Port
from tests.lab import BOB, PEER, eventually
from tests.mail.clients import FOLDERS, Smtp, imap, smtp
from tests.mail.messages import Sample, message, new_id

ACCEPTED = 250
BROKEN = (smtplib.SMTPException, ConnectionError, TimeoutError, ssl.SSLError, OSError)
LAST_TRIES_S = 60


@dataclass(frozen=True)
class Offer:
    """A message on its way, the same bytes at each try."""

    sender: str
    recipient: str
    sample: Sample

    def connection(self, server: str) -> AbstractContextManager[Smtp]:
        """Return a connection to a server by which this sender sends."""
        if self.sender == BOB:
            return smtp(server, node=PEER)
        return smtp(server, Port.SUBMISSIONS, user=self.sender)


@dataclass
class Journal:
    """What one run sent. `acknowledged` and `unknown` hold (recipient, Message-ID)."""

    run: str = field(default_factory=lambda: new_id()[1:13])
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)
    deleted: set[tuple[str, str]] = field(default_factory=set)
    """What its user has deleted, or tried to: it may be gone."""
    refused: int = 0

    def offer(self, mx: str, recipient: str) -> bool:
        """Offer a new message to one MX as the other organisation's server; return whether it said 250."""
        return self.deliver(mx, self.compose(recipient))

    def compose(self, recipient: str, sender: str = BOB) -> "Offer":
        """Return a new message that nobody has been offered; a sender of ours submits it, bob's server sends it."""
        sample = message(f"Journal {self.run}", "Not to be lost, not to be doubled.\n", sender=sender, to=recipient)
        return Offer(sender, recipient, sample)

    def deliver(self, server: str, offer: "Offer") -> bool:
        """Offer a message to one server, and write down what became of it; return whether it said 250."""
        entry, told = (offer.recipient, offer.sample.id), False
        try:
            with offer.connection(server) as client:
                client.mail(offer.sender)
                code, _ = client.rcpt(offer.recipient)
                if code == ACCEPTED:
                    told = True
                    code, _ = client.data(offer.sample.raw)
                if code == ACCEPTED:
                    self.acknowledged.append(entry)
                    return True
                told = False
        except BROKEN:
            if told:
                self.unknown.append(entry)
        self.refused += 1
        return False

    def missing(self, recipient: str, through: str) -> list[str]:
        """Return the acknowledged messages that are not in a mailbox; fail when one is there twice."""
        found = self.stored(recipient, through)
        doubled = [identity for identity, copies in found.items() if copies > 1]
        assert not doubled, f"{recipient} has {len(doubled)} messages more than once: {doubled[:3]}"
        wanted = [
            identity for to, identity in self.acknowledged if to == recipient and (to, identity) not in self.deleted
        ]
        return [identity for identity in wanted if not found[identity]]

    def stored(self, recipient: str, through: str) -> Counter[str]:
        """Return how often each message of this run is in a user's folders."""
        found: Counter[str] = Counter()
        with imap(through, recipient) as client:
            for folder in FOLDERS:
                client.select(folder, readonly=True)
                _, uids = client.uid("SEARCH", "SUBJECT", f'"Journal {self.run}"')
                if uids and uids[0]:
                    wanted = uids[0].decode().replace(" ", ",")
                    _, parts = client.uid("FETCH", wanted, "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
                    text = b"".join(part[1] for part in parts if isinstance(part, tuple)).decode()
                    found.update(re.findall(r"^Message-ID:\s*(<\S+>)", text, re.MULTILINE | re.IGNORECASE))
        return found

    def settle(self, recipients: list[str], through: str, within_s: float) -> None:
        """Wait until everything acknowledged is in its mailbox, each message once."""
        for recipient in recipients:
            what = f"all acknowledged mail for {recipient}"
            eventually(what, lambda to=recipient: not self.missing(to, through), within_s, every_s=2)  # type: ignore[misc] # bound now
        assert self.acknowledged, "nothing was acknowledged, so nothing was proven"

    def text(self) -> str:
        """Return the journal for the evidence."""
        lines = [f"acknowledged {to} {identity}" for to, identity in self.acknowledged]
        lines += [f"unknown {to} {identity}" for to, identity in self.unknown]
        return "\n".join([*lines, f"refused {self.refused}"])


class Load(threading.Thread):
    """Keeps sending to every recipient by every server until it is stopped: from outside, and from users to users.

    What is not acknowledged is offered again by another server, as senders do; a dead server is passed over.
    """

    def __init__(self, journal: Journal, servers: list[str], recipients: list[str]) -> None:
        super().__init__(daemon=True)
        self._journal, self._ended = journal, threading.Event()
        senders = [BOB, BOB, *recipients]
        pairs = zip(cycle(senders), cycle(recipients), range(len(senders) * len(recipients)), strict=False)
        self._pairs = cycle([(sender, to) for sender, to, _ in pairs])
        self._servers = cycle(servers)
        self._waiting: deque[Offer] = deque()
        self.dead: set[str] = set()

    def run(self) -> None:
        """Offer one message after the other."""
        for number in count():
            if self._ended.is_set():
                return
            if number % 3 or not self._waiting:
                sender, to = next(self._pairs)
                self._waiting.append(self._journal.compose(to, sender))
            self._try_one()
            time.sleep(0.02 if number % 10 else 0.1)

    def _try_one(self) -> None:
        name, offer = next(self._servers), self._waiting.popleft()
        if name in self.dead or not self._journal.deliver(name, offer):
            self._waiting.append(offer)

    def stop(self) -> None:
        """End after the message that is under way, and offer what waits until it is acknowledged."""
        self._ended.set()
        self.join(timeout=90)
        assert not self.is_alive(), "a message was neither answered nor broken off within 90 s"
        end = time.monotonic() + LAST_TRIES_S
        while self._waiting and time.monotonic() < end:
            self._try_one()
