"""Mail programs for the tests: SMTP and IMAP from any node of the lab, always with names checked and TLS 1.3."""

import base64
import email
import imaplib
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from onedallmail.platform.ports import Port
from tests.lab import BOB, CLIENT, PEER, PEER_ADDRESS, connect, eventually, password, public_ip, server, trust

PEER_NAME = "mail1.partner.example"
FOLDERS = ("INBOX", "Junk")
ARRIVES_WITHIN_S = 60
TIMEOUT_S = 60


def address_of(name: str) -> tuple[str, str]:
    """Return (name in the certificate, address) of a platform server or of `peer`."""
    return (PEER_NAME, PEER_ADDRESS) if name == PEER else (server(name).fqdn, public_ip(name))


class Smtp(smtplib.SMTP):
    """An SMTP client that speaks from a node's network namespace; TLS comes by `starttls_checked` or with the port."""

    def __init__(self, name: str, port: Port, node: str = CLIENT) -> None:
        self._fqdn, self._address = address_of(name)
        self._node, self._wrapped = node, port is Port.SUBMISSIONS
        helo = PEER_NAME if node == PEER else f"{node}.partner.example"
        super().__init__(self._fqdn, port.value, local_hostname=helo, timeout=TIMEOUT_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = connect(self._node, self._address, port, timeout)
        return trust().wrap_socket(plain, server_hostname=host) if self._wrapped else plain

    def starttls_checked(self) -> "Smtp":
        """Go over to TLS and greet again."""
        self.ehlo()
        code, text = self.starttls(context=trust())
        assert code == 220, f"STARTTLS was answered {code} {text!r}"
        self.ehlo()
        return self


@contextmanager
def smtp(name: str, port: Port = Port.SMTP, node: str = CLIENT, user: str = "") -> Iterator[Smtp]:
    """Yield a connection inside TLS, logged in when a user is named."""
    with Smtp(name, port, node) as client:
        if port is not Port.SUBMISSIONS:
            client.starttls_checked()
        else:
            client.ehlo()
        if user:
            client.login(user, password(user))
        yield client


def submit(name: str, user: str, raw: bytes, to: Sequence[str], port: Port = Port.SUBMISSIONS, **options: bool) -> None:
    """Send a message as a user of that server; raises smtplib's errors when it is refused."""
    words = ["BODY=8BITMIME"] + (["SMTPUTF8"] if options.get("utf8") else [])
    with smtp(name, port, user=user) as client:
        refused = client.sendmail(user, list(to), raw, mail_options=words)
    assert refused == {}, f"{name} refused {refused}"


def send_from_peer(raw: bytes, to: Sequence[str], *, utf8: bool = False, envelope: str = BOB) -> None:
    """Let the other organisation's own server send a message of its user: signed by it, by an MX that it chooses."""
    submit("peer", envelope, raw, to, utf8=utf8)


class Imap(imaplib.IMAP4_SSL):
    """An IMAP client that speaks from the client's network namespace."""

    def __init__(self, name: str, node: str = CLIENT) -> None:
        self._fqdn, self._address = address_of(name)
        self._node = node
        super().__init__(self._fqdn, Port.IMAPS.value, ssl_context=trust(), timeout=TIMEOUT_S)

    def _create_socket(self, timeout: float | None) -> ssl.SSLSocket:
        plain = connect(self._node, self._address, self.port, timeout or TIMEOUT_S)
        return trust().wrap_socket(plain, server_hostname=self._fqdn)


@contextmanager
def imap(name: str, user: str) -> Iterator[Imap]:
    """Yield a log-in of a user at a server (or at `peer`)."""
    with Imap(name) as client:
        client.login(user, password(user))
        yield client


def search(client: Imap, folder: str, message_id: str) -> list[str]:
    """Return the UIDs of the messages with that id in a folder; none when the folder does not exist."""
    if client.select(folder, readonly=False)[0] != "OK":
        return []
    kind, found = client.uid("SEARCH", "HEADER", "Message-ID", f'"{message_id}"')
    assert kind == "OK", found
    return found[0].decode().split() if found and found[0] else []


def read(client: Imap, uid: str) -> bytes:
    """Return a message of the selected folder, as it is, without marking it as read."""
    kind, parts = client.uid("FETCH", uid, "(BODY.PEEK[])")
    assert kind == "OK", parts
    bodies = [part[1] for part in parts if isinstance(part, tuple)]
    assert len(bodies) == 1, f"one message was asked for, {len(bodies)} came"
    return bytes(bodies[0])


def copies(name: str, user: str, message_id: str, folders: Sequence[str] = FOLDERS) -> list[bytes]:
    """Return every copy of a message that a user has, read through one server."""
    with imap(name, user) as client:
        return [read(client, uid) for folder in folders for uid in search(client, folder, message_id)]


def arrived(
    name: str, user: str, message_id: str, folders: Sequence[str] = FOLDERS, within_s: float = ARRIVES_WITHIN_S
) -> bytes:
    """Wait for a message, read through one server; exactly one copy must be there."""
    what = f"{message_id} for {user}, read through {name}"
    found = eventually(what, lambda: copies(name, user, message_id, folders), within_s)
    assert len(found) == 1, f"{what}: {len(found)} copies"
    return found[0]


def remove(name: str, user: str, message_id: str) -> None:
    """Delete a message for good (large ones, so that mailboxes do not grow with each run)."""
    with imap(name, user) as client:
        for folder in FOLDERS:
            for uid in search(client, folder, message_id):
                client.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")
            client.expunge()


def authenticate(client: Smtp, user: str, secret: str) -> tuple[int, bytes]:
    """Try one log-in by AUTH PLAIN and return the reply (smtplib's own `login` would try a second mechanism)."""
    token = base64.b64encode(f"\0{user}\0{secret}".encode()).decode()
    return client.docmd("AUTH", f"PLAIN {token}")


def hops(raw: bytes) -> list[str]:
    """Return the Received lines of a message, unfolded, the last server's first."""
    return [" ".join(hop.split()) for hop in email.message_from_bytes(raw).get_all("Received", [])]


def enhanced(code: int, text: bytes) -> str:
    """Return `550 5.1.1` from a reply: the code, and the enhanced status code of RFC 3463 when there is one."""
    found = re.match(rb"(\d\.\d{1,3}\.\d{1,3})\b", text)
    return f"{code} {found[1].decode()}" if found else str(code)
