"""What the pieces of the service share."""

from dataclasses import dataclass

from onedallmail.channel.errors import ChannelError
from onedallmail.mailboxes.dovecot import Api, DovecotError
from onedallmail.mailboxes.members import Members
from onedallmail.mailboxes.peers import AnswerError, Peers
from onedallmail.mailboxes.places import Store
from onedallmail.mailboxes.record import Record
from onedallmail.mailboxes.settings import Settings
from onedallmail.mailboxes.view import View

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

    @property
    def me(self) -> str:
        """The name of this server."""
        return self.settings.server
