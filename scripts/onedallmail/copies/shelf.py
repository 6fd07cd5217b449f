"""The copies in this server's store as the custodian knows them, kept equal to the disk."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from onedallmail.copies.recipients import Final
from onedallmail.copies.record import CopyError, Label
from onedallmail.copies.rules import Held, Step, Word
from onedallmail.copies.seal import Envelope
from onedallmail.copies.store import Store, StoreError

log = logging.getLogger("copies.shelf")


@dataclass(slots=True, eq=False)
class Kept:
    """A copy in the store, and what this process found out about it. Times are on the monotonic clock."""

    label: Label
    size_bytes: int
    seen_at: float
    due_at: float = 0.0
    word: Word = Word.UNASKED
    envelope: Envelope | None = None
    finals: frozenset[Final] = frozenset()
    resolved_at: float = float("-inf")
    homes: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Home and epoch of a group when the message had just been accepted."""
    held: dict[Final, Held] = field(default_factory=dict)
    steps: dict[Final, Step] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.label.name


class Shelf:
    """An index of the store, whose files other processes write, too."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet."""
        self._store = store
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self.unreadable: dict[str, str] = {}
        """Copies of which the label can't be read, with the reason."""

    def refresh(self) -> None:
        """Follow the disk; blocks. Raises OSError."""
        names = self._store.names()
        for gone in self._kept.keys() - names:
            del self._kept[gone]
        self.unreadable = {name: why for name, why in self.unreadable.items() if name in names}
        for name in names - self._kept.keys() - self.unreadable.keys():
            try:
                label = self._store.label(name)
            except CopyError as error:
                self.unreadable[name] = str(error)
                log.error("%s", error)  # noqa: TRY400 - the message says it all
            except StoreError:
                continue  # dropped meanwhile
            else:
                self._kept[name] = Kept(label, self._store.size_bytes(name), self._clock())

    def drop(self, kept: Kept) -> None:
        """Remove a copy from the disk and from here; blocks. Raises StoreError."""
        self._store.drop(kept.name)
        self._kept.pop(kept.name, None)

    def __iter__(self) -> Iterator[Kept]:
        """Return an iterator over the copies."""
        return iter(tuple(self._kept.values()))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._kept)
