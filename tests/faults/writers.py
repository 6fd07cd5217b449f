"""Who wrote a mailbox, held against who was its home: the second invariant.

Each delivery of Dovecot is a write by the server that logged it; all servers of the lab have one clock. A home is the
home of one epoch, so the writers of a mailbox must come in the order of its homes: who writes again after its successor
has written did so while it was no home.
"""

import json
import re
import time
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onedallmail.directory.remote import mailboxes
from onedallmail.placement.store import GROUPS
from tests.hosts.facts import ETCDCTL
from tests.lab import ALL, MAIL, STACK, on_all, run_on

STORED = re.compile(r"^(?P<at>\d+\.\d+) .*\blmtp\((?P<user>[^)]+)\)<.*: stored mail into mailbox ", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Write:
    """A change of a mailbox: seconds since the epoch, server, user."""

    at: float
    server: str
    user: str


def writes_of(server: str, log: str) -> list[Write]:
    """Return the deliveries in a server's journal (format `short-unix`)."""
    return [Write(float(found["at"]), server, found["user"]) for found in STORED.finditer(log)]


def out_of_turn(homes: Sequence[str], writes: Sequence[Write]) -> Write | None:
    """Return the first write of a mailbox by a server that was not its home any more, or never.

    `homes` are those of the mailbox's epochs, one after the other; an epoch may be without a write.
    """
    epoch = 0
    for write in sorted(writes):
        while epoch < len(homes) and homes[epoch] != write.server:
            epoch += 1
        if epoch == len(homes):
            return write
    return None


def judge(homes: Mapping[str, Sequence[str]], writes: Sequence[Write]) -> list[str]:
    """Return a sentence for each user whose mailbox had a writer out of turn."""
    found = {user: out_of_turn(turns, [w for w in writes if w.user == user]) for user, turns in homes.items()}
    return [
        f"{write.server} wrote to {user} at {write.at:.3f}, which was not its turn; homes were {', '.join(homes[user])}"
        for user, write in found.items()
        if write
    ]


@dataclass
class Turns:
    """The homes of some users' groups since it was made, by epoch. `follow` often: etcd forgets old revisions."""

    users: Sequence[str]
    began: float = field(default_factory=time.time)
    _groups: dict[str, int] = field(default_factory=dict)
    _epochs: dict[int, dict[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look up the users' groups and their present homes."""
        self._groups = {row["address"]: row["group"] for row in mailboxes(STACK) if row["address"] in self.users}
        for group in self._groups.values():
            epoch, home, _ = _revision(group, 0)
            self._epochs[group] = {epoch: home}

    def follow(self) -> None:
        """Add the epochs that have begun since."""
        for group in set(self._groups.values()):
            known, revision = self._epochs[group], 0
            newest = max(known)
            while True:
                epoch, home, changed = _revision(group, revision)
                if epoch <= newest:
                    break
                known[epoch], revision = home, changed - 1

    def homes(self) -> dict[str, list[str]]:
        """Return the homes of each user, first the one at the beginning."""
        return {user: [home for _, home in sorted(self._epochs[group].items())] for user, group in self._groups.items()}

    def trespasses(self) -> list[str]:
        """Return who wrote out of turn since the beginning, by the logs of all servers; all must run."""
        self.follow()
        script = f"journalctl -t dovecot -o short-unix --since=@{self.began:.0f} --no-pager | grep 'stored mail into'"
        logs = on_all(MAIL, lambda name: run_on(name, script).stdout)
        writes = [write for name, log in logs.items() for write in writes_of(name, log) if write.at >= self.began]
        assert writes, "no delivery is in any log, so nothing was proven"
        return judge(self.homes(), writes)


def _revision(group: int, revision: int) -> tuple[int, str, int]:
    """Return epoch, home and modification revision of a group, as they were at a revision of etcd (0: now)."""
    script = f"{ETCDCTL} --command-timeout=5s get {GROUPS}{group} --rev={revision} --write-out=json"
    told = []
    for name in ALL:
        try:
            output = run_on(name, script)
        except RuntimeError as error:  # a dead server
            told.append(f"{name}: {error}")
            continue
        told.append(f"{name}: {output.stderr}")
        if output.code == 0:
            (entry,) = json.loads(output.stdout)["kvs"]
            value = json.loads(b64decode(entry["value"]))
            return int(value["epoch"]), str(value["home"]), int(entry["mod_revision"])
    message = f"no server tells group {group} at revision {revision}: {'; '.join(told)}"
    raise AssertionError(message)
