"""A mail program that keeps a cache never has to throw it away: through a failover, the merge and the way back.

UIDVALIDITY stays, a UID names one message for ever, new ones have larger UIDs, and asking for changes finds them all.
"""

import random
from dataclasses import dataclass, field

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.lab import Lab
from tests.faults.cache import Cache
from tests.faults.conftest import RECOVERS_WITHIN_S, restore
from tests.faults.habits import standbys_have_all
from tests.faults.journal import BROKEN, Journal
from tests.faults.placement import give_back, groups
from tests.lab import MAIL, eventually, run_on
from tests.mail.clients import Imap, imap
from tests.mail.messages import message

pytestmark = [pytest.mark.lab, pytest.mark.timeout(500)]

FOLDER = "Cached"
ARRIVES_WITHIN_S, STORED_WITHIN_S, TAKEN_OVER_WITHIN_S = 90, 60, 60


@dataclass
class Program:
    """A user's mail program with a cache of INBOX and of a folder of its own."""

    user: str
    through: str
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        """Know nothing yet."""
        self.inbox, self.folder = Cache(self.user, "INBOX"), Cache(self.user, FOLDER)
        self.stages: list[str] = []

    def resync(self, stage: str) -> None:
        """Bring both caches up to date; fail when a server broke what a cache relies on."""
        wrong = [*self.inbox.resync(self.through), *self.folder.resync(self.through)]
        self.stages += [
            f"{stage}: {c.folder} UIDVALIDITY {c.uid_validity}, {len(c.messages)} messages to UID {max(c.history)}, "
            f"HIGHESTMODSEQ {c.modseq}"
            for c in (self.inbox, self.folder)
        ]
        assert not wrong, f"{stage}: {wrong}"

    def receive(self, count: int) -> list[str]:
        """Let mail come in from outside, and wait until it is there; return the Message-IDs."""
        for _ in range(count):
            eventually("a message is accepted", lambda: self.journal.offer(self.through, self.user), 30)
        came = [identity for _, identity in self.journal.acknowledged[-count:]]
        eventually("it is there", lambda: not self.journal.missing(self.user, self.through), ARRIVES_WITHIN_S)
        return came

    def file(self) -> None:
        """Put a message into the folder as a program does with what it wrote."""
        with imap(self.through, self.user) as client:
            raw = message("A draft", "Kept in a folder.\n", sender=self.user).raw
            assert client.append(FOLDER, r"(\Draft)", "", raw)[0] == "OK"

    def act(self, identity: str, what: str) -> None:
        """Flag or delete a message of INBOX by the UID that the cache has, or move it into the folder."""
        (uid,) = self.inbox.uids(identity)
        with imap(self.through, self.user) as client:
            client.select("INBOX")
            if what == "moved":
                self.journal.deleted.add((self.user, identity))  # which looks into INBOX only
                assert client.uid("MOVE", str(uid), FOLDER)[0] == "OK"
                return
            flag = r"(\Flagged)" if what == "flagged" else r"(\Deleted)"
            assert client.uid("STORE", str(uid), "+FLAGS.SILENT", flag)[0] == "OK"
            if what == "deleted":
                self.journal.deleted.add((self.user, identity))
                assert client.uid("EXPUNGE", str(uid))[0] == "OK"

    def reads(self) -> bool:
        """Return whether the mailbox opens."""
        try:
            with imap(self.through, self.user) as client:
                return client.select("INBOX")[0] == "OK"
        except (*BROKEN, Imap.error):
            return False


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.8.13", "iso27001:A.5.30", "soc2:CC7.5", "soc2:CC9.1")
def test_a_cache_stays_right_through_failover_merge_and_the_way_back(
    whole: Lab, chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """A UID that comes again for another message would show a user the wrong mail, or delete it."""
    home, through = chance.sample(MAIL, 2)
    before, program = groups(through), Program(residents[home], through)
    evidence.describe(population=", ".join(MAIL), sample=f"{program.user}, home {home} killed, read through {through}")
    try:
        _fill(program)
        late = _known_to_the_home_only(program, home)
        whole.kill(home)
        _served_by_the_standby(program, late)
        restore()
        assert standbys_have_all(STORED_WITHIN_S), "the returned server has not all of the mailboxes"
        _goes_on(program, "merged")
        give_back(before, RECOVERS_WITHIN_S)
        eventually("every group is where it was", lambda: homes(groups(through)) == homes(before), 15)
        _goes_on(program, "given back")
    finally:
        restore()
        evidence.attach_text("stages.txt", "\n".join(program.stages))
        with imap(through, program.user) as client:
            client.delete(FOLDER)


def homes(found: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the home of each group."""
    return {number: group["home"] for number, group in found.items()}


def _fill(program: Program) -> None:
    """Let the caches know messages in both folders; one is flagged, one moved, one deleted, and the standby has all."""
    with imap(program.through, program.user) as client:
        client.delete(FOLDER)  # a run that broke off may have left it
        assert client.create(FOLDER)[0] == "OK"
    program.file()
    came = program.receive(5)
    program.resync("filled")
    for identity, what in zip(came, ("flagged", "moved", "deleted"), strict=False):
        program.act(identity, what)
    program.resync("changed")
    assert standbys_have_all(STORED_WITHIN_S), "the standby has not all of the mailbox, so nothing can be promised"


def _known_to_the_home_only(program: Program, home: str) -> str:
    """Let a message come that the home and the cache have and the standby has not; return its Message-ID."""
    stopped = "systemctl stop onedallmail-mailboxes.service onedallmail-mailboxes-events.socket"
    assert run_on(home, stopped).code == 0
    (late,) = program.receive(1)
    program.resync("one more, not synchronised")
    return late


def _served_by_the_standby(program: Program, late: str) -> None:
    """The late message comes from its copy, under a UID of its own; the one that it had names nothing any more."""
    (lost,) = program.inbox.uids(late)
    eventually("the standby serves", program.reads, TAKEN_OVER_WITHIN_S)
    eventually("the late message is back", lambda: not program.journal.missing(program.user, program.through), 120)
    program.inbox.messages.pop(lost)
    program.resync("taken over")
    (again,) = program.inbox.uids(late)
    assert again > lost, f"{late} had UID {lost} at the dead home, and came back under {again}"
    _goes_on(program, "taken over")


def _goes_on(program: Program, stage: str) -> None:
    """Read, receive, file and delete as before."""
    program.resync(stage)
    first, *_ = program.receive(2)
    program.file()
    program.resync(f"{stage}, and new mail")
    program.act(first, "deleted")
    program.resync(f"{stage}, and one deleted")
