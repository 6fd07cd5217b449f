"""The commands of a migration: which mailboxes, several at the same time, with notes on disk after each step."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from onedallmail.directory import elsewhere
from onedallmail.directory import remote as directory
from onedallmail.directory.errors import DirectoryError
from onedallmail.inventory import inventory
from onedallmail.ssh import ssh_command
from onedallmail.stackfile import load_platform

from . import stages
from .errors import MigrationError
from .remote import Place
from .source import Source
from .stages import Tools
from .state import NEXT, Book, Migration, Progress, Stage, planned
from .users import read_passwords, read_users, without_password

LAB_NODE = "client"
"""A lab's connections start at this node: the machine that runs the lab has no way to its internet."""
Told = Callable[[str], None]


@dataclass(frozen=True)
class Pace:
    """How many mailboxes at the same time, and who is told of each."""

    parallel: int
    told: Told


Work = Callable[[Progress], dict[str, Any]]


def plan(
    stack: str, name: str, source: Source, users: Path, passwords: str, *, create: bool, pace: Pace
) -> dict[str, Any]:
    """Look at both sides of every mailbox and begin the migration's notes."""
    book, platform = Book(stack, name), load_platform(stack)
    with book.held():
        movers = read_users(users, platform.domains)
        if platform.config.target == "lab":
            source = replace(source, lab_node=LAB_NODE)
        source.tls()
        begun = planned(asdict(source), movers, book.read() if book.exists() else None)
        tools = _tools(stack, book, begun, read_passwords(passwords))
        created = _created(stack, begun) if create else {}
        quotas = {row["address"]: int(row["quota_bytes"]) for row in directory.mailboxes(stack)}
        book.write(begun)

        def look(mover: Progress) -> dict[str, Any]:
            return stages.look(tools, mover, quotas.get(mover.target))

        found = _each(book, list(begun.movers.values()), look, pace, "looked at")
        return {**found, "created": created, "kept": str(book.save("plan.json", found))}


def copy(stack: str, name: str, passwords: str, only: list[str] | None, pace: Pace) -> dict[str, Any]:
    """Copy what is new at the source; finished mailboxes are left alone."""
    book = Book(stack, name)
    with book.held():
        migration = book.read()
        tools = _tools(stack, book, migration, read_passwords(passwords))
        movers = [m for m in _chosen(migration, only) if m.stage is not Stage.FINISHED]
        return _each(book, movers, lambda m: {"target": m.target, **stages.copy(tools, m)}, pace, "copied")


def finish(stack: str, name: str, passwords: str, only: list[str] | None, pace: Pace) -> dict[str, Any]:
    """Copy for the last time, and report.

    Addresses that lived on the other system of a shared domain come home before: what arrives meanwhile arrives here,
    and what arrived there until then is copied.
    """
    book = Book(stack, name)
    with book.held():
        migration = book.read()
        tools = _tools(stack, book, migration, read_passwords(passwords))
        movers = _chosen(migration, only)
        ready = [mover.target for mover in movers if Stage.FINISHING in NEXT[mover.stage]]
        home, _ = elsewhere.come_home(stack, ready, only_ours=True)
        for target in home:
            pace.told(f"{target}: mail comes here from now on; copied after {elsewhere.WAY_KNOWN_S} s")
        if home:
            time.sleep(elsewhere.WAY_KNOWN_S)

        def last(mover: Progress) -> dict[str, Any]:
            stages.copy(tools, mover, last=True)
            return _reported(tools, mover)

        return _kept(book, {"came_home": home, **_each(book, movers, last, pace, "finished")})


def report(stack: str, name: str, passwords: str, only: list[str] | None, pace: Pace) -> dict[str, Any]:
    """Compare both sides of every mailbox, and keep the report."""
    book = Book(stack, name)
    with book.held():
        migration = book.read()
        tools = _tools(stack, book, migration, read_passwords(passwords))
        movers = _chosen(migration, only)
        return _kept(book, _each(book, movers, lambda m: _reported(tools, m), pace, "compared"))


def status(stack: str, name: str) -> dict[str, Any]:
    """Return how far each mailbox is."""
    migration = Book(stack, name).read()
    return {"source": migration.source, "mailboxes": [asdict(mover) for mover in migration.movers.values()]}


def _reported(tools: Tools, mover: Progress) -> dict[str, Any]:
    found = stages.report(tools, mover)
    tools.book.found(mover.target, equal=found["equal"])
    return found


def _kept(book: Book, found: dict[str, Any]) -> dict[str, Any]:
    at = datetime.now(UTC)
    document = {"at": at.isoformat(timespec="seconds"), **found}
    return {**document, "kept": str(book.save(f"report-{at:%Y%m%dT%H%M%S}.json", document))}


def _each(book: Book, movers: list[Progress], work: Work, pace: Pace, done: str) -> dict[str, Any]:
    """Do the work for each mailbox; what fails is noted, and the others go on."""
    failed = dict[str, str]()

    def one(mover: Progress) -> dict[str, Any] | None:
        try:
            found = work(mover)
        except (MigrationError, DirectoryError) as error:
            failed[mover.target] = str(error)
            book.note(mover.target, str(error))
            pace.told(f"{mover.target}: failed: {error}")
            return None
        book.note(mover.target, "")
        pace.told(f"{mover.target}: {done}")
        return found

    with ThreadPoolExecutor(max_workers=pace.parallel) as pool:
        rows = [row for row in pool.map(one, movers) if row is not None]
    return {"mailboxes": rows, "failed": failed}


def _chosen(migration: Migration, only: Iterable[str] | None) -> list[Progress]:
    wanted = [address.lower() for address in only or ()]
    unknown = [address for address in wanted if address not in migration.movers]
    if unknown:
        msg = f"{', '.join(unknown)}: no target of this migration; `onedallmail migrate imap status` lists them"
        raise MigrationError(msg)
    return [mover for target, mover in migration.movers.items() if not wanted or target in wanted]


def _tools(stack: str, book: Book, migration: Migration, passwords: dict[str, str]) -> Tools:
    source = Source(**migration.source)
    movers = stages.pairs(migration)
    missing = without_password(movers, passwords, source.master or None)
    if missing:
        msg = f"no password for {', '.join(missing[:10])}{' and others' if len(missing) > 10 else ''}"  # noqa: PLR2004
        raise MigrationError(msg)
    hosts = inventory(stack)["_meta"]["hostvars"]

    def where(target: str) -> Place:
        row = directory.mailbox(stack, target)
        if not row["home"]:
            msg = f"no mail server told where {target} lives: is the platform up?"
            raise MigrationError(msg)
        return Place(row["home"], ssh_command(hosts[row["home"]]), int(row["group"]))

    return Tools(source, passwords, where, book)


def _created(stack: str, migration: Migration) -> dict[str, str]:
    """Add the mailboxes that are missing; return their passwords."""
    present = {row["address"] for row in directory.mailboxes(stack)}
    return {
        target: directory.add(stack, target, None, moving=True) for target in migration.movers if target not in present
    }
