"""What the pieces of the service share."""

from dataclasses import dataclass

from onedallmail.channel.errors import ChannelError
from onedallmail.mailboxes.dovecot import Api, DovecotError
from onedallmail.mailboxes.kept import Frozen, Merging, Raised, Taken
from onedallmail.mailboxes.members import Members
from onedallmail.mailboxes.peers import AnswerError, Peers
from onedallmail.mailboxes.places import Store
from onedallmail.mailboxes.record import Record
from onedallmail.mailboxes.rules import may_tell, still_placed
from onedallmail.mailboxes.scripts import Scripts
from onedallmail.mailboxes.settings import Settings
from onedallmail.mailboxes.view import View
from onedallmail.placement.map import Placement


class PlaceError(OSError):
    """This server may not act as a group's home now; it may later, or another one does."""


FAILURES = (DovecotError, ChannelError, AnswerError, OSError, ValueError)
"""What may go wrong with a mailbox between two servers; it is tried again."""


@dataclass(frozen=True, slots=True)
class Parts:
    """This server's mailboxes, what it knows of places and people, and its ways to Dovecot and to the other servers."""

    settings: Settings
    view: View
    members: Members
    record: Record
    store: Store
    home: Api
    """Serves mailboxes whose home is here."""
    upkeep: Api
    """Serves any mailbox that is stored here."""
    peers: Peers
    merging: Merging
    frozen: Frozen
    raised: Raised
    taken: Taken
    scripts: Scripts
    """What was settled with standbys."""
    joining_scripts: Scripts
    """The same with servers that join."""

    @property
    def me(self) -> str:
        """The name of this server."""
        return self.settings.server

    def must_lead(self, group: int, placement: Placement) -> None:
        """Raise PlaceError unless this server is home of the group as it was known, under a lease that stands.

        `placement.standby` is whom it wants to tell something: the standby, or the server that joins.
        """
        self.view.poll()
        now = self.view.placements.get(group)
        if now is None or not still_placed(self.me, now, placement):
            msg = f"{self.me} is not home of group {group} any more as in epoch {placement.epoch}"
            raise PlaceError(msg)
        if not self.view.leads:
            msg = f"{self.me} has no lease now: its placement service says whether etcd can be reached"
            raise PlaceError(msg)
        if not may_tell(placement, self.frozen.server(group, now)):
            msg = f"{placement.standby} is told nothing more of group {group}: {now.joining} is about to take its place"
            raise PlaceError(msg)

    def scripts_with(self, group: int, server: str) -> Scripts:
        """Return what is known of Sieve scripts between this home and a server."""
        return self.joining_scripts if self.joins(group, server) else self.scripts

    def joins(self, group: int, server: str) -> bool:
        """Return whether a server joins a group: it is not its standby yet."""
        now = self.view.placements.get(group)
        return now is not None and now.joining == server
