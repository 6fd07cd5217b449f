"""Programs of Debian packages that tests use, taken out of the package: nothing is installed, no service is started.

The package comes from the host's own sources, in the version that its suite has now, and is checked by apt. What was
taken out is kept by package, version, architecture and program; without that cache it is fetched again.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .. import paths
from .command import run
from .errors import LabError

DOWNLOAD_TIMEOUT_S = 600
_CANDIDATE = re.compile(r"^\s*Candidate:\s*(\S+)\s*$", re.MULTILINE)


def program(path: str, *packages: str) -> Path:
    """Return a program of a Debian package, of the first that the host's suite has.

    `path` is where the package has it, such as usr/bin/promtool; several packages, because suites differ in which one.

    Raises:
        LabError: the host's sources have no such package or give no answer, or the package has no such file.
    """
    found = _offered(packages) or _updated(packages)
    with _lock():
        try:
            return _kept(*found, path)
        except LabError:
            # The lists may be older than the archive, which keeps the newest version only.
            return _kept(*_updated(packages), path)


def candidate(policy: str) -> str | None:
    """Return the version that `apt-cache policy PACKAGE` would install, None when there is none."""
    found = _CANDIDATE.search(policy)
    return None if found is None or found[1] == "(none)" else found[1]


def _offered(packages: Sequence[str]) -> tuple[str, str] | None:
    """Return the first package that there is, and its version."""
    for package in packages:
        version = candidate(run(["env", "LC_ALL=C", "apt-cache", "policy", package]))
        if version:
            return package, version
    return None


def _updated(packages: Sequence[str]) -> tuple[str, str]:
    run(["apt-get", "--quiet", "update"], timeout_s=DOWNLOAD_TIMEOUT_S)
    found = _offered(packages)
    if found is None:
        msg = f"No Debian package {' or '.join(packages)} is known here: see which sources `apt-get update` reads."
        raise LabError(msg)
    return found


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
