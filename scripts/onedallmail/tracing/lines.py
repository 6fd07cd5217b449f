"""One line of a mail log as a value: who wrote it, when, and the facts in it.

Format: RFC 3339 time, host, program[pid]: text, as rsyslog's and journalctl's precise output write it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_LINE = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\S+) \S+ (?P<program>[^\s\[:]+)(?:\[(?P<pid>\d+)\])?: ?(?P<text>.*)")
_QUEUE_ID = re.compile(r"(?P<id>[0-9A-F]{6,}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,}): (?P<rest>.*)", re.DOTALL)
_FIELD = re.compile(r"(?:^|, )([a-z_]+)=(<[^>]*>|[^,]*)")


@dataclass(frozen=True, order=True)
class LogLine:
    """A line; `server` is the machine whose log it is, `time` is in UTC."""

    time: datetime
    server: str
    program: str
    pid: int
    text: str

    @property
    def process(self) -> tuple[str, str, int]:
        """What tells one process from another over all servers."""
        return (self.server, self.program, self.pid)

    @property
    def queue_id(self) -> str | None:
        """Postfix' queue id that the text begins with, if there is one."""
        found = _QUEUE_ID.match(self.text) if self.program.startswith("postfix/") else None
        return found["id"] if found else None

    @property
    def rest(self) -> str:
        """The text after the queue id."""
        found = _QUEUE_ID.match(self.text)
        return found["rest"] if found else self.text

    @property
    def fields(self) -> dict[str, str]:
        """Postfix' `name=value` pairs, without the angle brackets of addresses."""
        return {name: value.strip("<>") for name, value in _FIELD.findall(self.rest)}


def parse_line(server: str, raw: str) -> LogLine | None:
    """Return the line as a value, or None when it has another form (a continuation, an empty line)."""
    found = _LINE.fullmatch(raw.rstrip("\n"))
    if not found:
        return None
    try:
        time = datetime.fromisoformat(found["time"])
    except ValueError:
        return None
    if time.tzinfo is None:
        return None
    return LogLine(time.astimezone(UTC), server, found["program"], int(found["pid"] or 0), found["text"])
