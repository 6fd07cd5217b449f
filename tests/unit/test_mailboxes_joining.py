"""Another standby is merged beside the old one, and takes its place when it has all that the old one vouches for."""

import asyncio
from pathlib import Path

import pytest

from onedallmail.mailboxes import switching
from onedallmail.mailboxes.kept import Frozen
from onedallmail.placement.map import Placement
from tests.unit.mailbox_servers import NAMES, U0, U1, V1, Platform, Run, ready, runner, until


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a test on a platform of its own."""
    monkeypatch.setattr(switching, "SOON_S", 0.2)
    monkeypatch.setattr(switching, "RETRY_S", 0.5)
    return runner(tmp_path, monkeypatch)


async def joined(servers: Platform, *groups: int) -> None:
    """Ask until the servers that join have everything."""
    left = set(groups or (0, 1))
    for _ in range(100):
        left -= set((await servers.ask("a1", "join", *((n, 1) for n in left)))["joined"])
        if not left:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"nobody may become standby of {left}: {await servers.ask('a1', 'join', (min(left), 1))}")


async def answers(servers: Platform, standby: str, user: str, ids: list[str] | None) -> None:
    """Wait until a server says that of what is asked it holds these; None: it does not vouch."""
    found: list[str] | None = []
    for _ in range(200):
        found = await servers.held(standby, user, ["old", "x"], "a1", 1)
        if found == ids:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{standby} says {found} of {user}, not {ids}")


def test_a_joining_server_gets_everything_vouches_for_nothing_and_becomes_the_standby(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        for user in (U0, U1, V1):
            await servers.deliver("a1", user, "old")
        await ready(servers, "a1")
        await answers(servers, "b1", U1, ["old"])
        servers.place("a1", "b1", 1, joining="c1")
        await joined(servers)
        assert servers.dovecots["c1"].ids(U1) == ["old"]
        assert await servers.held("c1", U1, ["old"], "a1", 1) is None
        assert await servers.held("b1", U1, ["old"], "a1", 1) == ["old"]
        servers.place("a1", "c1", 1)
        await answers(servers, "c1", U1, ["old"])
        await answers(servers, "b1", U1, None)
        await servers.deliver("a1", V1, "new")
        await until(lambda: servers.dovecots["c1"].ids(V1) == ["new", "old"], "the new standby gets what comes")
        assert servers.dovecots["b1"].ids(V1) == ["old"]

    run(test)


def test_once_it_may_be_switched_the_old_standby_is_told_nothing(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        servers.place("a1", "b1", 1, joining="c1")
        await joined(servers)
        await servers.deliver("a1", U0, "late")
        await asyncio.sleep(1.0)
        assert servers.dovecots["b1"].ids(U0) == []
        assert await servers.held("b1", U0, ["late"], "a1", 1) == []
        servers.place("a1", "b1", 1)  # given up
        await until(lambda: servers.dovecots["b1"].ids(U0) == ["late"], "the standby is told everything again")

    run(test)


def test_what_the_old_standby_was_told_after_the_merge_is_brought_before_the_switch(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        servers.place("a1", "b1", 1, joining="c1")
        await until(lambda: "1" in servers.status("a1").get("joining", {}), "the home knows that c1 joins")
        await until(lambda: not servers.status("a1")["reconciling"], "c1 is merged")
        await servers.deliver("a1", U1, "told")
        await until(lambda: servers.dovecots["b1"].ids(U1) == ["told"], "the old standby is told")
        await joined(servers)
        assert servers.dovecots["c1"].ids(U1) == ["told"]
        assert not servers.dovecots["c1"].deliver(U1, "told"), "its ledger lacks what the old standby vouches for"

    run(test)


def test_a_dead_standby_does_not_hinder_a_joining(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start("a1", "c1")
        servers.place("a1", "b1", 1, alive=("a1", "c1"), joining="c1")
        await servers.deliver("a1", U0, "x")
        await joined(servers)
        servers.place("a1", "c1", 1, alive=("a1", "c1"))
        await ready(servers, "a1")
        await until(lambda: servers.dovecots["c1"].ids(U0) == ["x"], "the new standby has the mail")
        await answers(servers, "c1", U0, ["x"])

    run(test)


def test_a_mailbox_that_fails_keeps_the_old_standby_and_it_is_told_on(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await servers.deliver("a1", V1, "x")
        await ready(servers, "a1")
        servers.dovecots["c1"].broken.add(V1)
        servers.place("a1", "b1", 1, joining="c1")
        await joined(servers, 0)
        answer = await servers.ask("a1", "join", (1, 1))
        assert answer["joined"] == answer["stale"] == []
        await servers.deliver("a1", U1, "y")
        await until(lambda: servers.dovecots["b1"].ids(U1) == ["y"], "the standby is told on")
        servers.dovecots["c1"].broken.clear()
        await joined(servers, 1)

    run(test)


def test_what_a_server_remembers_of_an_earlier_joining_counts_for_nothing(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        servers.place("a1", "b1", 1, joining="c1")
        await joined(servers)
        servers.place("a1", "b1", 1)
        await servers.deliver("a1", U0, "meanwhile")
        await until(lambda: servers.dovecots["b1"].ids(U0) == ["meanwhile"], "the standby has it")
        servers.place("a1", "b1", 1, joining="c1")
        await joined(servers)
        assert servers.dovecots["c1"].ids(U0) == ["meanwhile"]

    run(test)


def test_a_home_service_that_starts_anew_in_the_middle_says_so_and_keeps_the_standby_frozen(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        servers.place("a1", "b1", 1, joining="c1")
        await joined(servers)
        await servers.stop("a1", "c1")
        await servers.start("a1")
        answer = await servers.ask("a1", "join", (0, 1), (1, 1))
        assert (answer["joined"], answer["stale"]) == ([], [0, 1])
        await servers.deliver("a1", U0, "late")
        await asyncio.sleep(0.5)
        assert servers.dovecots["b1"].ids(U0) == []
        servers.place("a1", "b1", 1)
        await until(lambda: servers.dovecots["b1"].ids(U0) == ["late"], "the standby is told everything again")

    run(test)


def test_who_neither_is_standby_nor_joins_is_told_nothing(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        answer = await servers.ask("a1", "join", (1, 1))
        assert answer["joined"] == []
        assert "nobody joins" in answer["failed"]["1"]
        await servers.deliver("a1", U1, "x")
        await until(lambda: servers.dovecots["b1"].ids(U1) == ["x"], "the standby has it")
        assert servers.dovecots["c1"].ids(U1) == []

    run(test)


def test_a_frozen_group_is_known_after_a_restart_and_only_for_its_place(tmp_path: Path) -> None:
    frozen = Frozen(tmp_path)
    frozen.begin(3, 2, "b2")
    again = Frozen(tmp_path)
    place = Placement("a1", "b1", 2, "b2")
    assert again.server(3, place) == "b2"
    others = (Placement("a1", "b1", 2), Placement("a1", "b2", 2), Placement("a1", "b1", 3, "b2"))
    assert [again.server(3, other) for other in others] == [None, None, None]
    again.tidy("a1", {3: place})
    assert Frozen(tmp_path).server(3, place) == "b2"
    again.tidy("a1", {3: place.settled})
    assert Frozen(tmp_path).server(3, place) is None
    (tmp_path / "frozen.json").write_text("{")
    assert Frozen(tmp_path).server(3, place) is None
