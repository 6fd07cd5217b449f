"""Dovecot's lock file beside a file (PATH.lock): its maker may write PATH, by renaming the lock itself.

As lib/file-dotlock.c of Dovecot 2.4.1: made by link(2), taken over when it and the file did not change for a while.
"""

import os
import random
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 20.0
STALE_S = 10.0
"""mail-duplicate.c: default_mail_duplicate_dotlock_set."""
PAUSE_S = 0.1
SUFFIX = ".lock"


class LockedError(OSError):
    """Somebody else kept the lock for the whole time that was allowed."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is held. Its file is empty until replace() fills it and renames it to the locked file."""

    path: Path
    file: int

    @property
    def lock_path(self) -> Path:
        """The lock's own name."""
        return self.path.with_name(self.path.name + SUFFIX)

    def held(self) -> bool:
        """Return whether the lock file is still ours: others take over one that looks forgotten."""
        return _same(self.lock_path, self.file)

    def replace(self, content: bytes) -> None:
        """Make the content the locked file's, flushed; raises LockedError if the lock was taken over, OSError."""
        view = memoryview(content)
        while view:
            view = view[os.write(self.file, view) :]
        os.fsync(self.file)
        if not self.held():
            msg = f"{self.lock_path} was taken over while it was written; the file is as before, try again"
            raise LockedError(msg)
        self.lock_path.rename(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@contextmanager
def dotlock(path: Path, *, timeout_s: float = TIMEOUT_S, stale_s: float = STALE_S) -> Iterator[Lock]:
    """Hold the lock of a file; raises LockedError when others keep it for timeout_s, OSError without the directory."""
    prefix = f".temp.{socket.gethostname()}.{os.getpid()}."
    file, name = tempfile.mkstemp(prefix=prefix, dir=path.parent)
    lock = Lock(path, file)
    try:
        try:
            _link(Path(name), lock, timeout_s, stale_s)
        finally:
            Path(name).unlink(missing_ok=True)
        try:
            yield lock
        finally:
            if lock.held():
                lock.lock_path.unlink(missing_ok=True)
    finally:
        os.close(file)


def _link(temporary: Path, lock: Lock, timeout_s: float, stale_s: float) -> None:
    end = time.monotonic() + timeout_s
    seen: tuple[object, ...] = ()
    since = time.monotonic()
    while True:
        os.utime(temporary)
        with suppress(FileExistsError):
            lock.lock_path.hardlink_to(temporary)
            return
        now, state = time.monotonic(), (_state(lock.lock_path), _state(lock.path))
        if state != seen:
            seen, since = state, now
        elif now - since > stale_s:
            lock.lock_path.unlink(missing_ok=True)
            # Another waiter may come to the same end: without a pause it would remove the lock that we make.
            time.sleep(PAUSE_S + random.uniform(0, PAUSE_S))  # noqa: S311 - no secret
            seen = ()
            continue
        if now > end:
            msg = f"{lock.lock_path} was kept by others for {timeout_s:g} s; see whether a delivery to this user hangs"
            raise LockedError(msg)
        time.sleep(PAUSE_S + random.uniform(0, PAUSE_S))  # noqa: S311 - no secret


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _same(path: Path, file: int) -> bool:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    ours = os.fstat(file)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
