"""Dovecot's events, by which a changed mailbox is known within milliseconds: JSON lines over a Unix socket.

The exporter (`driver = unix`) never waits for us long, and throws events away when it can't write: reading is all that
this does, and whoever starts anew has to take every mailbox for changed.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from socket import socket
from typing import Any, Protocol

BEGUN = "mail_delivery_started"
DELIVERED = "mail_delivery_finished"
IMAP = "imap_command_finished"
MANAGESIEVE = "managesieve_command_finished"
SIEVE = frozenset(
    {
        "sieve_script_activated",
        "sieve_script_deleted",
        "sieve_script_renamed",
        "sieve_storage_save_finished",
        "sieve_storage_deactivated",
    }
)
CHANGING_IMAP = frozenset(
    ("APPEND", "CLOSE", "COPY", "CREATE", "DELETE", "EXPUNGE", "MOVE", "RENAME", "REPLACE", "SETMETADATA", "STORE")
)
CHANGING_SUBSCRIPTIONS = frozenset({"SUBSCRIBE", "UNSUBSCRIBE"})
CHANGING_MANAGESIEVE = frozenset({"PUTSCRIPT", "SETACTIVE", "DELETESCRIPT", "RENAMESCRIPT"})
SEEING = ("BODY[", "BINARY[", "RFC822.TEXT", "RFC822)", "RFC822 ")
"""Parts of a FETCH that set \\Seen (RFC 3501, 6.4.5); the peeking ones do not."""
MAX_LINE_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 1 << 16

log = logging.getLogger("mailboxes.events")


class Deliveries(Protocol):
    """Who wants to know of deliveries under way."""

    def begun(self, user: str) -> None:
        """Take note that one began."""

    def ended(self, user: str) -> None:
        """Take note that one ended."""


def event_of(line: bytes) -> tuple[str, str] | None:
    """Return name and user of an event that changed a mailbox, or begins to; None for others. Raises ValueError."""
    event = json.loads(line)
    if not isinstance(event, dict) or not isinstance(event.get("fields", {}), dict):
        msg = "an event is an object with an object of fields"
        raise ValueError(msg)  # noqa: TRY004 - the caller takes every wrong line alike
    fields: dict[str, Any] = event.get("fields", {})
    user = fields.get("user")
    if not isinstance(user, str) or not user or not _changes(str(event.get("event", "")), fields):
        return None
    return str(event["event"]), user.lower()


def _changes(name: str, fields: dict[str, Any]) -> bool:
    if name in {BEGUN, DELIVERED} or name in SIEVE:
        return True
    command = str(fields.get("cmd_name", "")).upper()
    if name == MANAGESIEVE:
        return command in CHANGING_MANAGESIEVE
    if name != IMAP:
        return False
    command = command.removeprefix("UID ")
    if command == "FETCH":
        arguments = str(fields.get("cmd_args", "")).upper() + " "
        return any(part in arguments for part in SEEING)
    return command in CHANGING_IMAP or command in CHANGING_SUBSCRIPTIONS


class Listener:
    """Reads events from every connection and tells whose mailbox changed."""

    def __init__(self, changed: Callable[[str], None], lost: Callable[[], None], deliveries: Deliveries) -> None:
        """`changed` is told of each user; `lost` when an event could not be read whole."""
        self._changed = changed
        self._lost = lost
        self._deliveries = deliveries
        self._server: asyncio.Server | None = None
        self.events = 0
        self.broken = 0

    async def start(self, listening: socket) -> None:
        """Accept connections of a socket."""
        self._server = await asyncio.start_unix_server(self._read, sock=listening)

    async def close(self) -> None:
        """Stop accepting."""
        if self._server is not None:
            self._server.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rest = b""
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
                if len(rest) > MAX_LINE_BYTES:
                    self._refuse(rest, "longer than any event")
                    rest = b""
                    break
                await asyncio.sleep(0)
        except OSError as error:
            log.info("events: %s", error)
        finally:
            if rest:
                self._refuse(rest, "it has no end")
            writer.close()

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        self.events += 1
        try:
            found = event_of(line)
        except ValueError as error:
            self._refuse(line, str(error))
            return
        if found is None:
            return
        name, user = found
        if name == BEGUN:
            self._deliveries.begun(user)
            return
        if name == DELIVERED:
            self._deliveries.ended(user)
        self._changed(user)

    def _refuse(self, line: bytes, reason: str) -> None:
        self.broken += 1
        log.warning("an event of %d bytes can't be read (%s): every mailbox is taken for changed", len(line), reason)
        self._lost()
