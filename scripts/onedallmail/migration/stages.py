"""The stages of a migration for one mailbox: looked at, copied, compared. Each may be repeated at any time."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import source as origin
from .errors import MigrationError
from .listing import Entry, compare, lasting
from .remote import Place, ask
from .source import Source
from .state import Book, Migration, Progress, Stage
from .users import Mover

CHANGED_MEANWHILE = 2
"""Exit code of doveadm sync: the mailbox changed while it ran; another run makes it whole."""
RUNS = 3
Where = Callable[[str], Place]


@dataclass(frozen=True)
class Tools:
    """What every stage needs."""

    source: Source
    passwords: dict[str, str]
    where: Where
    """Return where a target lives now; raises MigrationError."""
    book: Book


def pairs(migration: Migration) -> tuple[Mover, ...]:
    """Return who moves where."""
    return tuple(Mover(mover.source, mover.target) for mover in migration.movers.values())


@dataclass(frozen=True)
class Both:
    """A mailbox on both sides at one time; `uids` are those of the target's messages."""

    source: dict[str, list[Entry]]
    target: dict[str, list[Entry]]
    uids: dict[tuple[str, Entry], list[int]]


def look(tools: Tools, mover: Progress, quota_bytes: int | None) -> dict[str, Any]:
    """Return what the plan has to say of a mailbox; `problems` need an answer before it is copied."""
    problems = list[str]()
    with origin.logged_in(tools.source, mover.source, tools.passwords) as session:
        folders = origin.folders(session)
        entries = {folder.name: origin.entries(session, folder) for folder in folders if not folder.problem}
        used, able = origin.quota_bytes(session), origin.capabilities(session)
        separator_prefix = origin.prefix(session)
    size = sum(entry.size_bytes for found in entries.values() for entry in found)
    problems += [f"{folder.name}: {folder.problem}" for folder in folders if folder.problem]
    names = Counter(folder.name for folder in folders)
    problems += [f"{name}: {count} folders would have this name" for name, count in names.items() if count > 1]
    there = listed(tools, mover.target) if quota_bytes is not None else ({}, {})
    held = sum(entry.size_bytes for found in there[0].values() for entry in found)
    if quota_bytes is None:
        problems.append(f"there is no mailbox {mover.target}: `onedallmail user add`, or plan with --create")
    elif 0 < quota_bytes < size + held:
        problems.append(f"{size + held} bytes do not fit into the quota of {quota_bytes}: give it a larger one")
    return {
        "source": mover.source,
        "target": mover.target,
        "folders": {name: {"messages": len(f), "bytes": sum(e.size_bytes for e in f)} for name, f in entries.items()},
        "messages": sum(map(len, entries.values())),
        "bytes": size,
        "used_at_source_bytes": used,
        "prefix": separator_prefix,
        "capabilities": able,
        "at_target": {"messages": sum(map(len, there[0].values())), "bytes": held},
        "problems": problems,
    }


def listed(tools: Tools, target: str) -> tuple[dict[str, list[Entry]], dict[tuple[str, Entry], list[int]]]:
    """Return the target's messages by folder, and their UIDs."""
    answer = ask(tools.where(target), {"do": "list", "user": target})
    found: dict[str, list[Entry]] = {name: [] for name in answer["folders"]}
    uids = defaultdict[tuple[str, Entry], list[int]](list)
    for folder, uid, flags, size, key in answer["messages"]:
        entry = Entry(key, lasting(flags), size)
        found.setdefault(folder, []).append(entry)
        uids[folder, entry].append(uid)
    return found, dict(uids)


def both(tools: Tools, mover: Progress) -> Both:
    """Return both sides of a mailbox."""
    with origin.logged_in(tools.source, mover.source, tools.passwords) as session:
        there = {f.name: origin.entries(session, f) for f in origin.folders(session) if not f.problem}
    here, uids = listed(tools, mover.target)
    return Both(there, here, uids)


def copy(tools: Tools, mover: Progress, *, last: bool = False) -> dict[str, Any]:
    """Bring a target up to date, however far it was; return what was carried.

    Raises MigrationError; the mailbox then stays in its stage, and the next run goes on.
    """
    tools.book.advance(mover.target, Stage.FINISHING if last else Stage.COPYING, error="")
    with origin.logged_in(tools.source, mover.source, tools.passwords) as session:
        prefix = origin.prefix(session)

    def opened() -> origin.Session:
        return origin.log_in(tools.source, mover.source, tools.passwords)

    carried = 0
    for run in range(1, RUNS + 1):
        done = ask(tools.where(mover.target), {"do": "copy", "user": mover.target, "prefix": prefix}, opened)
        carried += done["carried_bytes"]
        if done["problems"]:
            msg = f"{mover.target}: {'; '.join(done['problems'])}"
            raise MigrationError(msg)
        if done["code"] == 0:
            break
        if done["code"] != CHANGED_MEANWHILE or run == RUNS:
            msg = f"{mover.target}: doveadm ended with {done['code']}: {' | '.join(done['said']) or 'it said nothing'}"
            raise MigrationError(msg)
    seen = both(tools, mover)
    removed = _follow_removals(tools, mover, seen)
    messages = sum(map(len, seen.source.values()))
    stage = Stage.FINISHED if last else Stage.COPIED
    tools.book.advance(mover.target, stage, runs=mover.runs + 1, messages=messages, folders=tuple(sorted(seen.source)))
    return {"carried_bytes": carried, "messages": messages, "removed": removed, "told": done["told"]}


def came_and_went(known: dict[str, list[str]], seen: Both) -> dict[str, list[int]]:
    """Return UIDs by folder of messages at the target that a copy brought and that the source has no more.

    What was never seen in that folder at the source is the target's own, and stays.
    """
    gone = dict[str, list[int]]()
    for folder, entries in seen.target.items():
        brought = set(known.get(folder, ()))
        spare = Counter(e.key for e in entries) - Counter(e.key for e in seen.source.get(folder, ()))
        uids = list[int]()
        for entry in sorted(set(entries)):
            for uid in seen.uids[folder, entry]:
                if entry.key in brought and spare[entry.key] > 0:
                    spare[entry.key] -= 1
                    uids.append(uid)
        if uids:
            gone[folder] = sorted(uids)
    return gone


def _follow_removals(tools: Tools, mover: Progress, seen: Both) -> int:
    """Remove what users have removed at the source since it was copied; keep the keys of what is there now."""
    name = f"seen-{mover.target}.json"
    known = tools.book.load(name) or {}
    gone = came_and_went(known, seen)
    if gone:
        ask(tools.where(mover.target), {"do": "expunge", "user": mover.target, "gone": gone})
    tools.book.save(name, {folder: sorted({e.key for e in found}) for folder, found in seen.source.items()})
    return sum(map(len, gone.values()))


def report(tools: Tools, mover: Progress) -> dict[str, Any]:
    """Return a mailbox's reconciliation."""
    seen = both(tools, mover)
    return {"source": mover.source, "target": mover.target, **compare(seen.source, seen.target)}
