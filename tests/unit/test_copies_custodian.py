"""The custodian with everything around it played: what is done for a copy, by whom, and when it goes."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from onedallmail.channel.errors import RefusedError, UnreachableError
from onedallmail.channel.peers import Peers
from onedallmail.channel.server import Server, serve
from onedallmail.copies import rules
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
from tests.unit.copies import ID, Keys, copy, settings

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


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path)


def rounds(platform: Platform, *names: str, later_s: float = 0.0) -> None:
    async def run() -> None:
        for name in names:
            await platform.round(name, later_s=later_s)

    asyncio.run(run())


def test_a_copy_goes_everywhere_as_soon_as_the_standby_vouches(platform: Platform) -> None:
    platform.keep("u@example.org")
    rounds(platform, "a1", "b1")
    assert platform.stored() == {"a1", "b1"}
    platform.world.held.add(("u@example.org", ID))
    rounds(platform, "b1", "a1")
    assert platform.stored() == set()
    assert platform.world.reinjected == []
    assert platform.custodians["a1"].status()["finished"] == 1


def test_every_mailbox_behind_an_alias_must_have_it_and_the_outside_must_have_left_the_queue(
    platform: Platform,
) -> None:
    platform.keep("All@example.org")
    platform.world.queue["4QUEUE"] = frozenset({"x@out.example"})
    platform.world.held = {("u@example.org", ID)}
    rounds(platform, "a1")
    platform.world.held.add(("v@example.org", ID))
    rounds(platform, "a1", later_s=rules.SETTLED_S)
    assert platform.stored() == {"a1", "b1"}
    del platform.world.queue["4QUEUE"]
    rounds(platform, "a1")
    assert platform.stored() == set()
    assert platform.world.reinjected == []


def test_nothing_is_judged_by_the_queue_before_postfix_has_finished_its_file(platform: Platform) -> None:
    platform.keep("x@out.example")
    rounds(platform, "a1", later_s=rules.SETTLED_S - 1)
    assert platform.stored() == {"a1", "b1"}
    rounds(platform, "a1", later_s=1)
    assert platform.stored() == set()


def test_what_a_dead_home_had_taken_is_delivered_to_the_new_one_while_another_recipient_waits(
    platform: Platform,
) -> None:
    platform.keep("u@example.org", "x@out.example")
    platform.world.queue["4QUEUE"] = frozenset({"x@out.example"})
    platform.world.vouching = False
    rounds(platform, "a1")
    rounds(platform, "a1", later_s=rules.SETTLED_S)
    assert platform.world.reinjected == [], "the home has it; its standby is only away"
    platform.world.groups[1] = Placement("b1", "a1", 2)
    rounds(platform, "a1")
    ((address, quiet, message),) = platform.world.reinjected
    assert (address, quiet) == ("u@example.org", False)
    assert message == b"Subject: x\r\n\r\nbody\r\n"
    rounds(platform, "a1", later_s=3600)
    assert len(platform.world.reinjected) == 1, "it is in the queue again"


def test_a_restart_of_the_custodian_remembers_what_it_gave_to_postfix(platform: Platform) -> None:
    platform.keep("u@example.org")
    platform.world.alive = MAIL - {"a1"}
    platform.world.vouching = False
    rounds(platform, "b1")
    assert len(platform.world.reinjected) == 1
    platform.restart("b1")
    rounds(platform, "b1", later_s=7200)
    platform.world.queue.clear()
    rounds(platform, "b1", later_s=7200)
    assert len(platform.world.reinjected) == 1, "the new home has it, the standby can't say"
    platform.world.vouching = True
    platform.world.held.add(("u@example.org", ID))
    rounds(platform, "b1")
    assert platform.stored() == {"a1"}
    assert not list((platform.settings["b1"].directory / "attempts").iterdir())


def test_the_holder_waits_while_the_origin_lives_and_acts_when_it_dies(platform: Platform) -> None:
    platform.keep("u@example.org", "x@out.example")
    platform.world.queue_away = True
    rounds(platform, "b1", "b1", later_s=120)
    assert platform.world.reinjected == []
    platform.world.alive = None
    rounds(platform, "b1")
    assert platform.world.reinjected == [], "nobody knows who lives"
    platform.world.alive = MAIL - {"a1"}
    rounds(platform, "b1")
    assert {address for address, _, _ in platform.world.reinjected} == {"u@example.org", "x@out.example"}
    platform.world.queue_away = False
    platform.world.held.add(("u@example.org", ID))
    rounds(platform, "b1")
    assert platform.stored() == {"a1", "b1"}, "the outside is still in the queue"
    platform.world.queue.clear()
    rounds(platform, "b1")
    assert platform.stored() == {"a1"}


def test_a_witness_hands_over_to_a_mail_server_which_cares_then(platform: Platform) -> None:
    platform.keep("u@example.org", holder="w1")
    rounds(platform, "w1")
    assert platform.stored() == {"a1", "w1"}
    platform.world.alive = MAIL - {"a1"}
    platform.unreachable = {"b1"}
    rounds(platform, "w1")
    assert platform.stored() == {"a1", "c1"}
    (name,) = platform.stores["c1"].names()
    assert platform.stores["c1"].label(name).holder == "c1"
    rounds(platform, "c1")
    assert len(platform.world.reinjected) == 1


def test_a_witness_keeps_what_nobody_takes(platform: Platform) -> None:
    platform.keep("u@example.org", holder="w1")
    platform.world.alive = MAIL - {"a1"}
    platform.unreachable = {"b1", "c1"}
    rounds(platform, "w1")
    assert platform.stored() == {"a1", "w1"}


def test_a_returned_origin_makes_the_adopters_copy_go(platform: Platform) -> None:
    platform.keep("u@example.org", at=("b1",))
    rounds(platform, "b1")
    rounds(platform, "b1", later_s=rules.ASK_AFTER_S - 1)
    assert platform.stored() == {"b1"}, "it may still be stored at its origin"
    rounds(platform, "b1", later_s=1)
    assert platform.stored() == set()
    assert platform.world.reinjected == []
    assert platform.custodians["b1"].status()["forgotten"] == 1


def test_an_origin_that_still_has_it_keeps_its_holder_waiting(platform: Platform) -> None:
    platform.keep("u@example.org")
    rounds(platform, "b1")
    rounds(platform, "b1", later_s=rules.ASK_AFTER_S)
    assert platform.stored() == {"a1", "b1"}


def test_an_origin_that_lost_its_disk_makes_the_holder_care(platform: Platform, tmp_path: Path) -> None:
    platform.keep("u@example.org")
    platform.stores["a1"] = Store(tmp_path / "new-disk", "copies", min_free_bytes=0)
    rounds(platform, "b1")
    rounds(platform, "b1", later_s=rules.ASK_AFTER_S)
    rounds(platform, "b1")
    assert len(platform.world.reinjected) == 1


def test_a_holder_that_can_not_be_told_finds_out_itself(platform: Platform) -> None:
    platform.keep("u@example.org")
    platform.world.held.add(("u@example.org", ID))
    platform.unreachable = {"b1"}
    rounds(platform, "a1")
    assert platform.stored() == {"b1"}
    rounds(platform, "b1")
    rounds(platform, "b1", later_s=rules.ASK_AFTER_S)
    assert platform.stored() == set()


@pytest.mark.parametrize("trouble", ["directory_away", "queue_away"])
def test_without_an_answer_nothing_is_dropped_or_repeated_and_the_status_says_why(
    platform: Platform, trouble: str
) -> None:
    platform.keep("u@example.org", "x@out.example", age_s=3600)
    setattr(platform.world, trouble, True)
    rounds(platform, "a1")
    assert platform.stored() == {"a1", "b1"}
    assert platform.world.reinjected == []
    assert platform.custodians["a1"].status()["alarms"]
    setattr(platform.world, trouble, False)
    platform.world.held.add(("u@example.org", ID))
    rounds(platform, "a1")
    assert platform.stored() == set()
    assert platform.custodians["a1"].status()["alarms"] == {}


def test_without_the_key_service_copies_wait(platform: Platform) -> None:
    platform.keep("u@example.org")
    platform.world.keys.away = True
    platform.world.held.add(("u@example.org", ID))
    rounds(platform, "a1")
    assert platform.stored() == {"a1", "b1"}
    platform.world.keys.away = False
    rounds(platform, "a1")
    assert platform.stored() == set()


def test_what_postfix_refuses_for_good_ends_after_all_attempts_and_is_counted(platform: Platform) -> None:
    platform.keep("u@example.org", age_s=3600)
    platform.world.refusing = True
    for pause_s in (0.0, *rules.PAUSES_S):
        rounds(platform, "a1", later_s=pause_s)
    rounds(platform, "a1", later_s=rules.PAUSES_S[-1])
    assert platform.stored() == set()
    assert platform.custodians["a1"].status()["ended_another_way"] == 1


def test_a_message_that_never_arrives_at_a_vouching_standby_is_repeated_with_growing_pauses_and_no_bounces(
    platform: Platform,
) -> None:
    platform.keep("u@example.org")
    rounds(platform, "a1")
    for pause_s in rules.PAUSES_S:
        rounds(platform, "a1", later_s=pause_s - 1)
        before = len(platform.world.reinjected)
        rounds(platform, "a1", later_s=1)
        assert len(platform.world.reinjected) == before + 1
        platform.world.queue.clear()
    assert all(quiet for _, quiet, _ in platform.world.reinjected)
    rounds(platform, "a1", later_s=rules.PAUSES_S[-1])
    assert platform.stored() == set()
    assert platform.custodians["a1"].status()["repeats"] == rules.MAX_ATTEMPTS - 1


def test_old_copies_are_asked_about_less_often(platform: Platform) -> None:
    platform.keep("u@example.org")

    async def run() -> None:
        await platform.round("a1")
        for kept in platform.custodians["a1"].shelf:
            kept.seen_at -= 600
            kept.due_at = 0.0
        await platform.custodians["a1"].round()
        asked = platform.world.asked
        await platform.custodians["a1"].round()
        assert platform.world.asked == asked
        platform.world.groups[1] = Placement("b1", "a1", 2)
        await platform.custodians["a1"].round()
        assert platform.world.asked == asked + 1, "a change of places makes everything due"

    asyncio.run(run())


def test_a_file_that_is_no_copy_is_reported_and_left(platform: Platform) -> None:
    label = platform.keep("u@example.org", at=("a1",))
    path = platform.stores["a1"].directory / label.name[:1] / label.name
    path.write_bytes(b"garbage\n")
    rounds(platform, "a1", "a1")
    assert path.exists()
    assert "unreadable" in platform.custodians["a1"].status()["alarms"]


def over_tls(directory: Path, test: Callable[[dict[str, Peers], dict[str, Store]], Any], server: str = "b1") -> None:
    """Run a test against the real verbs of a server over the real channel."""

    async def run() -> None:
        channels = estate(directory, *SERVERS)
        store = Store(directory / server, "copies", min_free_bytes=0)
        listening: Server = await serve(
            channels[server], Verbs(settings(directory, channels[server]), store).handlers()
        )
        peers = {name: Peers(replace(channel, port=listening.port)) for name, channel in channels.items()}
        try:
            await test(peers, {server: store})
        finally:
            await listening.close()

    asyncio.run(run())


def test_verbs_over_the_channel_do_what_rules_allow_and_nothing_else(tmp_path: Path) -> None:
    label, parts = copy(holder="b1")

    async def test(peers: dict[str, Peers], stores: dict[str, Store]) -> None:
        names = json.dumps([label.name]).encode()
        with pytest.raises(RefusedError, match="own copies only"):
            await peers["c1"].call("b1", "put", {"copy": label.as_record()}, parts)
        with pytest.raises(RefusedError, match="own copies only"):
            await peers["a1"].call("b1", "put", {"copy": label.held_by("c1").as_record()}, parts)
        with pytest.raises(RefusedError, match="label is not right"):
            await peers["a1"].call("b1", "put", {"copy": {**label.as_record(), "id": "../x"}}, parts)
        with pytest.raises(RefusedError, match="has no message"):
            await peers["a1"].call("b1", "put", {"copy": label.as_record()}, parts[:20])
        assert stores["b1"].names() == set()
        await peers["a1"].call("b1", "put", {"copy": label.as_record()}, parts)
        assert stores["b1"].read(label.name) == (label, parts)
        answer, body = await peers["c1"].call("b1", "known", {}, json.dumps([label.name, f"{ID}-4X-a1"]).encode())
        assert (answer["store"], json.loads(body)) == (stores["b1"].identity, [label.name])
        with pytest.raises(RefusedError, match="neither its origin"):
            await peers["c1"].call("b1", "drop", {}, names)
        with pytest.raises(RefusedError, match="no list"):
            await peers["a1"].call("b1", "drop", {}, b'["../x"]')
        for dropped in (1, 0):
            answer, _ = await peers["a1"].call("b1", "drop", {}, names)
            assert answer["dropped"] == dropped
        with pytest.raises(RefusedError, match="a witness may"):
            await peers["c1"].call("b1", "adopt", {"copy": label.held_by("c1").as_record()}, parts)
        await peers["w1"].call("b1", "adopt", {"copy": label.held_by("w1").as_record()}, parts)
        assert stores["b1"].label(label.name) == label

    over_tls(tmp_path, test)


def test_a_full_disk_is_told_to_the_caller(tmp_path: Path) -> None:
    label, parts = copy(holder="b1")

    async def test(peers: dict[str, Peers], stores: dict[str, Store]) -> None:
        stores["b1"]._min_free_bytes = 1 << 62
        with pytest.raises(RefusedError, match="make room on this disk"):
            await peers["a1"].call("b1", "put", {"copy": label.as_record()}, parts)

    over_tls(tmp_path, test)


def test_a_holder_that_dies_between_disk_and_answer_leaves_a_copy_that_can_be_put_again(tmp_path: Path) -> None:
    label, parts = copy(holder="b1")

    async def run() -> None:
        channels = estate(tmp_path, *SERVERS)
        store = Store(tmp_path / "b1", "copies", min_free_bytes=0)
        handlers = Verbs(settings(tmp_path, channels["b1"]), store).handlers()
        stored = asyncio.Event()

        async def put_and_die(peer: str, fields: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
            await handlers["put"](peer, fields, body)
            stored.set()
            await asyncio.sleep(60)
            return {}, b""

        dying = await serve(channels["b1"], {"put": put_and_die})
        peers = Peers(replace(channels["a1"], port=dying.port))
        putting = asyncio.create_task(peers.call("b1", "put", {"copy": label.as_record()}, parts))
        await stored.wait()
        await dying.close()
        with pytest.raises(UnreachableError):
            await putting
        assert store.names() == {label.name}
        again = await serve(replace(channels["b1"], port=dying.port), handlers)
        await peers.call("b1", "put", {"copy": label.as_record()}, parts)
        assert store.read(label.name) == (label, parts)
        await again.close()

    asyncio.run(run())
