"""This server's Postfix: what its queue has, and a message that goes in again for one recipient."""

import json
import re
import smtplib
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onedallmail.copies.seal import Envelope, Recipient

POSTQUEUE = "/usr/sbin/postqueue"
TIMEOUT_S = 60
QUEUED = re.compile(rb"queued as ([A-Za-z0-9]+)")
OK = 250
PERMANENT = 500
EXTENSIONS = {"BODY": "8bitmime", "SMTPUTF8": "smtputf8", "RET": "dsn", "ENVID": "dsn", "NOTIFY": "dsn", "ORCPT": "dsn"}
"""The extension that a parameter of MAIL or RCPT belongs to."""
NEVER = "NOTIFY=NEVER"


class QueueAwayError(Exception):
    """Postfix does not answer at present."""


class RefusedError(Exception):
    """Postfix does not take the message, for good."""


@dataclass(frozen=True, slots=True)
class Queue:
    """What Postfix still works on: recipients in lower case, after alias expansion, by queue id."""

    files: Mapping[str, frozenset[str]]

    def has(self, queue_ids: Iterable[str], address: str | None = None) -> bool:
        """Return whether one of the files is there, and has the address if one is given."""
        return any(
            queue_id in self.files and (address is None or address.lower() in self.files[queue_id])
            for queue_id in queue_ids
        )


def read_queue() -> Queue:
    """Return the queue; raises QueueAwayError."""
    try:
        done = subprocess.run([POSTQUEUE, "-j"], capture_output=True, timeout=TIMEOUT_S, check=True)
        return parse_queue(done.stdout)
    except subprocess.CalledProcessError as error:
        msg = f"postqueue: {error.stderr.decode(errors='replace').strip()[:500]}"
        raise QueueAwayError(msg) from error
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
        msg = f"postqueue: {type(error).__name__}: {error}"
        raise QueueAwayError(msg) from error


def parse_queue(output: bytes) -> Queue:
    """Return the queue that `postqueue -j` lists; raises ValueError, KeyError or TypeError."""
    files: dict[str, frozenset[str]] = {}
    for line in output.splitlines():
        found = json.loads(line)
        recipients = frozenset(recipient["address"].lower() for recipient in found["recipients"])
        files[found["queue_id"]] = files.get(found["queue_id"], frozenset()) | recipients
    return Queue(files)


def reinject(port: int, name: str, envelope: Envelope, recipient: Recipient, message: bytes, *, quiet: bool) -> str:
    """Give a message to Postfix for one recipient; return its queue id. `quiet` asks for no bounce.

    Raises RefusedError or QueueAwayError.
    """
    try:
        with smtplib.SMTP("127.0.0.1", port, local_hostname=name, timeout=TIMEOUT_S) as smtp:
            smtp.ehlo_or_helo_if_needed()
            parameters = [NEVER] if quiet else list(recipient.parameters)
            _say(smtp, b"MAIL FROM:", envelope.sender, envelope.parameters)
            _say(smtp, b"RCPT TO:", recipient.address, parameters)
            code, text = smtp.data(message)
            _check("DATA", code, text)
    except smtplib.SMTPResponseException as error:
        where = f"port {port}"
        raise _failure(where, error.smtp_code, error.smtp_error) from error
    except (OSError, smtplib.SMTPException) as error:
        msg = f"port {port}: {error}"
        raise QueueAwayError(msg) from error
    queued = QUEUED.search(text)
    return queued.group(1).decode() if queued else ""


def _say(smtp: smtplib.SMTP, command: bytes, address: str, parameters: Iterable[str]) -> None:
    allowed = [p for p in parameters if smtp.has_extn(EXTENSIONS.get(p.partition("=")[0].upper(), "-"))]
    if (
        not address.isascii()
        and smtp.has_extn("smtputf8")
        and command.startswith(b"MAIL")
        and "SMTPUTF8" not in allowed
    ):
        allowed.append("SMTPUTF8")
    line = command + b"<" + address.encode("utf-8", "surrogateescape") + b">"
    smtp.send(b" ".join((line, *(parameter.encode() for parameter in allowed))) + b"\r\n")
    code, text = smtp.getreply()
    _check(f"{command.decode()}<{address}>", code, text)


def _check(what: str, code: int, text: bytes) -> None:
    if code != OK:
        raise _failure(what, code, text)


def _failure(what: str, code: int, text: bytes | str) -> Exception:
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    msg = f"{what}: {code} {said}"
    return RefusedError(msg) if code >= PERMANENT else QueueAwayError(msg)
