"""The journal of what was acknowledged, and the invariant: each of it is in its mailbox once, no less and no more.

A message whose fate the sender could not see (the connection broke after the data) is not offered again; it may be
there or not.
"""

import re
import smtplib
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count, cycle

from tests.lab import BOB, PEER, eventually
from tests.mail.clients import FOLDERS, imap, smtp
from tests.mail.messages import message, new_id

BROKEN = (smtplib.SMTPServerDisconnected, ConnectionError, TimeoutError, ssl.SSLError, OSError)


@dataclass
class Journal:
    """What one run sent. `acknowledged` and `unknown` hold (recipient, Message-ID)."""

    run: str = field(default_factory=lambda: new_id()[1:13])
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)
    refused: int = 0

    def offer(self, mx: str, recipient: str) -> bool:
        """Offer a new message to one MX as the other organisation's server; return whether it said 250."""
        sample = message(f"Journal {self.run}", "Not to be lost, not to be doubled.\n")
        entry = (recipient, sample.id)
        offered = False
        try:
            with smtp(mx, node=PEER) as client:
                client.mail(BOB)
                code, _ = client.rcpt(recipient)
                if code == 250:
                    offered = True
                    code, _ = client.data(sample.raw)
                if code == 250:
                    self.acknowledged.append(entry)
                    return True
        except BROKEN:
            if offered:
                self.unknown.append(entry)
        self.refused += 1
        return False

    def missing(self, recipient: str, through: str) -> list[str]:
        """Return the acknowledged messages that are not in a mailbox; fail when one is there twice."""
        found = self.stored(recipient, through)
        doubled = [identity for identity, copies in found.items() if copies > 1]
        assert not doubled, f"{recipient} has {len(doubled)} messages more than once: {doubled[:3]}"
        return [identity for to, identity in self.acknowledged if to == recipient and not found[identity]]

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
    """Keeps offering mail to every MX for every recipient until it is stopped; a dead MX is passed over."""

    def __init__(self, journal: Journal, exchangers: list[str], recipients: list[str]) -> None:
        super().__init__(daemon=True)
        self._journal, self._ended = journal, threading.Event()
        self._pairs = cycle([(mx, to) for to in recipients for mx in exchangers])
        self.dead: set[str] = set()

    def run(self) -> None:
        """Offer one message after the other."""
        for number in count():
            if self._ended.is_set():
                return
            mx, to = next(self._pairs)
            if mx not in self.dead:
                self._journal.offer(mx, to)
            time.sleep(0.02 if number % 10 else 0.1)

    def stop(self) -> None:
        """End after the message that is under way."""
        self._ended.set()
        self.join(timeout=90)
        assert not self.is_alive(), "a message was neither answered nor broken off within 90 s"
