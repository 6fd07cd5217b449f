"""The TLS ports of the platform as clients meet them, and the dialogues that lead to TLS on the others."""

import re
import socket
import ssl
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from onedallmail.paths import state_dir
from onedallmail.platform.flows import Identity, Party, Protocol
from onedallmail.platform.ports import Port
from tests.lab import ALL, CLIENT, MAIL, PLATFORM, STACK, connect, public_ip, server

PQ = "X25519MLKEM768"
POSTGRES_TLS_REQUEST = struct.pack("!ii", 8, 80877103)
OLD_VERSIONS = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2)
STARTTLS = {
    Port.SMTP: "smtp",
    Port.SUBMISSION: "smtp",
    Port.HANDOVER: "smtp",
    Port.SIEVE: "sieve",
    Port.POSTGRES: "postgres",
}
GROUPS = {Port.POSTGRES: "secp384r1", Port.ETCD_CLIENT: "X25519", Port.ETCD_PEER: "X25519"}
"""Services whose library has no hybrid key exchange: PostgreSQL 17 takes one curve, this etcd an older Go."""


@dataclass(frozen=True)
class Endpoint:
    """A TLS port of a server, and a node from which the intent graph lets a client come."""

    server: str
    port: Port
    mutual: bool
    source: str

    @property
    def address(self) -> str:
        """The address that the source uses."""
        return str(server(self.server).private_ip) if self.mutual else public_ip(self.server)

    @property
    def name(self) -> str:
        """The name in the certificate that the source expects."""
        here = server(self.server)
        return here.internal_name if self.mutual else here.fqdn

    @property
    def starttls(self) -> str:
        """The protocol in which TLS is asked for, or nothing when it comes first."""
        return STARTTLS.get(self.port, "")

    def __str__(self) -> str:
        """Return the test's id."""
        return f"{self.server}-{self.port.service}"


def endpoints() -> tuple[Endpoint, ...]:
    """Return every TLS port of every server, from the intent graph."""
    found: dict[tuple[str, Port], Endpoint] = {}
    for flow in PLATFORM.flows:
        if flow.protocol is not Protocol.TCP or flow.identity not in (Identity.PUBLIC_TLS, Identity.MUTUAL_TLS):
            continue
        for end in PLATFORM.members(flow.destination):
            mutual = flow.identity is Identity.MUTUAL_TLS
            sources = [s.name for s in PLATFORM.members(flow.source) if s is not end]
            source = CLIENT if flow.source is Party.INTERNET else sources[0]
            found[end.name, flow.port] = Endpoint(end.name, flow.port, mutual, source)
    assert {e.server for e in found.values()} == set(ALL)
    assert len({e.server for e in found.values() if not e.mutual}) == len(MAIL)
    return tuple(found.values())


def read_lines(stream: socket.socket, done: Callable[[bytes], bool]) -> bytes:
    """Read a whole reply, as `done` knows it; what has come when the other side closes."""
    text = b""
    while not (text.endswith(b"\n") and done(text)):
        piece = stream.recv(4096)
        if not piece:
            return text
        text += piece
    return text


def smtp_done(text: bytes) -> bool:
    """Return whether an SMTP reply is whole (RFC 5321, section 4.2.1)."""
    last = text.splitlines()[-1]
    return len(last) >= 4 and last[3:4] != b"-"


def sieve_done(text: bytes) -> bool:
    """Return whether a ManageSieve reply is whole, an error text as a literal included (RFC 5804, section 1.2)."""
    final = re.search(rb"^(OK|NO|BYE)\b[^\n]*\n", text, re.MULTILINE)
    literal = re.search(rb"\{(\d+)\+?\}\r\n$", final[0]) if final else None
    return final is not None and (literal is None or len(text) >= final.end() + int(literal[1]) + 2)


def ask_for_tls(stream: socket.socket, protocol: str) -> None:
    """Lead a fresh connection to the point where the TLS handshake begins."""
    match protocol:
        case "smtp":
            read_lines(stream, smtp_done)
            for command in (b"EHLO probe.partner.example\r\n", b"STARTTLS\r\n"):
                stream.sendall(command)
                reply = read_lines(stream, smtp_done)
            assert reply.startswith(b"220"), f"STARTTLS was answered with {reply!r}"
        case "sieve":
            read_lines(stream, sieve_done)
            stream.sendall(b"STARTTLS\r\n")
            reply = read_lines(stream, sieve_done)
            assert reply.startswith(b"OK"), f"STARTTLS was answered with {reply!r}"
        case "postgres":
            stream.sendall(POSTGRES_TLS_REQUEST)
            reply = stream.recv(1)
            assert reply == b"S", f"the request for TLS was answered with {reply!r}"


@contextmanager
def handshake(end: Endpoint, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """Yield the TLS connection to an endpoint; raises ssl.SSLError when the server refuses."""
    with connect(end.source, end.address, end.port.value) as plain:
        ask_for_tls(plain, end.starttls)
        with context.wrap_socket(plain, server_hostname=end.name) as stream:
            yield stream


def client_context(*, identity: tuple[str, str] | None = None, authority: str = "private-ca") -> ssl.SSLContext:
    """Return a TLS 1.3 client that trusts one authority of the lab, with or without a certificate of its own."""
    context = ssl.create_default_context(cafile=str(state_dir(STACK) / "pki" / f"{authority}.crt"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if identity:
        context.load_cert_chain(*identity)
    return context


def outdated_context(version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return a client that speaks one old version only and would accept any certificate and cipher."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = version
        context.maximum_version = version
    return context
