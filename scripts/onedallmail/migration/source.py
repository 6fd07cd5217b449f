"""The other mail system: logged in over verified TLS, listed under EXAMINE, never changed."""

import imaplib
import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from .errors import MigrationError
from .listing import Entry, content_key, lasting, message_key
from .names import Folder, folder_of

TIMEOUT_S = 60
PAGE = 500
KEY = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
QUOTE = str.maketrans({"\\": "\\\\", '"': '\\"'})


@dataclass(frozen=True)
class Source:
    """How the source is reached. `address`: where to connect when the name does not lead there."""

    host: str
    port: int = 993
    address: str = ""
    ca_file: str = ""
    master: str = ""
    """Logs in for everybody (SASL PLAIN, RFC 4616: authorization identity); empty: each user with a password."""
    old_tls: str = ""
    """Reason why TLS 1.2 is accepted; empty: 1.3 or nothing. The certificate is verified in either case."""
    lab_node: str = ""
    """Node of the lab from whose network the connections start."""

    def tls(self) -> ssl.SSLContext:
        """Return the settings of TLS; raises MigrationError."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            msg = f"the authority's certificate {self.ca_file} can't be read: {error}"
            raise MigrationError(msg) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2 if self.old_tls else ssl.TLSVersion.TLSv1_3
        return context


class Session(imaplib.IMAP4_SSL):
    """An IMAP session with the source."""

    def __init__(self, source: Source) -> None:
        """Connect; raises OSError or imaplib's errors."""
        self._source = source
        super().__init__(source.host, source.port, ssl_context=source.tls(), timeout=TIMEOUT_S)

    def _create_socket(self, timeout: float | None) -> ssl.SSLSocket:
        where = (self._source.address or self.host, self.port)
        if self._source.lab_node:
            from onedallmail.lab.inside import inside  # noqa: PLC0415 - needs a Linux host, and the lab only

            with inside(self._source.lab_node):
                plain = socket.create_connection(where, timeout)
        else:
            plain = socket.create_connection(where, timeout)
        return self._source.tls().wrap_socket(plain, server_hostname=self.host)


def refused(text: str) -> imaplib.IMAP4.error:
    """Return the error of an answer that is not OK."""
    return imaplib.IMAP4.error(text)


def log_in(source: Source, user: str, passwords: dict[str, str]) -> Session:
    """Return a session of a user; raises MigrationError that says what failed and what to do."""
    where = f"{source.host}:{source.port}"
    try:
        session = Session(source)
    except ssl.SSLCertVerificationError as error:
        msg = f"{where}: certificate refused ({error.verify_message}): --ca-file names another authority"
        raise MigrationError(msg) from error
    except ssl.SSLError as error:
        msg = f"{where}: no TLS 1.3 ({error.reason or error}): --accept-tls-1-2 REASON makes a named exception"
        raise MigrationError(msg) from error
    except (OSError, imaplib.IMAP4.error) as error:
        msg = f"{where} can't be reached ({error}): is the address right, and may this machine connect?"
        raise MigrationError(msg) from error
    account = source.master or user
    words = f"{user if source.master else ''}\0{account}\0{passwords[account]}".encode()
    try:
        session.authenticate("PLAIN", lambda _: words)
    except (OSError, imaplib.IMAP4.error) as error:
        with suppress(OSError, imaplib.IMAP4.error):
            session.shutdown()
        reason = str(error).replace(passwords[account], "***")
        msg = f"{where} refused the log-in for {user} ({reason}): look at its line in the passwords file"
        raise MigrationError(msg) from error
    return session


@contextmanager
def logged_in(source: Source, user: str, passwords: dict[str, str]) -> Iterator[Session]:
    """Yield a session of a user and end it; raises MigrationError."""
    session = log_in(source, user, passwords)
    try:
        yield session
    except (OSError, ValueError, imaplib.IMAP4.error) as error:
        msg = f"{source.host} broke off, or was not understood, while {user} was read ({error}): run the command again"
        raise MigrationError(msg) from error
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            session.logout()


def capabilities(session: Session) -> str:
    """Return what the source can, after the log-in."""
    return str(session.capability()[1][0].decode("ascii", "replace"))


def prefix(session: Session) -> str:
    """Return what the names of the user's own folders begin with (RFC 2342), mostly nothing."""
    if "NAMESPACE" not in capabilities(session).upper().split():
        return ""
    found = re.match(rb'\(\("([^"]*)"', session.namespace()[1][0])
    return found[1].decode("ascii", "replace") if found else ""


def folders(session: Session) -> list[Folder]:
    """Return the folders that hold messages, or could not be mapped."""
    own = prefix(session)
    kind, rows = session.list('""', "*")
    if kind != "OK":
        msg = f"LIST was answered {kind}"
        raise refused(msg)
    found = (folder_of(row, own) for row in rows if row)
    return [folder for folder in found if folder]


def quota_bytes(session: Session) -> int | None:
    """Return how much of its quota the mailbox uses, None when the source does not tell (RFC 9208)."""
    if "QUOTA" not in capabilities(session).upper().split():
        return None
    answer = session.getquotaroot("INBOX")[1]
    found = re.search(rb"STORAGE (\d+)", b" ".join(part for row in answer for part in row if isinstance(part, bytes)))
    return int(found[1]) * 1024 if found else None


def entries(session: Session, folder: Folder) -> list[Entry]:
    """Return the messages of a folder, opened by EXAMINE."""
    quoted = '"' + folder.raw.translate(QUOTE) + '"'
    kind, answer = session.select(quoted, readonly=True)
    if kind != "OK":
        msg = f"EXAMINE {folder.name} was answered {kind}"
        raise refused(msg)
    count = int(answer[0] or 0)
    found = list[Entry]()
    for begin in range(1, count + 1, PAGE):
        kind, rows = session.fetch(f"{begin}:{min(begin + PAGE - 1, count)}", f"(UID FLAGS RFC822.SIZE {KEY})")
        if kind != "OK":
            msg = f"FETCH in {folder.name} was answered {kind}"
            raise refused(msg)
        found += [_entry(session, text, header) for text, header in _paired(rows)]
    return found


def _paired(rows: Iterable[Any]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the attributes of each message, and its header; attributes may come before and after the literal."""
    text, header = b"", b""
    for row in rows:
        if isinstance(row, tuple):
            text, header = row[0], row[1]
        elif isinstance(row, bytes) and text:
            yield text + b" " + row, header
            text, header = b"", b""


def _entry(session: Session, text: bytes, header: bytes) -> Entry:
    flags, size, uid = (
        re.search(pattern, text) for pattern in (rb"FLAGS \(([^)]*)\)", rb"RFC822\.SIZE (\d+)", rb"UID (\d+)")
    )
    if not (flags and size and uid):
        msg = f"FETCH was answered {text[:200]!r}"
        raise refused(msg)
    _, _, value = header.decode("utf-8", "replace").partition(":")
    key = message_key(value)
    if key is None:
        parts = session.uid("FETCH", uid[1].decode(), "(BODY.PEEK[])")[1]
        (raw,) = (part[1] for part in parts if isinstance(part, tuple))
        key = content_key(raw)
    return Entry(key, lasting(flags[1].decode("utf-8", "replace").split()), int(size[1]))
