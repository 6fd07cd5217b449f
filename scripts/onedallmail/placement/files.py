"""The placement map as the files that Postfix and Dovecot read, each replaced by rename: a reader never misses one."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from onedallmail.placement.map import Placement, PlacementMap, as_record, from_record
from onedallmail.placement.settings import Settings

VERSION = 1
GROUPS = "groups.json"
STATUS = "status.json"
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


def proxy_text(placements: PlacementMap, settings: Settings, port: int) -> str:
    """Return a Dovecot passwd-file with a user for each group; a group that lives here has no proxy fields."""

    def line(number: int, placement: Placement) -> str:
        here = placement.home == settings.server
        return f"{number}:::::::{'' if here else _filled(settings.proxy_fields, placement.home, port, settings)}\n"

    return "".join(line(number, placement) for number, placement in sorted(placements.items()))


def _filled(pattern: str, name: str, port: int, settings: Settings) -> str:
    address = settings.servers[name].address
    return pattern.replace("{name}", name).replace("{ip}", address).replace("{port}", str(port))


def read_groups(directory: Path) -> PlacementMap:
    """Return the map that was written last; empty where there is none that can be read."""
    try:
        groups: Mapping[str, object] = json.loads((directory / GROUPS).read_text())["groups"]
        return {int(number): from_record(int(number), record) for number, record in groups.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_map(placements: PlacementMap, revision: int, settings: Settings) -> bool:
    """Write those files that differ from what they should say; return whether there were any. groups.json is last."""
    directory = settings.directory
    changed = _write_transport(directory, transport_text(placements, settings))
    for name, text in (
        ("proxy-imap", proxy_text(placements, settings, settings.ports.imap)),
        ("proxy-sieve", proxy_text(placements, settings, settings.ports.sieve)),
        (GROUPS, groups_text(placements, revision)),
    ):
        if _text(directory / name) != text:
            replace(directory / name, text)
            changed = True
    return changed


def write_status(status: Mapping[str, object], directory: Path) -> None:
    """Write status.json. It is written every few seconds and worth nothing after a crash, so it is not flushed."""
    path = directory / STATUS
    new = _new(path)
    new.write_text(json.dumps(status) + "\n")
    new.chmod(MODE)
    new.replace(path)


def replace(path: Path, text: str) -> None:
    """Write a file under another name, flush it to disk, and rename it."""
    _flushed(_new(path), lambda new: new.write_text(text)).replace(path)


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
