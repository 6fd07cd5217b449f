"""The service onedallmail-mailboxes: keeps each mailbox's standby equal to its home, and serves the homes of others."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from onedallmail.channel.server import serve
from onedallmail.mailboxes.deliveries import Deliveries
from onedallmail.mailboxes.dirty import DirtyTable
from onedallmail.mailboxes.dovecot import Api
from onedallmail.mailboxes.events import Listener
from onedallmail.mailboxes.home import Home
from onedallmail.mailboxes.kept import Frozen, Merging, Raised, Taken
from onedallmail.mailboxes.measures import status, write
from onedallmail.mailboxes.members import Members
from onedallmail.mailboxes.moving import Mover
from onedallmail.mailboxes.parts import Parts
from onedallmail.mailboxes.peers import Peers
from onedallmail.mailboxes.places import Store
from onedallmail.mailboxes.prepare import Preparer
from onedallmail.mailboxes.push import Pusher
from onedallmail.mailboxes.reconcile import Reconciler
from onedallmail.mailboxes.record import Record
from onedallmail.mailboxes.rules import declared_by
from onedallmail.mailboxes.scripts import JOINING_NAME, Scripts
from onedallmail.mailboxes.settings import Settings, SettingsError, load_settings
from onedallmail.mailboxes.sockets import Answerer, asked, listening, serve_lines
from onedallmail.mailboxes.standby import Standby
from onedallmail.mailboxes.switching import Switcher
from onedallmail.mailboxes.view import View
from onedallmail.mailboxes.walk import Walker

CONFIGURATION = Path("/etc/onedallmail/mailboxes.json")
EVENTS = "events"
CONTROL = "control"
DIRTY = "dirty.sqlite"
MEMBERS = "members.json"
USAGE = 2
MEMBERS_S = 15.0
STATUS_S = 2.0
SPARE_THREADS = 8
"""Beside those that synchronise: for what peers ask, and for files."""

log = logging.getLogger("mailboxes")


async def run(settings: Settings) -> None:
    """Run until cancelled; raises OSError, ssl.SSLError or ChannelSettingsError at the start."""
    threads = ThreadPoolExecutor(2 * settings.workers + SPARE_THREADS, "mailboxes")
    asyncio.get_running_loop().set_default_executor(threads)
    settings.state_directory.mkdir(parents=True, exist_ok=True)
    parts = join(settings)
    dirty = DirtyTable(settings.state_directory / DIRTY)
    standby, pusher = Standby(parts), Pusher(parts)
    reconciler, preparer = Reconciler(parts, pusher), Preparer(parts, standby)
    switcher = Switcher(parts, pusher, reconciler)
    home = Home(parts, dirty, pusher, reconciler, switcher)
    mover = Mover(parts, pusher, home.declared.get)
    deliveries = Deliveries(parts, home.counters)
    walker = Walker(parts, pusher, home.counters, home.placed)
    listener = Listener(home.changed, home.lost, deliveries)

    await asyncio.to_thread(parts.members.refresh)
    await listener.start(listening(EVENTS, settings.events_socket, mode=0o666))
    controller = await serve_lines(listening(CONTROL, settings.control_socket), _answerer(preparer, mover, switcher))
    server = await serve(settings.channel, standby.handlers)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(home.run())
            group.create_task(walker.run())
            group.create_task(deliveries.run())
            group.create_task(_read_members(parts))
            group.create_task(_report(parts, home, dirty, lambda: reconciler.dropped + standby.merged, listener))
    finally:
        controller.close()
        await asyncio.gather(listener.close(), server.close(), parts.peers.close(), return_exceptions=True)
        dirty.close()
        parts.scripts.close()
        parts.joining_scripts.close()
        threads.shutdown(wait=False, cancel_futures=True)


def join(settings: Settings) -> Parts:
    """Return the parts that the settings describe."""
    home, upkeep = (
        Api(port, settings.api.key_file, host=settings.api.host)
        for port in (settings.api.home_port, settings.api.upkeep_port)
    )
    return Parts(
        settings=settings,
        view=View(settings.placement_directory),
        members=Members(settings.directory, settings.state_directory / MEMBERS),
        record=Record(settings.state_directory),
        store=Store(settings.mail_directory),
        home=home,
        upkeep=upkeep,
        peers=Peers(settings.channel),
        merging=Merging(settings.state_directory),
        frozen=Frozen(settings.state_directory),
        raised=Raised(settings.state_directory),
        taken=Taken(settings.state_directory),
        scripts=Scripts(settings.state_directory),
        joining_scripts=Scripts(settings.state_directory, JOINING_NAME),
    )


def _answerer(preparer: Preparer, mover: Mover, switcher: Switcher) -> Answerer:
    async def answer(request: dict[str, Any]) -> dict[str, Any]:
        verb, epochs = asked(request, ("prepare", "sync", "handover", "join"))
        if verb == "prepare":
            prepared, reasons = await preparer.prepare(epochs)
            return {"prepared": [list(pair) for pair in prepared], **({"error": "; ".join(reasons)} if reasons else {})}
        if verb == "join":
            outcome = await switcher.join(epochs)
            return {"joined": outcome.done, "failed": outcome.failed, "stale": outcome.stale}
        if verb == "sync":
            done, failed = await mover.synchronise(epochs)
            return {"synced": done, "failed": failed}
        done, failed = await mover.hand_over(epochs)
        return {"handed": done, "failed": failed}

    return answer


async def _read_members(parts: Parts) -> None:
    while True:
        await asyncio.sleep(MEMBERS_S)
        await asyncio.to_thread(parts.members.refresh)


async def _report(parts: Parts, home: Home, dirty: DirtyTable, dropped: Callable[[], int], listener: Listener) -> None:
    while True:
        now = {
            "dropped": dropped(),
            "events": listener.events,
            "broken_events": listener.broken,
            "directory_error": parts.members.error,
        }
        document = status(home.counters, {**current(parts.me, home, dirty), **now})
        await asyncio.to_thread(write, parts.settings.state_directory, document)
        await asyncio.sleep(STATUS_S)


def current(me: str, home: Home, dirty: DirtyTable) -> dict[str, Any]:
    """Return what is true now of groups and changed mailboxes."""
    waiting = sorted(
        number
        for number, p in home.groups.items()
        if (d := home.declared.get(number)) is None or not declared_by(d, me, p.epoch) or d.without
    )
    oldest = dirty.oldest()
    return {
        "version": 1,
        "server": me,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "groups_home": len(home.groups),
        "groups_ready": len(home.groups) - len(waiting),
        "groups_not_ready": waiting,
        "reconciling": sorted(home.reconciling),
        "joining": {str(number): p.joining for number, p in sorted(home.groups.items()) if p.joining},
        "dirty": dirty.count(),
        "oldest_dirty_s": round(time.time() - oldest, 3) if oldest is not None else 0.0,
    }


async def _until_ended(settings: Settings) -> None:
    task = asyncio.ensure_future(run(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("ended")


def main(arguments: list[str]) -> int:
    """Run the service, or with --check FILE say whether a configuration is right."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    if arguments and (arguments[0] != "--check" or len(arguments) != 2):  # noqa: PLR2004 - the option and its file
        log.error("usage: service [--check FILE]")
        return USAGE
    try:
        settings = load_settings(Path(arguments[1]) if arguments else CONFIGURATION)
    except SettingsError as error:
        log.error("%s", error)  # noqa: TRY400 - the message is for an operator
        return 1
    if not arguments:
        asyncio.run(_until_ended(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
