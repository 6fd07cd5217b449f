"""The ingest id: equal for a message and its retry at any server, so that repeats are recognised.

No header of a message that comes in is believed: whoever knows an id could otherwise have a later message dropped as a
repeat. So a redirect gets a new id; what returns from a copy, or goes from server to server, passes no milter.
"""

import hashlib
import secrets
from collections.abc import Sequence

HEADER = "X-Ingest-Id"
ID_BYTES = 16
IDENTIFYING = (b"message-id", b"date", b"from", b"to", b"cc", b"subject")
"""Fields (RFC 5322) that no server on the way changes, unlike trace fields and results of checks."""

Headers = Sequence[tuple[bytes, bytes]]
"""Name and value in their order; a value may contain folded lines."""


def ingest_id(sender: bytes, headers: Headers, body: bytes) -> str:
    """Return the id of a message; random for one without Message-ID, which can't be told from another like it."""
    found = {name: [value for other, value in headers if other.lower() == name] for name in IDENTIFYING}
    if not any(value.strip() for value in found[b"message-id"]):
        return secrets.token_hex(ID_BYTES)
    digest = hashlib.sha256()
    parts = [sender, *(part for name, values in found.items() for value in values for part in (name, _unfolded(value)))]
    for part in (*parts, body):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()[: 2 * ID_BYTES]


def foreign_headers(headers: Headers) -> int:
    """Return how many fields of a message pretend to be ours."""
    return sum(name.lower() == HEADER.lower().encode() for name, _ in headers)


def marked(headers: Headers, body: bytes, copy_id: str) -> bytes:
    """Return the message with our header first and no foreign one, lines ended by CRLF, for the copy."""
    own = HEADER.encode()
    lines = [own + b": " + copy_id.encode()]
    lines += [name + b":" + _crlf(value) for name, value in headers if name.lower() != own.lower()]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _unfolded(value: bytes) -> bytes:
    return b" ".join(value.split())


def _crlf(value: bytes) -> bytes:
    return value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
