"""The messages that the tests send: each kind that real mail consists of, and a corpus of real bounces.

A message is bytes from the start, so that what arrives can be compared with what was sent.
"""

import email.policy
import email.utils
import hashlib
import os
import random
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.message import EmailMessage
from importlib import resources

from tests.lab import BOB, DOMAIN

LARGE_BYTES = 25_000_000
LIST = "list@partner.example"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}" + "$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
SEED = int(os.environ.get("ONEDALLMAIL_TEST_SEED", "20260101"))
CORPUS_SAMPLE = 16


@dataclass(frozen=True)
class Sample:
    """A message ready to send; `utf8` says that it needs SMTPUTF8 (RFC 6531)."""

    kind: str
    id: str
    raw: bytes
    utf8: bool = False
    envelope: str = BOB
    """The envelope's sender at the other organisation; bounces go there."""

    @property
    def body(self) -> bytes:
        """Everything after the header."""
        return body_of(self.raw)


def body_of(raw: bytes) -> bytes:
    """Return a message's body with line ends as in transport."""
    return crlf(raw).partition(b"\r\n\r\n")[2].rstrip(b"\r\n")


def crlf(raw: bytes) -> bytes:
    """Return bytes with CRLF line ends."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", raw)


def digest(raw: bytes) -> str:
    """Return the SHA-256 of a message."""
    return hashlib.sha256(raw).hexdigest()


def new_id(domain: str = "partner.example") -> str:
    """Return a Message-ID that nobody has used."""
    return f"<{uuid.uuid4().hex}@{domain}>"


def message(subject: str, text: str, *, sender: str = BOB, to: str = f"team@{DOMAIN}", kind: str = "plain") -> Sample:
    """Return a plain text message of a sender."""
    mail = _mail(subject, sender, to)
    mail.set_content(text)
    return _sample(kind, mail)


def _mail(subject: str, sender: str, to: str) -> EmailMessage:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Date"] = email.utils.localtime()
    mail["Message-ID"] = new_id(sender.rpartition("@")[2].rstrip(">"))
    return mail


def _sample(kind: str, mail: EmailMessage) -> Sample:
    policy = email.policy.SMTP.clone(cte_type="8bit")
    return Sample(kind, str(mail["Message-ID"]), mail.as_bytes(policy=policy))


def _html() -> Sample:
    mail = _mail("Figures of the quarter", BOB, f"team@{DOMAIN}")
    mail.set_content("The table is in the HTML part.\n")
    mail.add_alternative(
        "<html><body><table><tr><td>Q1</td><td>&euro; 7</td></tr></table></body></html>", subtype="html"
    )
    return _sample("html", mail)


def _attachments() -> Sample:
    mail = _mail("Three files", BOB, f"team@{DOMAIN}")
    mail.set_content("See the files.\n")
    chance = random.Random(SEED)  # noqa: S311 - contents of a test file
    mail.add_attachment(chance.randbytes(70_000), maintype="application", subtype="octet-stream", filename="noise.bin")
    mail.add_attachment("a;b\n1;2\n", subtype="csv", filename="Übersicht für März.csv")
    mail.add_attachment(
        message("Forwarded", "An older message.\n").raw,
        maintype="application",
        subtype="octet-stream",
        filename="old.txt",
    )
    return _sample("attachments", mail)


def _eight_bit() -> Sample:
    head = f"From: {BOB}\r\nTo: team@{DOMAIN}\r\nSubject: 8 bit\r\nDate: {email.utils.formatdate()}\r\n"
    identity = new_id()
    head += f"Message-ID: {identity}\r\nMIME-Version: 1.0\r\n"
    head += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    text = "Grüße aus Köln, приве́т, 你好 - so wie es ist.\r\n.\r\n..zwei Punkte am Anfang\r\n"
    return Sample("8bit", identity, (head + text).encode())


def _smtputf8() -> Sample:
    head = f"From: Jörg Müßig <{BOB}>\r\nTo: team@{DOMAIN}\r\nSubject: Übergröße 大きい\r\n"
    head += f"Date: {email.utils.formatdate()}\r\n"
    identity = new_id()
    head += f"Message-ID: {identity}\r\nMIME-Version: 1.0\r\n"
    head += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return Sample("smtputf8", identity, (head + "Die Kopfzeilen sind UTF-8.\r\n").encode(), utf8=True)


def _list() -> Sample:
    mail = _mail("[readers] Issue 12", BOB, "readers@partner.example")
    mail["Sender"] = LIST
    mail["Precedence"] = "list"
    mail["List-Id"] = "Readers <readers.partner.example>"
    mail["List-Post"] = "<mailto:readers@partner.example>"
    mail["List-Unsubscribe"] = f"<mailto:{LIST}?subject=unsubscribe>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content("The new issue is out.\n")
    return replace(_sample("list", mail), envelope=LIST)


def large() -> Sample:
    """Return a message with an attachment of 25 MB."""
    mail = _mail("The film", BOB, f"team@{DOMAIN}")
    mail.set_content("25 MB\n")
    content = random.Random(SEED).randbytes(LARGE_BYTES)  # noqa: S311 - contents of a test file
    mail.add_attachment(content, maintype="application", subtype="octet-stream", filename="film.bin")
    return _sample("large", mail)


def with_attachment(text: str, filename: str, *, sender: str = BOB) -> Sample:
    """Return a message that carries a small file."""
    mail = _mail("A file", sender, f"team@{DOMAIN}")
    mail.set_content("See the file.\n")
    mail.add_attachment(text.encode(), maintype="application", subtype="octet-stream", filename=filename)
    return _sample("attachment", mail)


KINDS: dict[str, Callable[[], Sample]] = {
    "plain": lambda: message("Plain text", "Hello,\n\nthis is a plain message.\n"),
    "html": _html,
    "attachments": _attachments,
    "8bit": _eight_bit,
    "smtputf8": _smtputf8,
    "list": _list,
}


def corpus() -> list[Sample]:
    """Return a sample of real bounces (test data of flufl.bounce, Apache-2.0), each the sole part of a new message.

    They come as forwarded messages, so that odd structures, charsets and line ends of real mail pass the filter.
    """
    folder = resources.files("flufl.bounce") / "tests" / "data"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".txt"))
    chosen = random.Random(SEED).sample(names, CORPUS_SAMPLE)  # noqa: S311 - a sample that can be repeated
    found = []
    for name in chosen:
        identity = new_id()
        head = f"From: {BOB}\r\nTo: team@{DOMAIN}\r\nSubject: Fwd: {name}\r\nDate: {email.utils.formatdate()}\r\n"
        head += f"Message-ID: {identity}\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n"
        head += "Content-Transfer-Encoding: 8bit\r\n\r\n"
        found.append(Sample(name, identity, head.encode() + crlf((folder / name).read_bytes())))
    return found
