"""A platform whose custodians find everything around them played."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from onedallmail.channel.errors import UnreachableError
from onedallmail.copies.attempts import Attempts
from onedallmail.copies.care import Care, Means
from onedallmail.copies.custodian import Custodian
from onedallmail.copies.keys import OpeningKeys
from onedallmail.copies.places import Places
from onedallmail.copies.postfix import Queue, QueueAwayError
from onedallmail.copies.postfix import RefusedError as PostfixRefusedError
from onedallmail.copies.recipients import DirectoryAwayError, Entry
from onedallmail.copies.record import Label
from onedallmail.copies.seal import Envelope, Recipient
from onedallmail.copies.settings import Settings
from onedallmail.copies.store import Store
from onedallmail.copies.verbs import Verbs
from onedallmail.placement.map import Placement
from tests.unit.channels import estate
from tests.unit.copies import Keys, copy, settings

SERVERS = ("a1", "b1", "c1", "w1")
MAIL = frozenset({"a1", "b1", "c1"})
DIRECTORY = {
    "u@example.org": Entry(group=1),
    "v@example.org": Entry(group=2),
    "all@example.org": Entry(("u@example.org", "v@example.org", "x@out.example")),
}


@dataclass
class World:
    """What a custodian finds around it; tests change it between rounds."""

    alive: frozenset[str] | None = MAIL
    groups: dict[int, Placement] = field(
        default_factory=lambda: {1: Placement("a1", "b1", 1), 2: Placement("c1", "b1", 1)}
    )
    held: set[tuple[str, str]] = field(default_factory=set)
    vouching: bool = True
    queue: dict[str, frozenset[str]] = field(default_factory=dict)
    queue_away: bool = False
    directory_away: bool = False
    refusing: bool = False
    now_s: float = field(default_factory=lambda: datetime.now(UTC).timestamp())
    reinjected: list[tuple[str, bool, bytes]] = field(default_factory=list)
    keys: Keys = field(default_factory=Keys)
    asked: int = 0

    def read(self) -> Places:
        return Places(self.alive, dict(self.groups))

    def lookup(self, addresses: Collection[str]) -> dict[str, Entry]:
        if self.directory_away:
            msg = "no replica"
            raise DirectoryAwayError(msg)
        return {address: DIRECTORY[address] for address in addresses if address in DIRECTORY}

    async def ask(self, server: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        self.asked += 1
        if not self.vouching:
            return {"held": []}
        for user, group, epoch, home, _ in fields["items"]:
            assert self.groups[group] == Placement(home, server, epoch)
            assert DIRECTORY[user].group == group
        held = [[user, [i for i in ids if (user, i) in self.held]] for user, _, _, _, ids in fields["items"]]
        return {"held": held}

    def read_queue(self) -> Queue:
        if self.queue_away:
            msg = "no postqueue"
            raise QueueAwayError(msg)
        return Queue(self.queue)

    def reinject(self, _envelope: Envelope, recipient: Recipient, message: bytes, quiet: bool) -> str:
        if self.refusing:
            msg = "550"
            raise PostfixRefusedError(msg)
        self.reinjected.append((recipient.address, quiet, message))
        queue_id = f"4AGAIN{len(self.reinjected)}"
        self.queue[queue_id] = frozenset({recipient.address})
        return queue_id

    def means(self) -> Means:
        unwrap = OpeningKeys(self.keys, pause_s=0).unwrap
        return Means(unwrap, self.lookup, self.ask, self.read_queue, self.reinject, lambda: self.now_s)


class Platform:
    """Servers with a store and a custodian each; calls between them go straight to the verbs."""

    def __init__(self, directory: Path) -> None:
        self.world = World()
        self.settings: dict[str, Settings] = {}
        self.stores: dict[str, Store] = {}
        self.custodians: dict[str, Custodian] = {}
        self.unreachable: set[str] = set()
        for name, channel in estate(directory, *SERVERS).items():
            found = settings(directory / name, channel)
            self.settings[name], self.stores[name] = found, Store(directory / name / "s", "copies", min_free_bytes=0)
            self.restart(name)

    def restart(self, name: str) -> None:
        found, store = self.settings[name], self.stores[name]
        attempts = Attempts(found.directory / "attempts")
        care = Care(name, store, attempts, self.world.means()) if found.delivers else None
        self.custodians[name] = Custodian(
            found, store, attempts=attempts, places=self.world, care=care, call=self._caller(name)
        )

    def _caller(self, caller: str) -> Callable[[str, str, Mapping[str, Any], bytes], Any]:
        async def call(server: str, verb: str, fields: Mapping[str, Any], body: bytes) -> Any:
            if server in self.unreachable:
                raise UnreachableError(server, verb, "dead")
            handlers = Verbs(self.settings[server], self.stores[server]).handlers()
            return await handlers[verb](caller, dict(fields), body)

        return call

    def keep(self, *recipients: str, holder: str = "b1", age_s: float = 0.0, at: tuple[str, ...] = ()) -> Label:
        """Put a copy of a1 into its store and the holder's."""
        when = datetime.fromtimestamp(self.world.now_s - age_s, UTC).isoformat()
        label, parts = copy(*recipients, holder=holder, at=when)
        label = replace(label, store=self.stores["a1"].identity)
        for server in at or ("a1", holder):
            self.stores[server].put(label, parts)
        return label

    async def round(self, name: str, *, later_s: float = 0.0) -> None:
        """Let a custodian do a round, some time later, with everything due."""
        self.world.now_s += later_s
        for kept in self.custodians[name].shelf:
            kept.due_at = 0.0
            kept.seen_at -= later_s
        await self.custodians[name].round()

    def stored(self) -> set[str]:
        """Return the servers that have a copy."""
        return {name for name, store in self.stores.items() if store.names()}
