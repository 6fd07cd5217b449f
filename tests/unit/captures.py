"""Packets written by hand into a capture file, to ask a real Suricata for its verdicts."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

SYN, ACK, PUSH = 0x02, 0x10, 0x08
TCP, UDP = 6, 17
ETHERNET = bytes.fromhex("020000000002020000000001") + b"\x08\x00"


@dataclass
class Capture:
    """A growing list of Ethernet frames."""

    frames: list[bytes] = field(default_factory=list)

    def tcp(self, source: str, target: str, sport: int, dport: int, *said: tuple[str, bytes]) -> None:
        """Add a connection: handshake, then what `c`lient and `s`erver say in turn."""
        ends = {"c": (source, target, sport, dport), "s": (target, source, dport, sport)}
        seq = {"c": 1000, "s": 5000}
        self._segment(ends["c"], seq["c"], 0, SYN)
        seq["c"] += 1
        self._segment(ends["s"], seq["s"], seq["c"], SYN | ACK)
        seq["s"] += 1
        self._segment(ends["c"], seq["c"], seq["s"], ACK)
        for who, data in said:
            other = "s" if who == "c" else "c"
            self._segment(ends[who], seq[who], seq[other], PUSH | ACK, data)
            seq[who] += len(data)
            self._segment(ends[other], seq[other], seq[who], ACK)

    def udp(self, source: str, target: str, sport: int, dport: int, data: bytes) -> None:
        """Add a datagram."""
        self._frame(source, target, UDP, struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data)

    def _segment(self, ends: tuple[str, str, int, int], seq: int, ack: int, flags: int, data: bytes = b"") -> None:
        source, target, sport, dport = ends
        head = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 64240, 0, 0)
        self._frame(source, target, TCP, head + data)

    def _frame(self, source: str, target: str, protocol: int, data: bytes) -> None:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), len(self.frames), 0, 64, protocol, 0)
        self.frames.append(ETHERNET + head + IPv4Address(source).packed + IPv4Address(target).packed + data)

    def write(self, path: Path) -> None:
        """Write the frames, ten milliseconds apart (libpcap's file format, link type Ethernet)."""
        with path.open("wb") as file:
            file.write(struct.pack("!IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for number, frame in enumerate(self.frames):
                file.write(struct.pack("!IIII", number // 100, number % 100 * 10_000, len(frame), len(frame)) + frame)


def client_hello(name: str | None, *, newest: bool = True) -> bytes:
    """Return a TLS ClientHello record (RFC 8446), with a server name, and TLS 1.3 among its versions or not."""
    extensions = b""
    if name is not None:
        entry = b"\x00" + struct.pack("!H", len(name)) + name.encode()
        names = struct.pack("!H", len(entry)) + entry
        extensions += struct.pack("!HH", 0, len(names)) + names
    if newest:
        extensions += bytes.fromhex("002b0003020304")
    body = b"\x03\x03" + bytes(range(64, 96)) + b"\x20" + b"\x11" * 32 + bytes.fromhex("000213010100")
    return _handshake(1, body + struct.pack("!H", len(extensions)) + extensions, b"\x03\x01")


def server_hello() -> bytes:
    """Return a TLS 1.3 ServerHello record and a protected one."""
    body = (
        b"\x03\x03"
        + b"\x22" * 32
        + b"\x20"
        + b"\x11" * 32
        + bytes.fromhex("130100")
        + bytes.fromhex("0006002b00020304")
    )
    return _handshake(2, body, b"\x03\x03") + protected()


def protected() -> bytes:
    """Return a record of application data that nobody can read."""
    return b"\x17\x03\x03\x00\x40" + b"\x33" * 64


def _handshake(kind: int, body: bytes, version: bytes) -> bytes:
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return b"\x16" + version + struct.pack("!H", len(message)) + message


def tls(name: str | None, *, newest: bool = True) -> Sequence[tuple[str, bytes]]:
    """Return a TLS session from its first byte."""
    return (("c", client_hello(name, newest=newest)), ("s", server_hello()), ("c", protected()))


def smtp(*, starttls: bool) -> Sequence[tuple[str, bytes]]:
    """Return a session of SMTP up to its first command, or over STARTTLS into TLS (RFC 3207)."""
    begin = (("s", b"220 mx.example ESMTP\r\n"), ("c", b"EHLO a\r\n"), ("s", b"250-mx.example\r\n250 STARTTLS\r\n"))
    if not starttls:
        return (*begin, ("c", b"MAIL FROM:<a@example.com>\r\n"), ("s", b"250 ok\r\n"))
    return (*begin, ("c", b"STARTTLS\r\n"), ("s", b"220 go ahead\r\n"), *tls("mx.example"))


def dns_query(labels: Iterable[str]) -> bytes:
    """Return a DNS query for an address (RFC 1035)."""
    question = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\x00\x00\x01\x00\x01"
    return struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + question
