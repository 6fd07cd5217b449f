"""What somebody without the platform's identity tries on inside ports, each in the port's own protocol."""

import base64
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import socket

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from onedallmail.paths import state_dir
from onedallmail.platform.ports import Port
from tests.lab import DOMAIN, STACK, account_on, password
from tests.tls import read_lines, sieve_done, smtp_done


def foreign_identity(folder: Path) -> tuple[str, str]:
    """Return (certificate, key) files: the right subject, signed by an authority of the same name but another key."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "1dallmail lab private CA")])
    now = datetime.now(UTC)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"a1.{DOMAIN}")]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(f"a1.{DOMAIN}"), x509.DNSName("a1.internal")]), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    certificate, private = folder / "foreign.crt", folder / "foreign.key"
    certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(certificate), str(private)


def gets_service(stream: socket, port: Port) -> str:
    """Try to be served with right words; return what was granted, or nothing. Raises what the connection raises."""
    words = {
        Port.HANDOVER: _smtp,
        Port.IMAP_HOME: _imap,
        Port.SIEVE_HOME: _sieve,
        Port.SYNC_HOME: _doveadm,
        Port.POSTGRES: _postgres,
        Port.ETCD_CLIENT: _http,
        Port.ETCD_PEER: _http,
        Port.PATRONI: _http,
    }
    return words.get(port, _syslog)(stream)


def _http(stream: socket) -> str:
    stream.sendall(b"GET /version HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
    return stream.recv(200).decode(errors="replace")


def _syslog(stream: socket) -> str:
    stream.sendall(b"66 <13>1 2026-01-01T00:00:00Z stranger test - - - a line by a stranger")
    return stream.recv(200).decode(errors="replace")


def _smtp(stream: socket) -> str:
    for command in (b"EHLO probe\r\n", b"MAIL FROM:<>\r\n", f"RCPT TO:<{account_on('a1')}>\r\n".encode()):
        stream.sendall(command)
        reply = read_lines(stream, smtp_done)
        if not reply.startswith(b"2"):
            return ""
    return reply.decode()


def _imap(stream: socket) -> str:
    user = account_on("a1")
    read_lines(stream, lambda text: text.startswith(b"* "))
    stream.sendall(f'1 LOGIN {user} "{password(user)}"\r\n'.encode())
    reply = read_lines(stream, lambda text: text.splitlines()[-1].startswith((b"1 ", b"* BYE")))
    return reply.decode() if b"1 OK" in reply else ""


def _sieve(stream: socket) -> str:
    user = account_on("a1")
    token = base64.b64encode(f"\0{user}\0{password(user)}".encode()).decode()
    read_lines(stream, sieve_done)
    stream.sendall(f'AUTHENTICATE "PLAIN" "{token}"\r\n'.encode())
    reply = read_lines(stream, sieve_done)
    return reply.decode() if reply.splitlines()[-1:] and reply.splitlines()[-1].startswith(b"OK") else ""


def _doveadm(stream: socket) -> str:
    secret = (state_dir(STACK) / "secrets" / "doveadm-sync").read_text().strip()
    token = base64.b64encode(f"\0doveadm\0{secret}".encode()).decode()
    stream.sendall(f"VERSION\tdoveadm-server\t1\t0\nPLAIN\t{token}\n".encode())
    reply = read_lines(stream, lambda text: text.endswith((b"+\n", b"-\n")))
    return reply.decode() if reply.endswith(b"+\n") else ""


def _postgres(stream: socket) -> str:
    words = b"user\0postgres\0database\0onedallmail\0\0"
    stream.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
    reply = stream.recv(500)
    return "" if reply[:1] in (b"E", b"") else repr(reply)
