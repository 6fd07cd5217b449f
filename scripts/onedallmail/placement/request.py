"""What an operator's command asks of a group's home, and what the home says when it does not do it: values in etcd."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from onedallmail.placement.clock import iso_now
from onedallmail.placement.store import MOVES, Snapshot


@dataclass(frozen=True, slots=True)
class Request:
    """A group is wanted at another server; `at` is when that was asked for."""

    to: str
    at: str


def as_request(to: str) -> str:
    """Return the value of a request that is made now."""
    return json.dumps({"to": to, "at": iso_now()}, separators=(",", ":"))


def as_result(to: str, reason: str) -> str:
    """Return the value that tells why a group was not moved."""
    return json.dumps({"to": to, "at": iso_now(), "reason": reason}, separators=(",", ":"))


def reason_of(result: bytes) -> str:
    """Return the reason in a result; what is no result is shown as it is."""
    try:
        return str(json.loads(result)["reason"])
    except (ValueError, KeyError, TypeError):
        return result.decode(errors="replace")[:200]


def requested(keys: Snapshot) -> Iterator[tuple[int, Request, str | None]]:
    """Yield each group that is wanted elsewhere, with what is wrong with its request, if anything is."""
    for key, value in sorted(keys.values.items()):
        number = key.removeprefix(MOVES)
        if not (number.isascii() and number.isdigit()):
            continue
        try:
            record = json.loads(value)
            yield int(number), Request(str(record["to"]), str(record["at"])), None
        except (ValueError, KeyError, TypeError):
            yield int(number), Request("", ""), f"{key} is no request: ask again"
