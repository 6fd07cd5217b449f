"""The service onedallmail-copies: keeps other servers' copies, and looks after all that lie here."""

import asyncio
import logging
import signal
import ssl
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from onedallmail.channel.peers import Peers
from onedallmail.channel.server import serve
from onedallmail.channel.settings import ChannelSettingsError
from onedallmail.copies import status
from onedallmail.copies.attempts import Attempts
from onedallmail.copies.care import Care, Means
from onedallmail.copies.custodian import CALL_S, Custodian
from onedallmail.copies.keys import OpeningKeys
from onedallmail.copies.places import AliveKeys, PlacementFiles, PlacesSource
from onedallmail.copies.postfix import read_queue, reinject
from onedallmail.copies.recipients import Psql
from onedallmail.copies.record import now
from onedallmail.copies.seal import Envelope, Recipient
from onedallmail.copies.settings import CONFIGURATION, Settings, SettingsError, load_settings
from onedallmail.copies.standbys import CALL_S as HELD_S
from onedallmail.copies.store import Store, StoreError
from onedallmail.copies.verbs import Verbs
from onedallmail.placement.etcd import EtcdClient
from onedallmail.placement.store import EtcdError

STATUS_S = 5.0

log = logging.getLogger("copies")


async def run(settings: Settings) -> None:
    """Serve until a signal ends it; raises OSError, ssl.SSLError, ChannelSettingsError or StoreError."""
    store = Store(settings.directory / "store", "copies", min_free_bytes=settings.min_free_bytes)
    attempts = Attempts(settings.directory / "attempts")
    peers = Peers(settings.channel)

    async def call(server: str, verb: str, fields: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        return await peers.call(server, verb, fields, body, timeout_s=CALL_S)

    care = Care(settings.server, store, attempts, _means(settings)) if settings.delivers else None
    custodian = Custodian(settings, store, attempts=attempts, places=_places(settings), care=care, call=call)
    server = await serve(settings.channel, Verbs(settings, store).handlers())
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(custodian.run()), tasks.create_task(_report(settings.directory, custodian))]
        await ended.wait()
        for task in running:
            task.cancel()
    await server.close()
    await peers.close()


def _means(settings: Settings) -> Means:
    """Return what a mail server's custodian works with; raises OSError, ssl.SSLError or ChannelSettingsError."""
    # botocore is not installed on a witness, which opens no copy.
    from onedallmail.copies.kms import Kms  # noqa: PLC0415

    sync = Peers(settings.sync_channel)

    async def ask(server: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        answer, _ = await sync.call(server, "held", fields, timeout_s=HELD_S)
        return answer

    def again(envelope: Envelope, recipient: Recipient, message: bytes, quiet: bool) -> str:
        name = f"{settings.server}.internal"
        return reinject(settings.reinjection_port, name, envelope, recipient, message, quiet=quiet)

    keys = OpeningKeys(Kms(settings.kms.arns, settings.kms.context))
    lookup = Psql(settings.database, settings.database_user)
    return Means(unwrap=keys.unwrap, lookup=lookup, ask=ask, queue=read_queue, reinject=again)


def _places(settings: Settings) -> PlacesSource:
    if settings.etcd is None:
        return PlacementFiles(settings.placement)
    return AliveKeys(EtcdClient(settings.etcd), EtcdError)


async def _report(directory: Path, custodian: Custodian) -> None:
    while True:
        facts = {**custodian.status(), "ingest": status.read(directory, status.INGEST)}
        try:
            await asyncio.to_thread(partial(status.write, directory, status.STATUS, facts, now()))
        except OSError as error:
            log.warning("status can't be written: %s", error)
        await asyncio.sleep(STATUS_S)


def main(arguments: list[str]) -> int:
    """Run the service, or with --check FILE say whether a configuration is right."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if arguments and (arguments[0] != "--check" or len(arguments) != 2):  # noqa: PLR2004 - the option and its file
        log.error("usage: service [--check FILE]")
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
