"""One writer a stack: a lock that the kernel drops when its holder dies, however it dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import EngineError
from .state import timestamp


@contextmanager
def stack_lock(folder: Path, stack: str, operation: str) -> Iterator[None]:
    """Hold the stack's lock while the block runs.

    Raises:
        EngineError: another process holds it; the message says which, since when and what it does.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
            msg = f"stack '{stack}' is locked by {holder}: wait until it ends, or end that process"
            raise EngineError(msg) from error
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} ({operation} since {timestamp()})\n".encode())
        yield
    finally:
        os.close(handle)
