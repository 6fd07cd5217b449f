"""Which words to look for next: from a Message-ID to its queue ids, processes, and the bounces it caused."""

import re
from collections.abc import Callable, Iterable, Set

from .lines import LogLine

_MESSAGE_ID = re.compile(r"message-id=<(?P<id>[^>]*)>")
_BOUNCE = re.compile(r"sender (?:non-)?deliver\w+ (?:status )?notification: (?P<id>\w+)")
LONGEST_ID = 998
"""Characters of a line (RFC 5322, section 2.1.1); no Message-ID is longer."""

Search = Callable[[frozenset[str]], Iterable[LogLine]]
"""Return the lines of all servers that hold one of the words."""


class MessageIdError(ValueError):
    """What was given can't be a Message-ID."""


def clean_message_id(given: str) -> str:
    """Return the Message-ID without angle brackets.

    Raises:
        MessageIdError: it is empty, too long, or holds blanks or control characters.
    """
    found = given.strip().removeprefix("<").removesuffix(">")
    if not found or len(found) > LONGEST_ID or not found.isprintable() or " " in found:
        msg = f"{given!r} is no Message-ID: give the header's value, for example 1234@mail.example, in quotes"
        raise MessageIdError(msg)
    return found


def queue_ids(lines: Iterable[LogLine], message_id: str) -> Set[tuple[str, str]]:
    """Return (server, queue id) of the message and of the bounces that it caused, on every server."""
    kept = sorted(lines)
    wanted, found = {message_id}, set[tuple[str, str]]()
    size = -1
    while size != len(wanted) + len(found):
        size = len(wanted) + len(found)
        for line in kept:
            if not line.queue_id:
                continue
            key, named = (line.server, line.queue_id), _MESSAGE_ID.search(line.rest)
            if named and (named["id"] in wanted or key in found):
                wanted.add(named["id"])
                found.add(key)
            caused = _BOUNCE.search(line.rest)
            if caused and key in found:
                found.add((line.server, caused["id"]))
    return found


def message_ids(lines: Iterable[LogLine], message_id: str) -> Set[str]:
    """Return the Message-ID and those of the bounces that it caused."""
    kept = list(lines)
    ids = queue_ids(kept, message_id)
    named = ((line, _MESSAGE_ID.search(line.rest)) for line in kept if line.queue_id)
    return {message_id} | {n["id"] for line, n in named if n and (line.server, line.queue_id) in ids}


def next_words(lines: Iterable[LogLine], message_id: str) -> frozenset[str]:
    """Return the words by which the logs tell more: Message-IDs, queue ids, and the processes that spoke TLS."""
    kept = list(lines)
    ids = queue_ids(kept, message_id)
    own = [line for line in kept if (line.server, line.queue_id) in ids]
    processes = {f"{line.program}[{line.pid}]" for line in own if line.program.endswith(("/smtpd", "/smtp"))}
    return frozenset(message_ids(kept, message_id)) | {queue_id for _, queue_id in ids} | processes


def collect(message_id: str, search: Search) -> frozenset[LogLine]:
    """Return every line that belongs to the message's way, asking again until no answer brings a new word."""
    lines = frozenset[LogLine]()
    asked = frozenset[str]()
    while words := next_words(lines, message_id) - asked:
        lines |= frozenset(search(words))
        asked |= words
    return lines
