"""Load for both sides of the comparison: the same clients, messages and numbers, only addresses and names differ."""

import imaplib
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice

from tests.lab import connect, eventually
from tests.mail.messages import message, new_id

THREADS = 4
MESSAGE_BYTES = 4096
PER_CONNECTION = 25


@dataclass(frozen=True)
class Door:
    """Where a client knocks: from which node, at which address, under which name, with which TLS settings."""

    node: str
    address: str
    name: str
    context: ssl.SSLContext

    def smtp(self) -> "BenchSmtp":
        """Return an SMTP connection inside TLS."""
        client = BenchSmtp(self)
        client.ehlo()
        client.starttls(context=self.context)
        client.ehlo()
        return client

    def imap(self) -> "BenchImap":
        """Return an IMAP connection inside TLS."""
        return BenchImap(self)


class BenchSmtp(smtplib.SMTP):
    """SMTP through a door."""

    def __init__(self, door: Door) -> None:
        self._door = door
        super().__init__(door.name, 25, local_hostname="mail1.partner.example", timeout=60)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002 - smtplib's signature
        return connect(self._door.node, self._door.address, port, timeout)


class BenchImap(imaplib.IMAP4_SSL):
    """IMAP through a door."""

    def __init__(self, door: Door) -> None:
        self._door = door
        super().__init__(door.name, 993, ssl_context=door.context, timeout=60)

    def _create_socket(self, timeout: float | None) -> ssl.SSLSocket:
        plain = connect(self._door.node, self._door.address, self.port, timeout or 60)
        return self._door.context.wrap_socket(plain, server_hostname=self._door.name)


@dataclass(frozen=True)
class Side:
    """One side of the comparison; mailboxes are (address, log-in name, password)."""

    mail: Sequence[Door]
    reading: Sequence[Door]
    mailboxes: Sequence[tuple[str, str, str]]
    sender: str

    @contextmanager
    def counting(self) -> Iterator[Callable[[], int]]:
        """Yield what tells how many messages the mailboxes hold together: log-ins would cost too much."""
        with ExitStack() as stack:
            clients = [stack.enter_context(self.reading[0].imap()) for _ in self.mailboxes]
            for client, (_, user, password) in zip(clients, self.mailboxes, strict=True):
                client.login(user, password)
            yield lambda: sum(int(c.select("INBOX", readonly=True)[1][0] or b"0") for c in clients)


def inbound_per_s(side: Side, count: int) -> float:
    """Return messages per second from the first connection to the last message in its mailbox."""
    with side.counting() as stored:
        return _inbound_per_s(side, count, stored)


def _inbound_per_s(side: Side, count: int, stored: Callable[[], int]) -> float:
    before = stored()
    sample = message("Benchmark", "x" * 70 + "\n", sender=side.sender)
    raw = sample.raw + (b"y" * 70 + b"\r\n") * ((MESSAGE_BYTES - len(sample.raw)) // 72)
    recipients = [address for address, _, _ in side.mailboxes]

    def worker(number: int) -> None:
        door = side.mail[number % len(side.mail)]
        share = list(islice(cycle(recipients[number:] + recipients[:number]), count // THREADS))
        for begin in range(0, len(share), PER_CONNECTION):
            with door.smtp() as client:
                for to in share[begin : begin + PER_CONNECTION]:
                    # Each with an id of its own: the same message again is no second one.
                    client.sendmail(side.sender, [to], raw.replace(sample.id.encode(), new_id().encode()))

    started = time.monotonic()
    _in_threads(worker)
    wanted = before + count // THREADS * THREADS
    eventually(f"{count} messages are stored", lambda: stored() >= wanted, 120, every_s=0.1)
    return count / (time.monotonic() - started)


def log_ins_per_s(side: Side, count: int) -> float:
    """Return log-ins per second, each with a new connection, TLS handshake, password check and SELECT."""

    def worker(number: int) -> None:
        for turn in range(count // THREADS):
            _, user, password = side.mailboxes[(number + turn) % len(side.mailboxes)]
            with side.reading[number % len(side.reading)].imap() as client:
                client.login(user, password)
                client.select("INBOX", readonly=True)

    started = time.monotonic()
    _in_threads(worker)
    return count / (time.monotonic() - started)


def _in_threads(worker: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        for finished in [pool.submit(worker, number) for number in range(THREADS)]:
            finished.result()
