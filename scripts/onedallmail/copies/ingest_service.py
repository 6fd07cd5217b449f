"""The service onedallmail-ingest: the milter at its socket, the sealing key, and the status file."""

import asyncio
import logging
import signal
import ssl
import sys
from pathlib import Path

from onedallmail.channel.peers import Peers
from onedallmail.channel.settings import ChannelSettingsError
from onedallmail.copies import status
from onedallmail.copies.ingest_milter import Memory, Milter
from onedallmail.copies.keeper import Keeper
from onedallmail.copies.keys import SealingKey
from onedallmail.copies.kms import Kms
from onedallmail.copies.places import PlacementFiles
from onedallmail.copies.record import Label, now
from onedallmail.copies.settings import CONFIGURATION, Settings, SettingsError, load_settings
from onedallmail.copies.store import Store, StoreError

STATUS_S = 5.0
BACKLOG = 200
OVERHEAD_BYTES = 1024 * 1024
"""Headers that Postfix and the other milters add to a message of the largest size."""

log = logging.getLogger("copies")


async def run(settings: Settings) -> None:
    """Serve until a signal ends it; raises OSError, ssl.SSLError, ChannelSettingsError or StoreError."""
    store = Store(settings.directory / "store", "ingest", min_free_bytes=settings.min_free_bytes)
    key = SealingKey(Kms(settings.kms.arns, settings.kms.context))
    peers = Peers(settings.channel)

    async def put(server: str, label: Label, parts: bytes, timeout_s: float) -> None:
        await peers.call(server, "put", {"copy": label.as_record()}, parts, timeout_s=timeout_s)

    keeper = Keeper(settings, store, key, PlacementFiles(settings.placement), put)
    await key.renew()
    milter = Milter(keeper.keep, Memory(settings.buffered_bytes, settings.message_bytes + OVERHEAD_BYTES))
    listener = await _listener(settings, milter)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    tasks = [asyncio.create_task(key.keep()), asyncio.create_task(_report(settings.directory, keeper))]
    await ended.wait()
    listener.close()
    for task in tasks:
        task.cancel()


async def _listener(settings: Settings, milter: Milter) -> asyncio.Server:
    settings.socket.unlink(missing_ok=True)
    listener = await asyncio.start_unix_server(milter.connected, settings.socket, backlog=BACKLOG)
    settings.socket.chmod(0o660)  # its folder gives it the group of Postfix
    return listener


async def _report(directory: Path, keeper: Keeper) -> None:
    while True:
        try:
            status.write(directory, status.INGEST, keeper.status(), now())
        except OSError as error:
            log.warning("status can't be written: %s", error)
        await asyncio.sleep(STATUS_S)


def main(arguments: list[str]) -> int:
    """Run the service, or with --check FILE say whether a configuration is right."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if arguments and (arguments[0] != "--check" or len(arguments) != 2):  # noqa: PLR2004 - the option and its file
        log.error("usage: ingest_service [--check FILE]")
        return 2
    try:
        settings = load_settings(Path(arguments[1]) if arguments else CONFIGURATION)
        if not arguments:
            asyncio.run(run(settings))
    except (SettingsError, StoreError, ChannelSettingsError, ssl.SSLError) as error:
        log.error("%s", error)  # noqa: TRY400 - the message is for an operator
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
