"""Copies on disk: a file is there whole or not at all, and what was confirmed survives a loss of power."""

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from onedallmail.copies.record import MAX_LINE_BYTES, NAME, CopyError, Label, decode_line, encode

IDENTITY = "store.json"
FOLDERS = tuple("0123456789abcdef")
"""By the first digit of the ingest id: folders stay small when many copies wait."""
TEMPORARY = ".tmp"


class StoreError(OSError):
    """A copy could not be kept, or not be found; says where, why and what to do."""


class Store:
    """The copies of one server. Several processes may write; each has a name of its own for unfinished files."""

    def __init__(self, directory: Path, writer: str, *, min_free_bytes: int) -> None:
        """Make the folders, and remove what a crash of this writer left unfinished; raises StoreError."""
        self.directory = directory
        self._writer = writer
        self._min_free_bytes = min_free_bytes
        try:
            for folder in FOLDERS:
                (directory / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
                for left in (directory / folder).glob(f"*.{writer}{TEMPORARY}"):
                    left.unlink(missing_ok=True)
            _flush(directory)
            self.identity = _identity(directory)
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{directory} can't be used: {error}; it must be a folder of the service's account"
            raise StoreError(msg) from error

    def put(self, label: Label, parts: bytes) -> None:
        """Keep a copy: afterwards it is on the disk. The same copy again is written again. Raises StoreError."""
        path = self._path(label.name)
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.{self._writer}{TEMPORARY}")
        try:
            self._check_space(len(parts))
            with draft.open("wb") as file:
                draft.chmod(0o600)
                file.write(encode(label, parts))
                file.flush()
                os.fdatasync(file.fileno())
            draft.rename(path)
            _flush(path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            msg = f"{self.directory}: copy {label.name} is not kept: {error.strerror or error}"
            raise StoreError(msg) from error

    def drop(self, name: str) -> bool:
        """Remove a copy; return whether it was there. It may come back by a loss of power, which does no harm."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            msg = f"{self.directory}: copy {name} can't be removed: {error.strerror or error}"
            raise StoreError(msg) from error
        return True

    def names(self) -> set[str]:
        """Return the names of all copies."""
        return set(self._names())

    def has(self, name: str) -> bool:
        """Return whether a copy is here."""
        return self._path(name).exists()

    def label(self, name: str) -> Label:
        """Return what a copy is; raises StoreError or CopyError."""
        try:
            with self._path(name).open("rb") as file:
                return self._labelled(name, file.readline(MAX_LINE_BYTES))
        except OSError as error:
            raise self._unread(name, error) from error

    def read(self, name: str) -> tuple[Label, bytes]:
        """Return a copy's label and sealed parts; raises StoreError or CopyError."""
        try:
            with self._path(name).open("rb") as file:
                return self._labelled(name, file.readline(MAX_LINE_BYTES)), file.read()
        except OSError as error:
            raise self._unread(name, error) from error

    def envelope(self, name: str) -> tuple[Label, bytes]:
        """Return a copy's label and its sealed envelope; raises StoreError or CopyError."""
        try:
            with self._path(name).open("rb") as file:
                label = self._labelled(name, file.readline(MAX_LINE_BYTES))
                return label, file.read(label.envelope_bytes)
        except OSError as error:
            raise self._unread(name, error) from error

    def size_bytes(self, name: str) -> int:
        """Return the size of a copy's file, 0 when it has gone."""
        try:
            return self._path(name).stat().st_size
        except OSError:
            return 0

    def _names(self) -> Iterator[str]:
        for folder in FOLDERS:
            with os.scandir(self.directory / folder) as entries:
                yield from (entry.name for entry in entries if NAME.fullmatch(entry.name))

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            msg = f"{name[:200]!r} is no name of a copy"
            raise CopyError(msg)
        return self.directory / name[:1] / name

    def _check_space(self, size_bytes: int) -> None:
        space = os.statvfs(self.directory)
        free_bytes = space.f_bavail * space.f_frsize
        if free_bytes - size_bytes < self._min_free_bytes:
            msg = f"{free_bytes} bytes are free, {self._min_free_bytes} must stay free; make room on this disk"
            raise StoreError(msg)

    def _unread(self, name: str, error: OSError) -> StoreError:
        return StoreError(f"{self.directory}: copy {name} can't be read: {error.strerror or error}")

    @staticmethod
    def _labelled(name: str, line: bytes) -> Label:
        label = decode_line(line)
        if label.name != name:
            msg = f"{name}: its label is that of {label.name}"
            raise CopyError(msg)
        return label


def _identity(directory: Path) -> str:
    """Return what the store was called when it was made: whoever is first of its writers makes it."""
    path = directory / IDENTITY
    draft = directory / f"{IDENTITY}.{uuid.uuid4().hex}"
    if not path.exists():
        draft.write_text(json.dumps({"store": uuid.uuid4().hex}) + "\n")
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
        _flush(directory)
    return str(json.loads(path.read_text())["store"])


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
