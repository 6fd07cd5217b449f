"""Files that must be whole and on disk when a call returns: written beside, flushed, renamed."""

import os
from pathlib import Path


def replace(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Make a file have a content; raises OSError."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_directory(path.parent)


def remove(path: Path) -> None:
    """Remove a file if it is there; raises OSError."""
    if path.exists():
        path.unlink()
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Flush a directory: names that came and went; raises OSError."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
