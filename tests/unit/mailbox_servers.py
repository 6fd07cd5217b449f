"""Mail servers with the real mailboxes service over the real channel; only Dovecot and the directory are stand-ins."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from onedallmail.channel.client import Client
from onedallmail.channel.settings import ChannelSettings
from onedallmail.mailboxes import home, leaving, members, reconcile, service, walk
from onedallmail.mailboxes.settings import Directory, DoveadmApi, Settings
from tests.unit.channels import estate
from tests.unit.dovecots import Dovecot

USERS = {"u0@acme.example": 0, "u1@acme.example": 1, "v1@acme.example": 1}
U0, U1, V1 = USERS
NAMES = ("a1", "b1", "c1")


@dataclass
class Platform:
    """Servers by name, and the map that all of them read."""

    directory: Path
    settings: dict[str, Settings] = field(default_factory=dict)
    dovecots: dict[str, Dovecot] = field(default_factory=dict)
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def place(
        self,
        home: str,
        standby: str,
        epoch: int,
        *,
        alive: tuple[str, ...] = NAMES,
        at: tuple[str, ...] = NAMES,
        joining: str = "",
    ) -> None:
        """Write the map with all groups alike, and the living, at some servers."""
        placement = {"home": home, "standby": standby, "epoch": epoch, **({"joining": joining} if joining else {})}
        for name in at:
            directory = self.settings[name].placement_directory
            groups = {str(group): placement for group in range(2)}
            _replace(directory / "groups.json", {"version": 1, "revision": epoch, "groups": groups})
            _replace(directory / "alive.json", {"version": 1, "at": "", "servers": dict.fromkeys(alive, "r")})
            self.lease(name, held=name in alive)

    def lease(self, server: str, *, held: bool) -> None:
        """Let a server's placement service say that it has a lease, or none."""
        status = {"lease": {"id": "1"} if held else None, "fence": {"open_for_s": 600.0 if held else 0.0}}
        _replace(self.settings[server].placement_directory / "status.json", status)

    async def start(self, *names: str) -> None:
        """Start services; return when all of them listen."""
        for name in names:
            (self.settings[name].state_directory / "status.json").unlink(missing_ok=True)
            self.running[name] = asyncio.create_task(service.run(self.settings[name]))
        await until(lambda: all(self.status(name) for name in names), "the services report")

    async def stop(self, *names: str) -> None:
        """Stop services."""
        for name in names:
            task = self.running.pop(name)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def status(self, name: str) -> dict[str, Any]:
        """Return a server's status.json; empty before the first."""
        try:
            return dict(json.loads((self.settings[name].state_directory / "status.json").read_text()))
        except FileNotFoundError:
            return {}

    async def event(self, server: str, user: str, name: str = "mail_delivery_finished", **fields: str) -> None:
        """Tell a service that a mailbox changed, as Dovecot does."""
        line = json.dumps({"event": name, "fields": {"user": user, **fields}})
        await self._say(self.settings[server].events_socket, line, answer=False)

    async def deliver(self, server: str, user: str, ingest_id: str) -> bool:
        """Deliver a message and tell of it."""
        delivered = self.dovecots[server].deliver(user, ingest_id)
        await self.event(server, user)
        return delivered

    async def prepare(self, server: str, *groups: tuple[int, int]) -> dict[str, Any]:
        """Ask as the placement service does."""
        return await self.ask(server, "prepare", *groups)

    async def ask(self, server: str, verb: str, *groups: tuple[int, int]) -> dict[str, Any]:
        """Ask anything that the placement service asks."""
        line = json.dumps({verb: [list(pair) for pair in groups]})
        return dict(json.loads(await self._say(self.settings[server].control_socket, line, answer=True)))

    async def _say(self, path: Path, line: str, *, answer: bool) -> bytes:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line.encode() + b"\n")
        await writer.drain()
        said = await reader.readline() if answer else b""
        writer.close()
        return said

    async def held(self, standby: str, user: str, ids: list[str], home: str, epoch: int) -> list[str] | None:
        """Ask a standby; None when it does not vouch."""
        client = Client(self.settings[home].channel, standby)
        try:
            answer, _ = await client.call("held", {"items": [[user, USERS[user], epoch, home, ids]]})
        finally:
            await client.close()
        found: dict[str, list[str]] = answer["held"]
        return found.get(user)


def _replace(path: Path, document: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(document))
    new.replace(path)


async def until(true: Callable[[], object], what: str, bound_s: float = 15) -> None:
    """Wait until something holds."""
    for _ in range(int(bound_s / 0.05)):
        if true():
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"not within {bound_s} s: {what}")


def _settings(directory: Path, channel: ChannelSettings, port: int) -> Settings:
    for name in ("mail", "placement", "state"):
        (directory / name).mkdir(parents=True)
    (directory / "key").write_text("key\n")
    return Settings(
        server=channel.server,
        groups=2,
        mail_directory=directory / "mail",
        placement_directory=directory / "placement",
        state_directory=directory / "state",
        events_socket=directory / "events.sock",
        control_socket=directory / "control.sock",
        sync_destination="{address}",
        workers=3,
        sync_timeout_s=5,
        walk_interval_s=10**6,
        api=DoveadmApi(port, port, directory / "key"),
        directory=Directory("", "", ""),
        channel=channel,
    )


@contextlib.asynccontextmanager
async def platform(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    """Three servers that are not started yet, a1 home of all groups with standby b1."""
    monkeypatch.setattr(members, "ask", lambda _: dict(USERS))
    found = Platform(directory)
    by_address: dict[str, Dovecot] = {}
    for name, channel in estate(directory, *NAMES, port=20028).items():
        here = directory / name
        dovecot = Dovecot(here / "mail", by_address)
        by_address[channel.addresses[name]] = dovecot
        found.dovecots[name] = dovecot
        found.settings[name] = _settings(here, replace(channel), dovecot.port)
    found.place("a1", "b1", 1)
    try:
        yield found
    finally:
        await found.stop(*list(found.running))
        for dovecot in found.dovecots.values():
            dovecot.close()


Test = Callable[[Platform], Awaitable[None]]
Run = Callable[[Test], None]


def runner(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a test on a platform of its own, with short pauses."""
    for module, name, pause_s in (
        (home, "RETURN_S", 0.1),
        (home, "READINESS_S", 0.3),
        (home, "RETRY_S", 0.5),
        (home, "SOON_S", 0.2),
        (leaving, "SETTLE_S", 0.05),
        (leaving, "PATIENCE_S", 0.3),
        (reconcile, "SETTLE_S", 0.1),
        (service, "STATUS_S", 0.1),
        (walk, "SETTLE_S", 0.1),
    ):
        monkeypatch.setattr(module, name, pause_s)

    def run(test: Test) -> None:
        async def inside() -> None:
            async with platform(directory, monkeypatch) as servers:
                await test(servers)

        asyncio.run(inside())

    return run


async def ready(servers: Platform, server: str, groups: int = 2) -> None:
    """Wait until the standbys of a home are ready."""
    await until(lambda: servers.status(server).get("groups_ready") == groups, f"the standbys of {server} are ready")
