"""What may pass to the source: a filter of IMAP commands that lets only reading ones through (RFC 3501, RFC 9051).

The source's password stays on the operator's machine: the gate answers Dovecot's log-in itself, by a token of one use.
"""

import hmac
import re
from enum import Enum

READING = frozenset(
    (
        "CAPABILITY",
        "NOOP",
        "ID",
        "ENABLE",
        "NAMESPACE",
        "LIST",
        "LSUB",
        "STATUS",
        "EXAMINE",
        "CLOSE",
        "UNSELECT",
        "CHECK",
        "SEARCH",
        "FETCH",
        "IDLE",
        "GETACL",
        "MYRIGHTS",
        "GETMETADATA",
        "GETQUOTA",
        "GETQUOTAROOT",
        "LOGOUT",
    )
)
"""Without effect on a folder that was opened by EXAMINE: even FETCH then sets no \\Seen."""
UID_READING = frozenset({"FETCH", "SEARCH"})
CONTINUED = re.compile(rb"\{(\d+)\+?\}\r\n\Z")
LONGEST_LINE_BYTES = 1 << 16


class RefusedError(Exception):
    """A command that could change the source; the connection ends."""


class _State(Enum):
    LOGIN = 1
    COMMANDS = 2


class Gate:
    """One connection. `feed` takes what the client says and returns what goes to the source, and what to the client."""

    def __init__(self, token: str, capabilities: str) -> None:
        """`capabilities` are those that the source has after its log-in."""
        self._token, self._capabilities = token, capabilities
        self._state = _State.LOGIN
        self._held = b""
        self._literal = 0
        self._inside = False

    @property
    def greeting(self) -> bytes:
        """The first line for the client."""
        return b"* OK [CAPABILITY IMAP4rev1] gate of a migration\r\n"

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return (for the source, for the client); raises RefusedError."""
        self._held += data
        source, client = bytearray(), bytearray()
        while self._held:
            if self._literal:
                part, self._held = self._held[: self._literal], self._held[self._literal :]
                self._literal -= len(part)
                source += part
                continue
            end = self._held.find(b"\n") + 1
            if not end:
                if len(self._held) > LONGEST_LINE_BYTES:
                    msg = "a line without end"
                    raise RefusedError(msg)
                break
            line, self._held = self._held[:end], self._held[end:]
            if self._state is _State.LOGIN:
                client += self._answered(line)
                continue
            source += line if self._inside else self._judged(line)
            continued = CONTINUED.search(line)
            self._inside = continued is not None
            self._literal = int(continued[1]) if continued else 0
        return bytes(source), bytes(client)

    def _judged(self, line: bytes) -> bytes:
        words = line.decode("ascii", "replace").split()
        if [word.upper() for word in words] == ["DONE"]:
            return line
        command = words[1].upper() if len(words) > 1 else ""
        if command == "SELECT":
            tag, _, rest = line.split(maxsplit=2) if len(words) > 2 else (b"", b"", b"")  # noqa: PLR2004 - tag, name
            return tag + b" EXAMINE " + rest
        allowed = command in READING
        if command == "UID":
            allowed = len(words) > 2 and words[2].upper() in UID_READING  # noqa: PLR2004 - tag, UID, command
        if not allowed:
            msg = f"{' '.join(words[1:3]) or 'a line that is no command'}: only reading is allowed at the source"
            raise RefusedError(msg)
        return line

    def _answered(self, line: bytes) -> bytes:
        words = line.decode("ascii", "replace").split()
        tag, command = words[0] if words else "*", words[1].upper() if len(words) > 1 else ""
        if command == "CAPABILITY":
            return f"* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n".encode()
        if command in {"NOOP", "ID"}:
            return f"{tag} OK done\r\n".encode()
        given = words[3].strip('"') if command == "LOGIN" and len(words) == 4 else ""  # noqa: PLR2004 - user, password
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            msg = f"{command or 'a line'} before the log-in with this migration's token"
            raise RefusedError(msg)
        self._state = _State.COMMANDS
        return f"{tag} OK [CAPABILITY {self._capabilities}] logged in\r\n".encode()
