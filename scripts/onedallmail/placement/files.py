"""The placement map as the files that Postfix and Dovecot read, each replaced by rename: a reader never misses one."""

import json
import os
import subprocess
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from onedallmail.placement.map import Placement, PlacementMap, as_record, from_record
from onedallmail.placement.settings import Settings

VERSION = 1
GROUPS = "groups.json"
STATUS = "status.json"
ALIVE = "alive.json"
PREPARED = "prepared.json"
FLUSH = "flush"
TRANSPORT = "transport"
MODE = 0o644
POSTMAP = "/usr/sbin/postmap"


def groups_text(placements: PlacementMap, revision: int) -> str:
    """Return the map at a revision of etcd as groups.json."""
    groups = {str(number): as_record(placement) for number, placement in sorted(placements.items())}
    return json.dumps({"version": VERSION, "revision": revision, "groups": groups}, indent=1) + "\n"


def transport_text(placements: PlacementMap, settings: Settings) -> str:
    """Return the transport of each group, a tab between (transport(5), before postmap)."""

    def line(number: int, placement: Placement) -> str:
        if placement.home == settings.server:
            return f"{number}\t{settings.transport_local}\n"
        remote = _filled(settings.transport_remote, placement.home, settings.ports.handover, settings)
        return f"{number}\t{remote}\n"

    return "".join(line(number, placement) for number, placement in sorted(placements.items()))


def proxy_text(placements: PlacementMap, settings: Settings, port: int, local_port: int) -> str:
    """Return the passwd-file of a public listener (Dovecot): a user for each group, proxied to its home in any case."""

    def fields(placement: Placement) -> str:
        if placement.home == settings.server:
            return _filled(settings.proxy_fields_local, placement.home, local_port, settings)
        return _filled(settings.proxy_fields, placement.home, port, settings)

    return "".join(f"{number}:::::::{fields(placement)}\n" for number, placement in sorted(placements.items()))


def served_text(groups: Collection[int], served: Collection[int], settings: Settings) -> str:
    """Return the passwd-file of a listener that serves some groups; the others have the fields of a refusal."""
    return "".join(f"{n}:::::::{'' if n in served else settings.absent_fields}\n" for n in sorted(groups))


def standby_groups(placements: PlacementMap, server: str) -> frozenset[int]:
    """Return the groups whose standby is this server."""
    return frozenset(number for number, placement in placements.items() if placement.standby == server)


def receiving_groups(placements: PlacementMap, server: str) -> frozenset[int]:
    """Return the groups that are synchronised into this server: their standby it is, or is going to be."""
    return frozenset(number for number, placement in placements.items() if server in placement.receiving)


def _filled(pattern: str, name: str, port: int, settings: Settings) -> str:
    address = settings.servers[name].address
    loopback = "127." + address.partition(".")[2]
    filled = pattern.replace("{name}", name).replace("{ip}", address).replace("{loopback}", loopback)
    return filled.replace("{port}", str(port))


def read_groups(directory: Path) -> PlacementMap:
    """Return the map that was written last; empty where there is none that can be read."""
    try:
        groups: Mapping[str, object] = json.loads((directory / GROUPS).read_text())["groups"]
        return {int(number): from_record(int(number), record) for number, record in groups.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def read_served(directory: Path) -> frozenset[int]:
    """Return the groups that may be served here as the file `home` says; empty where that can't be read."""
    lines = (_text(directory / "home") or "").splitlines()
    return frozenset(int(number) for number, _, fields in (line.partition(":") for line in lines) if fields == "::::::")


def write_map(placements: PlacementMap, revision: int, settings: Settings, here: Collection[int]) -> bool:
    """Write those files that differ from what they should say; return whether there were any. groups.json is last.

    `here` are the groups that may be served here now, which are at most those whose home is this server.
    """
    directory, ports = settings.directory, settings.ports
    standby = receiving_groups(placements, settings.server)
    changed = _write_text(directory / "home", served_text(placements, here, settings))
    changed |= _write_text(directory / "standby", served_text(placements, standby, settings))
    changed |= _write_transport(directory, transport_text(placements, settings))
    imap = proxy_text(placements, settings, ports.imap, ports.imap_local)
    sieve = proxy_text(placements, settings, ports.sieve, ports.sieve_local)
    changed |= _write_text(directory / "proxy-imap", imap)
    changed |= _write_text(directory / "proxy-sieve", sieve)
    return _write_text(directory / GROUPS, groups_text(placements, revision)) or changed


def read_prepared(directory: Path) -> dict[int, int]:
    """Return the groups (to epoch) that were prepared for this server; empty where that can't be read."""
    try:
        groups: Mapping[str, object] = json.loads((directory / PREPARED).read_text())["groups"]
        return {int(number): epoch for number, epoch in groups.items() if isinstance(epoch, int)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_prepared(prepared: Mapping[int, int], directory: Path) -> None:
    """Keep what was prepared for the next run, if it is news."""
    groups = {str(number): epoch for number, epoch in sorted(prepared.items())}
    _write_text(directory / PREPARED, json.dumps({"version": VERSION, "groups": groups}) + "\n")


def write_alive(servers: Mapping[str, str], at: str, directory: Path) -> None:
    """Write which servers (name to region) have a lease; `at` is when etcd said so. Rewritten often, so not flushed."""
    _rewrite(directory / ALIVE, {"version": VERSION, "at": at, "servers": dict(sorted(servers.items()))})


def write_status(status: Mapping[str, object], directory: Path) -> None:
    """Write status.json. It is written every few seconds and worth nothing after a crash, so it is not flushed."""
    _rewrite(directory / STATUS, status)


def replace(path: Path, text: str) -> None:
    """Write a file under another name, flush it to disk, and rename it.

    Dovecot takes a passwd-file of equal size and equal second of change for the one it knows (db-passwd-file.c), so
    the second always differs from the last file's.
    """
    new = _flushed(_new(path), lambda new: new.write_text(text))
    if path.exists() and int(path.stat().st_mtime) >= int(new.stat().st_mtime):
        later = int(path.stat().st_mtime) + 1
        os.utime(new, (later, later))
    new.replace(path)


def _rewrite(path: Path, document: Mapping[str, object]) -> None:
    new = _new(path)
    new.write_text(json.dumps(document) + "\n")
    new.chmod(MODE)
    new.replace(path)


def _write_text(path: Path, text: str) -> bool:
    if _text(path) == text:
        return False
    replace(path, text)
    return True


def _write_transport(directory: Path, text: str) -> bool:
    path, table = directory / TRANSPORT, directory / f"{TRANSPORT}.lmdb"
    if _text(path) == text and table.exists():
        return False
    new = _flushed(_new(path), lambda p: p.write_text(text))
    new_table = new.with_name(f"{new.name}.lmdb")
    new_table.unlink(missing_ok=True)
    _flushed(new_table, lambda _: _postmap(new))
    # The text comes second: when it is right, the table is.
    new_table.replace(table)
    new.replace(path)
    return True


def _postmap(source: Path) -> None:
    """Build SOURCE.lmdb; raises OSError with what postmap said."""
    try:
        done = subprocess.run([POSTMAP, f"lmdb:{source}"], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        msg = f"postmap of {source} did not end in 60 s"
        raise OSError(msg) from error
    if done.returncode != 0:
        msg = f"postmap of {source} failed: {(done.stderr or done.stdout).strip()}"
        raise OSError(msg)


def _flushed(path: Path, write: Callable[[Path], object]) -> Path:
    write(path)
    path.chmod(MODE)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return path


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return None
