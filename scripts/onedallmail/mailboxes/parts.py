"""What the pieces of the service share."""

from dataclasses import dataclass

from onedallmail.channel.errors import ChannelError
from onedallmail.mailboxes.dovecot import Api, DovecotError
from onedallmail.mailboxes.kept import Merging, Raised, Taken
from onedallmail.mailboxes.members import Members
from onedallmail.mailboxes.peers import AnswerError, Peers
from onedallmail.mailboxes.places import Store
from onedallmail.mailboxes.record import Record
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
    raised: Raised
    taken: Taken
    scripts: Scripts

    @property
    def me(self) -> str:
        """The name of this server."""
        return self.settings.server

    def must_lead(self, group: int, placement: Placement) -> None:
        """Raise PlaceError unless this server is home of the group as it was known, under a lease that stands."""
        self.view.poll()
        if self.view.placements.get(group) != placement or placement.home != self.me:
            msg = f"{self.me} is not home of group {group} any more as in epoch {placement.epoch}"
            raise PlaceError(msg)
        if not self.view.leads:
            msg = f"{self.me} has no lease now: its placement service says whether etcd can be reached"
            raise PlaceError(msg)
