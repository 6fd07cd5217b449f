"""Runs the agent on a mailbox's home server, and carries Dovecot's connections through the gate to the source."""

import imaplib
import json
import secrets
import select
import shlex
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import agent
from .errors import MigrationError
from .gate import Gate, RefusedError
from .source import Session, capabilities

BOOT = "import sys; i = sys.stdin.buffer; exec(compile(i.read(int(i.readline())), 'agent', 'exec'))"
COMMAND = f"sudo -n python3 -c {shlex.quote(BOOT)}"
OWN_CONNECTION = ("-o", "ControlPath=none", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4")
"""A shared connection would end for all when one copy is killed; a dead one must be noticed."""
SELECT_S = 1.0
Opened = Callable[[], Session]
"""Return a new session at the source."""


@dataclass(frozen=True)
class Place:
    """Where a mailbox lives: its server, how to get there, its group."""

    server: str
    ssh: tuple[str, ...]
    group: int


class _SharedTls:
    """A TLS connection that one thread reads while another writes: OpenSSL allows one of them at a time."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self._sock, self._lock = sock, threading.Lock()

    def send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                with self._lock:
                    left = left[self._sock.send(left) :]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([], [self._sock], [], SELECT_S)

    def receive(self) -> bytes:
        while True:
            try:
                with self._lock:
                    return self._sock.recv(agent.CHUNK_BYTES)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([self._sock], [], [], SELECT_S)


class _Carrier:
    """The connections of one copy: each a session of the source behind a gate of its own."""

    def __init__(self, write: Callable[[bytes, int, bytes], None], opened: Opened, token: str) -> None:
        self._write, self._opened, self._token = write, opened, token
        self._open: dict[int, tuple[Session, Gate, _SharedTls]] = {}
        self.bytes = 0
        self.problems: list[str] = []

    def take(self, kind: bytes, number: int, data: bytes) -> None:
        try:
            if kind == b"o":
                self._begin(number)
            elif kind == b"c":
                self._end(number)
            elif number in self._open:
                _, gate, shared = self._open[number]
                forward, answer = gate.feed(data)
                if answer:
                    self._write(b"d", number, answer)
                if forward:
                    shared.send(forward)
        except (OSError, MigrationError, RefusedError, imaplib.IMAP4.error) as error:
            self.problems.append(str(error))
            self._end(number)
            self._write(b"c", number, b"")

    def _begin(self, number: int) -> None:
        session = self._opened()
        gate = Gate(self._token, capabilities(session))
        shared = _SharedTls(session.sock)
        self._open[number] = session, gate, shared
        self._write(b"d", number, gate.greeting)
        threading.Thread(target=self._read, args=(number, shared), daemon=True).start()

    def _read(self, number: int, shared: "_SharedTls") -> None:
        with suppress(OSError, ValueError):
            while data := shared.receive():
                self.bytes += len(data)
                self._write(b"d", number, data)
        with suppress(OSError, ValueError):
            self._write(b"c", number, b"")

    def _end(self, number: int) -> None:
        found = self._open.pop(number, None)
        if found:
            with suppress(OSError):
                found[0].sock.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                found[0].sock.close()

    def close(self) -> None:
        for number in list(self._open):
            self._end(number)


def ask(place: Place, job: Mapping[str, Any], opened: Opened | None = None) -> dict[str, Any]:
    """Run one job on a home server and return its result; raises MigrationError.

    A job that reads the source gets `opened`, and the result then has `carried_bytes` and `problems`.
    """
    token, code = secrets.token_hex(24), Path(agent.__file__).read_bytes()
    document = {**job, "group": place.group, "server": place.server, "token": token}
    process = subprocess.Popen(
        [place.ssh[0], *OWN_CONNECTION, *place.ssh[1:], COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None or process.stderr is None:
        msg = "ssh has no pipes"
        raise MigrationError(msg)
    sending, stdin = threading.Lock(), process.stdin

    def write(kind: bytes, number: int, data: bytes) -> None:
        with sending:
            stdin.write(agent.HEADER.pack(kind, number, len(data)) + data)
            stdin.flush()

    carrier = _Carrier(write, opened, token) if opened else None
    try:
        stdin.write(f"{len(code)}\n".encode() + code + json.dumps(document).encode() + b"\n")
        stdin.flush()
        result = _followed(process.stdout, carrier)
    except OSError:
        result = None
    finally:
        if carrier:
            carrier.close()
        with suppress(OSError):
            stdin.close()
        process.kill()
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        process.wait()
    if result is None:
        msg = f"{place.server} broke off ({said[-1] if said else 'no reason given'}): run the command again"
        raise MigrationError(msg)
    return _judged(place, result, carrier)


def _followed(stdout: IO[bytes], carrier: _Carrier | None) -> dict[str, Any] | None:
    while len(head := stdout.read(agent.HEADER.size)) == agent.HEADER.size:
        kind, number, size = agent.HEADER.unpack(head)
        data = stdout.read(size)
        if kind == b"r":
            return dict(json.loads(data))
        if carrier:
            carrier.take(kind, number, data)
    return None


def _judged(place: Place, result: dict[str, Any], carrier: _Carrier | None) -> dict[str, Any]:
    if result.get("moved"):
        msg = f"{place.server} is no longer the home of group {place.group}: run the command again"
        raise MigrationError(msg)
    if "error" in result:
        msg = f"{place.server}: {result['error']}"
        raise MigrationError(msg)
    if carrier:
        result |= {"carried_bytes": carrier.bytes, "problems": carrier.problems}
    return result
