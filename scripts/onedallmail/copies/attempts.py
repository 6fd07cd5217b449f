"""What was re-injected, for whom and when, kept across restarts: one small file for each copy that needed it."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from onedallmail.copies.record import NAME

log = logging.getLogger("copies.attempts")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One re-injection for one recipient."""

    at_s: float
    """Seconds since 1970."""
    epoch: int
    """Of the recipient's group; 0 for a recipient that is no mailbox of ours."""
    queue_id: str
    """Of Postfix here; empty when it refused."""


class Attempts:
    """The attempts of all copies. Losing the newest by a crash costs a repeat."""

    def __init__(self, directory: Path) -> None:
        """Read what an earlier run left; raises OSError."""
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._known: dict[str, dict[str, tuple[Attempt, ...]]] = {}
        for path in directory.iterdir():
            try:
                self._known[path.name] = _parsed(json.loads(path.read_text()))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("%s says nothing: %s", path, error)
            if not NAME.fullmatch(path.name):
                self._known.pop(path.name, None)

    def of(self, name: str, address: str) -> tuple[Attempt, ...]:
        """Return the attempts for a recipient of a copy, the first one first."""
        return self._known.get(name, {}).get(address, ())

    def add(self, name: str, address: str, attempt: Attempt) -> None:
        """Keep an attempt; raises OSError."""
        found = self._known.setdefault(name, {})
        found[address] = (*found.get(address, ()), attempt)
        draft = self._directory / f"{name}.tmp"
        draft.write_text(json.dumps({a: [asdict(one) for one in several] for a, several in found.items()}))
        draft.rename(self._directory / name)

    def forget(self, name: str) -> None:
        """Drop what belongs to a copy that has gone."""
        if self._known.pop(name, None) is not None:
            (self._directory / name).unlink(missing_ok=True)


def _parsed(raw: Mapping[str, list[dict[str, object]]]) -> dict[str, tuple[Attempt, ...]]:
    return {
        address: tuple(Attempt(float(str(a["at_s"])), int(str(a["epoch"])), str(a["queue_id"])) for a in several)
        for address, several in raw.items()
    }
