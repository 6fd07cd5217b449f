"""Programs of Debian packages that tests use, taken out of the package: nothing is installed, no service is started.

The package comes from the host's own sources, in the version that its suite has now, and is checked by apt. What was
taken out is kept by package, version, architecture and program; without that cache it is fetched again.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import paths
from .command import run
from .errors import LabError

DOWNLOAD_TIMEOUT_S = 600
_CANDIDATE = re.compile(r"^\s*Candidate:\s*(\S+)\s*$", re.MULTILINE)


def program(package: str, path: str) -> Path:
    """Return a program of a Debian package: `path` is where the package has it, such as usr/bin/promtool.

    Raises:
        LabError: the host's sources have no such package or give no answer, or the package has no such file.
    """
    version = _candidate(package)
    if version is None:
        _update()
        version = _candidate(package)
    if version is None:
        msg = f"no Debian package {package} is known here. See whether `apt-get update` works and which sources it has."
        raise LabError(msg)
    with _lock():
        try:
            return _kept(package, version, path)
        except LabError:
            # The lists may be older than the archive, which keeps the newest version only.
            _update()
            return _kept(package, _candidate(package) or version, path)


def candidate(policy: str) -> str | None:
    """Return the version that `apt-cache policy PACKAGE` would install, None when there is none."""
    found = _CANDIDATE.search(policy)
    return None if found is None or found[1] == "(none)" else found[1]


def _candidate(package: str) -> str | None:
    return candidate(run(["env", "LC_ALL=C", "apt-cache", "policy", package]))


def _update() -> None:
    run(["apt-get", "--quiet", "update"], timeout_s=DOWNLOAD_TIMEOUT_S)


def _folder() -> Path:
    return paths.cache_dir() / "debian"


@contextmanager
def _lock() -> Iterator[None]:
    _folder().mkdir(parents=True, exist_ok=True)
    descriptor = os.open(_folder() / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _kept(package: str, version: str, path: str) -> Path:
    """Return the program from the cache, after fetching it if it is not there; the lock is held."""
    architecture = run(["dpkg", "--print-architecture"]).strip()
    name = Path(path).name
    target = _folder() / f"{package}_{version.replace(':', '%3a')}_{architecture}_{name}"
    wanted = target / name
    if wanted.is_file():
        return wanted
    building = target.with_name(target.name + ".building")
    for folder in (building, target):
        shutil.rmtree(folder, ignore_errors=True)
    building.mkdir()
    fetch = ["env", "-C", str(building), "apt-get", "--quiet", "download", f"{package}={version}"]
    run(fetch, timeout_s=DOWNLOAD_TIMEOUT_S)
    archive, unpacked = next(building.glob("*.deb")), building / "unpacked"
    run(["dpkg", "-x", str(archive), str(unpacked)], timeout_s=DOWNLOAD_TIMEOUT_S)
    if not (unpacked / path).is_file():
        msg = f"The Debian package {package} {version} has no {path}. See `dpkg -c` of it for the new place."
        raise LabError(msg)
    (unpacked / path).rename(building / name)
    archive.unlink()
    shutil.rmtree(unpacked)
    building.rename(target)
    return wanted
