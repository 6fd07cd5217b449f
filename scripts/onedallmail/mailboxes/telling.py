"""What standbys are told while another server joins: that one must have it too, before it is the standby."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Joining:
    """A server that joins a group in an epoch, and whose mailboxes it has to get again."""

    server: str
    epoch: int
    told: set[str] = field(default_factory=set)
    """Users of whom the standby was told since the joining server got them: it must not miss these."""
    changed: set[str] = field(default_factory=set)
    """Users of whom an event told since: they can wait, for nobody vouches for it yet."""

    @property
    def behind(self) -> frozenset[str]:
        """Both."""
        return frozenset(self.told | self.changed)


class Telling:
    """In the event loop's thread only: what is asked and noted between two awaits holds together."""

    def __init__(self) -> None:
        """Begin with no server that joins."""
        self._joining: dict[int, Joining] = {}
        self._running: Counter[int] = Counter()

    def begin(self, group: int, server: str, epoch: int) -> None:
        """From now on keep account of what the standby of a group is told."""
        known = self._joining.get(group)
        if known is None or (known.server, known.epoch) != (server, epoch):
            self._joining[group] = Joining(server, epoch)

    def end(self, group: int) -> None:
        """Nobody joins the group any more."""
        self._joining.pop(group, None)

    def joining(self, group: int) -> Joining | None:
        """Return who joins a group, as far as an account is kept."""
        return self._joining.get(group)

    def changed(self, group: int | None, users: Collection[str]) -> None:
        """Note that mailboxes of a group changed."""
        if group is not None and group in self._joining:
            self._joining[group].changed.update(users)

    def running(self, group: int) -> int:
        """Return how many shipments to the standby of a group are under way."""
        return self._running[group]

    def note(self, user: str, group: int, standby: str) -> None:
        """Note that a mailbox is about to be brought to the standby."""
        joining = self._joining.get(group)
        if joining is not None and joining.server != standby:
            joining.told.add(user)

    @contextmanager
    def shipping(self, user: str, group: int, standby: str) -> Iterator[None]:
        """Note that records of a user are shipped, and when that has ended."""
        self.note(user, group, standby)
        joining = self._joining.get(group)
        counted = joining is None or joining.server != standby
        self._running[group] += counted
        try:
            yield
        finally:
            self._running[group] -= counted

    async def ended(self, group: int, bound_s: float, pause_s: float = 0.05) -> bool:
        """Wait until no shipment to the standby is under way; return whether that came within bound_s."""
        end = asyncio.get_running_loop().time() + bound_s
        while self._running[group] and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(pause_s)
        return not self._running[group]
