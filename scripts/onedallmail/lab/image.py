"""The server image: Debian with every package of every role, built once and kept by content.

A build goes to a temporary name under a lock and is renamed when it is whole, so a kill leaves no half image.
"""

import datetime as dt
import fcntl
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import paths
from . import aptsources, recipe
from .command import run
from .errors import LabError

Progress = Callable[[str], None]
BUILD_TIMEOUT_S = 1500
_OLD_DAYS = 21


def images_dir() -> Path:
    """Return the folder of images, one folder each."""
    return paths.cache_dir() / "image"


def wanted_packages(roles: Path = paths.ROOT / "roles") -> tuple[str, ...]:
    """Return all packages of the image: the minimal set, the roles' lists, and what tests need."""
    return tuple(sorted({*recipe.BASE_PACKAGES, *recipe.TEST_PACKAGES, *recipe.role_packages(roles)}))


def ensure_image(progress: Progress, keep: Path | None = None) -> Path:
    """Return the root folder of the server image, building it if the cache has none.

    `keep` is an image that servers already use: it is returned if its packages are those wanted now, whatever its
    week, because a running server is not moved to another root for updates that its own `apt` brings.
    """
    packages = wanted_packages()
    if keep is not None and keep.is_dir() and keep.name.startswith(recipe.packages_key(packages)):
        return keep
    target = images_dir() / recipe.image_key(packages, dt.datetime.now(dt.UTC).date())
    if target.is_dir():
        return target
    with _lock(progress):
        if not target.is_dir():
            _remove_leftovers()
            progress(f"Building the server image ({len(packages)} packages)")
            _build(target, packages)
            _prune(target)
    return target


@contextmanager
def _lock(progress: Progress) -> Iterator[None]:
    images_dir().mkdir(parents=True, exist_ok=True)
    descriptor = os.open(images_dir() / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("Another checkout builds an image; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_leftovers() -> None:
    """Remove half images; the lock is held, so nobody is building them."""
    for path in images_dir().glob("*.building"):
        shutil.rmtree(path)


def _prune(current: Path) -> None:
    """Remove images of past weeks that no server of any checkout is recorded to run on."""
    used = {line.strip() for path in Path("/run/onedallmail").glob("*/nodes/*.image") for line in path.open()}
    oldest = dt.datetime.now(dt.UTC).timestamp() - _OLD_DAYS * 86400
    for path in images_dir().iterdir():
        if path.is_dir() and path != current and str(path) not in used and path.stat().st_mtime < oldest:
            shutil.rmtree(path)


def _build(target: Path, packages: tuple[str, ...]) -> None:
    building = target.with_name(target.name + ".building")
    log = images_dir() / f"{target.name}.log"
    sources = _sources()
    argv = ["mmdebstrap", "--mode=root", "--format=directory", "--variant=minbase", f"--include={','.join(packages)}"]
    argv += [f"--aptopt={line}" for line in _apt_options()]
    argv += ["--aptopt=Apt::Install-Recommends false", f"--logfile={log}"]
    argv += [f"--setup-hook={_before_install()}", f"--customize-hook={_after_install()}"]
    argv += [recipe.SUITE, str(building), *(["-"] if sources else [])]
    try:
        run(argv, stdin=sources or None, timeout_s=BUILD_TIMEOUT_S)
    except LabError as error:
        message = (
            f"The server image could not be built; see {log}, and whether the host's `apt-get update` works. {error}"
        )
        raise LabError(message) from error
    _check(building)
    building.rename(target)


def _sources() -> str:
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return aptsources.image_sources(
        aptsources.read_sources(), release.get("VERSION_CODENAME", "").strip('"'), recipe.SUITE
    )


def _apt_options() -> list[str]:
    return aptsources.transport_options(run(["apt-config", "dump"]))


def _before_install() -> str:
    """Return the hook that keeps packages from making what belongs to one server only."""
    cluster = "create_main_cluster = false\n"
    return (
        'mkdir -p "$1/etc/postgresql-common" "$1/etc/systemd/system-preset" && '
        f'printf %s {shlex.quote(cluster)} >"$1/etc/postgresql-common/createcluster.conf" && '
        f'printf %s {shlex.quote(recipe.preset())} >"$1/etc/systemd/system-preset/00-onedallmail.preset"'
    )


def _after_install() -> str:
    """Return the hook that takes out identities and starts of services, and the host's apt settings."""
    return (
        'set -eu; chroot "$1" systemctl --quiet preset-all; '
        "for unit in apt-daily.timer apt-daily-upgrade.timer; do "
        'test ! -e "$1/etc/systemd/system/timers.target.wants/$unit"; done; '
        'chroot "$1" systemctl --quiet mask systemd-modules-load.service; '
        'rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/hostname" "$1/etc/resolv.conf"; '
        'rm -f "$1"/etc/ssl/private/ssl-cert-snakeoil.key "$1"/etc/ssl/certs/ssl-cert-snakeoil.pem; '
        'rm -f "$1"/var/lib/dbus/machine-id; : >"$1/etc/machine-id"; rm -rf "$1"/var/lib/postgresql/*/main'
    )


def _check(root: Path) -> None:
    """Refuse an image that holds what must differ from server to server."""
    for pattern in ("etc/ssh/ssh_host_*", "var/lib/postgresql/*/main", "etc/postgresql/*/main"):
        if found := next(root.glob(pattern), None):
            name = found.relative_to(root)
            message = f"The image holds {name}, which must be made on each server: a defect of lab/image.py."
            raise LabError(message)
