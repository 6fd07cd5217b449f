"""The steps of a message, in order of time, from lines of all servers' logs. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from .follow import message_ids, queue_ids
from .lines import LogLine

_TLS = re.compile(
    r"(?P<trust>\w+) TLS connection (?:established|reused) (?P<way>from|to) (?P<peer>\S+): "
    r"(?P<version>\S+) with cipher (?P<cipher>\S+).*?(?: key-exchange (?P<group>\S+))?(?: server-signature.*)?$"
)
_FILTER = re.compile(
    r"rspamd_task_write_log: id: <(?P<id>[^>]*)>.*?\(default: \w+ \((?P<action>[^)]+)\): \[(?P<score>[-\d.]+)/"
)
_STORED = re.compile(r"lmtp\((?P<user>[^)]+)\).*?msgid=<(?P<id>[^>]*)>: (?P<what>.*)")
_BOUNCED = re.compile(r"sender (?:non-)?deliver\w+ (?:status )?notification: (?P<id>\w+)")
_STATUS = re.compile(r"status=(?P<status>\w+) \((?P<reply>.*)\)$")
ACCEPTED_BY = {
    "postfix/smtpd": "accepted",
    "postfix/submissions/smtpd": "submitted",
    "postfix/submission/smtpd": "submitted",
    "postfix/handover/smtpd": "taken over",
}
SENT_BY = {
    "postfix/handover-out/smtp": "handed over",
    "postfix/elsewhere/smtp": "sent elsewhere",
    "postfix/lmtp": "delivered",
    "postfix/smtp": "sent",
}


@dataclass(frozen=True)
class Step:
    """One thing that happened to the message; `tls` is empty where no TLS was spoken."""

    time: datetime
    server: str
    step: str
    detail: str
    queue_id: str
    tls: str

    def as_dict(self) -> dict[str, Any]:
        """Return the step for JSON; time in ISO 8601, UTC."""
        return asdict(self) | {"time": self.time.isoformat(timespec="milliseconds")}


def timeline(lines: Iterable[LogLine], message_id: str) -> tuple[Step, ...]:
    """Return the steps of a message and of the bounces that it caused, oldest first."""
    kept = sorted(set(lines))
    ids, names = queue_ids(kept, message_id), message_ids(kept, message_id)
    sessions: dict[tuple[str, str, int], str] = {}
    steps: list[Step] = []
    for line in kept:
        spoken = _TLS.search(line.text)
        if spoken:
            group = spoken["group"] or ""
            sessions[line.process] = " ".join(filter(None, (spoken["version"], group, f"({spoken['trust'].lower()})")))
        elif line.queue_id:
            if (line.server, line.queue_id) in ids:
                steps.extend(_postfix_steps(line, sessions))
        else:
            steps.extend(_other_steps(line, names))
        if line.text.startswith("disconnect from"):
            sessions.pop(line.process, None)
    return tuple(steps)


def _postfix_steps(line: LogLine, sessions: dict[tuple[str, str, int], str]) -> Iterator[Step]:
    def step(name: str, detail: str, tls: str = "") -> Step:
        return Step(line.time, line.server, name, detail, line.queue_id or "", tls)

    fields, tls = line.fields, sessions.get(line.process, "")
    status, caused = _STATUS.search(line.rest), _BOUNCED.search(line.rest)
    if line.program in ACCEPTED_BY and "client" in fields:
        user = fields.get("sasl_username")
        yield step(ACCEPTED_BY[line.program], f"from {fields['client']}" + (f" as {user}" if user else ""), tls)
    elif "milter-reject" in line.rest or ": reject: " in f": {line.rest}":
        yield step("refused", line.rest.partition(": ")[2].split("; from=")[0])
    elif status:
        name = SENT_BY.get(line.program, "sent") if status["status"] == "sent" else status["status"]
        relay = fields.get("relay", "none")
        way = f" by {relay}" if relay != "none" else ""
        yield step(name, f"{fields.get('to', '?')}{way}: {status['reply']}", tls if relay != "none" else "")
    elif caused:
        yield step("bounce written", caused["id"])
    elif line.program.endswith("/qmgr") and "nrcpt" in fields:
        yield step("queued", f"from <{fields.get('from', '')}>, {fields.get('size')} bytes")
    elif line.program.endswith("/qmgr") and line.rest == "removed":
        yield step("done", "left the queue")


def _other_steps(line: LogLine, names: Iterable[str]) -> Iterator[Step]:
    checked, stored = _FILTER.search(line.text), _STORED.search(line.text)
    if checked and checked["id"] in names:
        yield Step(line.time, line.server, "filtered", f"{checked['action']}, score {checked['score']}", "", "")
    elif stored and stored["id"] in names:
        yield Step(line.time, line.server, "stored", f"{stored['user']}: {stored['what']}", "", "")
