"""Whom a recipient's address means in the end: aliases expanded as Postfix does it, mailboxes with their group.

An address that lives on another mail system is no mailbox of ours, also while a mailbox is made ready for it here.
"""

import json
import os
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

DEPTH = 10
"""Of aliases of aliases; deeper ones are no mailboxes here, and Postfix expands them itself."""
TIMEOUT_S = 15
QUERY = """
WITH wanted AS (SELECT json_array_elements_text('{addresses}'::json) AS address)
SELECT json_build_array(a.address, a.destination, NULL) FROM postfix.alias AS a JOIN wanted USING (address)
UNION ALL
SELECT json_build_array(m.address, NULL, m.placement_group) FROM postfix.resident AS m JOIN wanted USING (address);
"""


class DirectoryAwayError(Exception):
    """The directory's replica on this server gave no answer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the directory has of an address."""

    destinations: tuple[str, ...] = ()
    group: int | None = None


@dataclass(frozen=True, slots=True)
class Final:
    """A recipient after alias expansion; user and group are those of a mailbox of ours."""

    address: str
    user: str = ""
    group: int | None = None


Lookup = Callable[[Collection[str]], Mapping[str, Entry]]
"""Addresses in lower case -> what is known of them; blocks, raises DirectoryAwayError."""


def expand(addresses: Iterable[str], lookup: Lookup) -> dict[str, frozenset[Final]]:
    """Return the final recipients of each address; raises DirectoryAwayError. An extension (+) goes with the alias."""
    wanted = set(addresses)
    known: dict[str, Entry] = {}
    reached, frontier = set(wanted), wanted
    for _ in range(DEPTH):
        asked = {key for address in frontier for key in _keys(address)} - known.keys()
        if not asked:
            break
        found = lookup(asked)
        known |= {key: found.get(key, Entry()) for key in asked}
        frontier = {target for address in frontier for target in _targets(address, known)} - reached
        reached |= frontier
    return {address: frozenset(_finals(address, known, ())) for address in wanted}


def _finals(address: str, known: Mapping[str, Entry], way: tuple[str, ...]) -> Iterable[Final]:
    targets = [target for target in _targets(address, known) if target.lower() != address.lower()]
    itself = not targets or len(targets) < len(_targets(address, known)) or address.lower() in way or len(way) >= DEPTH
    if itself:
        yield _final(address, known)
    if address.lower() not in way and len(way) < DEPTH:
        for target in targets:
            yield from _finals(target, known, (*way, address.lower()))


def _final(address: str, known: Mapping[str, Entry]) -> Final:
    for key in _keys(address):
        if (group := known.get(key, Entry()).group) is not None:
            return Final(address, key, group)
    return Final(address)


def _targets(address: str, known: Mapping[str, Entry]) -> list[str]:
    full, *base = _keys(address)
    if found := known.get(full, Entry()).destinations:
        return list(found)
    extension = address.rpartition("@")[0].partition("+")[2]
    return [_extended(target, extension) for key in base for target in known.get(key, Entry()).destinations]


def _extended(address: str, extension: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}+{extension}@{domain}"


def _keys(address: str) -> list[str]:
    """Return what is looked up for an address: itself, then without its extension."""
    lower = address.lower()
    local, _, domain = lower.rpartition("@")
    base, mark, _ = local.partition("+")
    return [lower, f"{base}@{domain}"] if mark and base and domain else [lower]


class Psql:
    """Asks the replica over its Unix socket, where the operating system vouches for this service's account."""

    def __init__(self, database: str, user: str) -> None:
        """Connect to nothing yet."""
        self._command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-U", user, "-f", "-"]

    def __call__(self, addresses: Collection[str]) -> dict[str, Entry]:
        """Return what is known of some addresses; raises DirectoryAwayError."""
        # ASCII only, quotes doubled: with standard_conforming_strings nothing else is special in a literal. No NUL.
        literal = json.dumps(sorted(a for a in addresses if "\0" not in a)).replace("'", "''")
        try:
            done = subprocess.run(
                self._command,
                input=QUERY.format(addresses=literal).encode(),
                capture_output=True,
                timeout=TIMEOUT_S,
                check=True,
                env={"PATH": "/usr/bin:/bin", "PGCONNECT_TIMEOUT": "5", "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8")},
            )
        except subprocess.CalledProcessError as error:
            msg = f"the directory can't be asked: {error.stderr.decode(errors='replace').strip()[:500]}"
            raise DirectoryAwayError(msg) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            msg = f"the directory can't be asked: {error}"
            raise DirectoryAwayError(msg) from error
        return entries(json.loads(line) for line in done.stdout.splitlines() if line)


def entries(rows: Iterable[tuple[str, str | None, int | None]]) -> dict[str, Entry]:
    """Return rows of address, destination, group by address."""
    found: dict[str, Entry] = {}
    for address, destination, group in rows:
        before = found.get(address, Entry())
        destinations = (*before.destinations, destination) if destination is not None else before.destinations
        found[address] = Entry(destinations, group if group is not None else before.group)
    return found
