"""Who moves where: the users file (CSV: source user, target address) and the passwords of the source."""

import csv
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onedallmail.directory.address import own_address
from onedallmail.directory.errors import DirectoryError

from .errors import MigrationError

STDIN = "-"
PRIVATE = 0o077
"""Permission bits that a file of passwords must not have."""


@dataclass(frozen=True)
class Mover:
    """A mailbox that moves: its name at the source, and its address here."""

    source: str
    target: str


def parse_users(text: str, domains: Iterable[str], name: str = "users file") -> tuple[Mover, ...]:
    """Return the pairs of a users file; empty lines and lines that begin with # are skipped.

    Raises MigrationError that lists every wrong line with its number.
    """
    known, problems = tuple(domains), list[str]()
    movers = dict[str, Mover]()
    sources = dict[str, int]()
    lines = csv.reader(text.lstrip("\ufeff").splitlines())
    for row in lines:
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        try:
            mover = _mover(cells, known)
            if mover.target in movers:
                _refuse(f"{mover.target} is the target of {movers[mover.target].source} too")
            if mover.source in sources:
                _refuse(f"{mover.source} moves already by line {sources[mover.source]}")
        except (MigrationError, DirectoryError) as error:
            problems.append(f"{name}, line {lines.line_num}: {error}")
            continue
        movers[mover.target] = mover
        sources[mover.source] = lines.line_num
    if not movers and not problems:
        problems.append(f"{name} names nobody: each line is SOURCE-USER,TARGET-ADDRESS")
    if problems:
        raise MigrationError("\n".join(problems))
    return tuple(movers.values())


def _mover(cells: list[str], domains: tuple[str, ...]) -> Mover:
    if len(cells) != 2 or not all(cells):  # noqa: PLR2004 - source and target
        _refuse(f"{len(cells)} columns, expected are two: SOURCE-USER,TARGET-ADDRESS")
    source, target = cells
    if not source.isprintable() or ":" in source:
        _refuse(f"{source!r} can't be a user's name: no colon and no control characters")
    return Mover(source, str(own_address(target, domains)))


def _refuse(text: str) -> None:
    raise MigrationError(text)


def parse_passwords(text: str, name: str = "passwords") -> dict[str, str]:
    """Return password by user of lines `USER:PASSWORD`; messages name lines, never what they hold."""
    found, problems = dict[str, str](), list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, password = line.partition(":")
        user = user.strip()
        if not colon or not user or not password:
            problems.append(f"{name}, line {number}: expected is USER:PASSWORD")
        elif user in found:
            problems.append(f"{name}, line {number}: {user} has a password already")
        else:
            found[user] = password
    if problems:
        raise MigrationError("\n".join(problems))
    return found


def read_passwords(path: str) -> dict[str, str]:
    """Return the passwords of a file that only its owner may read, or of standard input (`-`)."""
    if path == STDIN:
        return parse_passwords(sys.stdin.read(), "standard input")
    file = Path(path)
    try:
        if stat.S_IMODE(file.stat().st_mode) & PRIVATE:
            _refuse(f"others may read {path}: chmod 600 {path}, and think of its passwords as known")
        return parse_passwords(file.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeError) as error:
        msg = f"the passwords can't be read: {error}"
        raise MigrationError(msg) from error


def read_users(path: Path, domains: Iterable[str]) -> tuple[Mover, ...]:
    """Return the pairs of a users file; raises MigrationError."""
    try:
        return parse_users(path.read_text(encoding="utf-8"), domains, str(path))
    except (OSError, UnicodeError) as error:
        msg = f"the users file can't be read: {error}"
        raise MigrationError(msg) from error


def without_password(movers: Iterable[Mover], passwords: Mapping[str, str], master: str | None) -> list[str]:
    """Return who could not log in at the source: users without a password, or the master user."""
    needed = [master] if master else [mover.source for mover in movers]
    return [user for user in needed if user not in passwords]
