"""Mail logs of the servers, read over SSH: from each server itself, or from the collector's copies."""

import shlex
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from onedallmail.ssh import ssh_command

from .lines import LogLine, parse_line

OWN_LOG = "/var/log/mail.log"
COLLECTED_LOG = "/var/log/remote/{fqdn}/mail.log"
TIMEOUT_S = 60
NOTHING_FOUND = 1
"""Exit code of grep."""


class LogsUnreachableError(RuntimeError):
    """No log could be read; the message says of which server and why."""


@dataclass(frozen=True)
class Place:
    """Where the log of `server` is read: the ssh command of a machine, and the file there (rotated ones included)."""

    server: str
    ssh: tuple[str, ...]
    path: str


def places(inventory: Mapping[str, Any], collector: str | None = None) -> tuple[Place, ...]:
    """Return where the log of each mail server is: on itself, or on the named collector."""
    hosts = inventory["_meta"]["hostvars"]
    names = inventory["mail"]["hosts"]
    if collector is None:
        return tuple(Place(name, ssh_command(hosts[name]), OWN_LOG) for name in names)
    if collector not in hosts:
        msg = f"no server is named {collector}; servers: {', '.join(sorted(hosts))}"
        raise LogsUnreachableError(msg)
    ssh = ssh_command(hosts[collector])
    fqdns = {name: hosts[name]["onedallmail_server"]["fqdn"] for name in names}
    return tuple(Place(name, ssh, COLLECTED_LOG.format(fqdn=fqdn)) for name, fqdn in fqdns.items())


def command(path: str, words: Iterable[str]) -> str:
    """Return the shell line that prints the lines of a log and its rotated files that hold one of the words."""
    patterns = " ".join(f"-e {shlex.quote(word)}" for word in sorted(words))
    file = shlex.quote(path)
    readable = f"sudo -n test -r {file} || {{ echo {file} cannot be read >&2; exit 9; }}"
    return f"{readable}; sudo -n sh -c {shlex.quote(f'zcat -f {file} {file}[.-]* 2>/dev/null')} | grep -aF {patterns}"


class RemoteLogs:
    """Searches the logs of all places at once; places that can't be reached are remembered in `unreachable`."""

    def __init__(self, where: Iterable[Place]) -> None:
        self.places = tuple(where)
        self.unreachable: dict[str, str] = {}

    def search(self, words: frozenset[str]) -> list[LogLine]:
        """Return the lines that hold one of the words.

        Raises:
            LogsUnreachableError: no place answered.
        """
        open_places = [place for place in self.places if place.server not in self.unreachable]
        with ThreadPoolExecutor(max_workers=max(1, len(open_places))) as pool:
            answers = list(pool.map(lambda place: self._ask(place, words), open_places))
        if len(self.unreachable) == len(self.places):
            reasons = "; ".join(f"{name}: {why}" for name, why in self.unreachable.items())
            msg = f"no mail log could be read ({reasons}); is the platform up? `onedallmail lab status`"
            raise LogsUnreachableError(msg)
        return [line for lines in answers for line in lines]

    def _ask(self, place: Place, words: frozenset[str]) -> list[LogLine]:
        try:
            done = subprocess.run(
                [*place.ssh, command(place.path, words)], capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self.unreachable[place.server] = str(error)
            return []
        if done.returncode not in (0, NOTHING_FOUND):
            last = done.stderr.decode(errors="replace").strip().splitlines()
            self.unreachable[place.server] = last[-1] if last else f"ssh ended with {done.returncode}"
            return []
        parsed = (parse_line(place.server, raw) for raw in done.stdout.decode(errors="replace").splitlines())
        return [line for line in parsed if line]
