"""The service's Unix sockets: systemd holds them, so that nobody finds them closed while the service is restarted."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

FIRST_DESCRIPTOR = 3
"""sd_listen_fds(3)."""
MAX_LINE_BYTES = 1 << 20

log = logging.getLogger("mailboxes.sockets")


def listening(name: str, path: Path, *, mode: int = 0o660) -> socket.socket:
    """Return the socket that systemd passed under a name; without systemd, one made at the path. Raises OSError."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        names = os.environ.get("LISTEN_FDNAMES", "").split(":")
        if name in names:
            return socket.socket(fileno=FIRST_DESCRIPTOR + names.index(name))
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    path.chmod(mode)
    made.listen(64)
    return made


Answerer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


async def serve_lines(listener: socket.socket, answer: Answerer) -> asyncio.Server:
    """Answer each line, a JSON object, with a line. What is no object is answered with an error."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await _answered(line, answer)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError) as error:
            log.info("a connection is given up: %s", error)
        finally:
            writer.close()

    return await asyncio.start_unix_server(connected, sock=listener, limit=MAX_LINE_BYTES)


async def _answered(line: bytes, answer: Answerer) -> dict[str, Any]:
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            return {"error": "a JSON object is expected"}
        return await answer(request)
    except (ValueError, TypeError, KeyError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def asked(request: dict[str, Any], verbs: Collection[str]) -> tuple[str, dict[int, int]]:
    """Return verb, and epoch by group, of {VERB: [[group, epoch], ...]}; raises ValueError."""
    verb = next(iter(request), "")
    pairs = request.get(verb)
    if (
        len(request) != 1
        or verb not in verbs
        or not isinstance(pairs, list)
        or not all(
            isinstance(p, list) and len(p) == 2 and all(type(n) is int for n in p)  # noqa: PLR2004 - group and epoch
            for p in pairs
        )
    ):
        msg = f"expected is {{VERB: [[group, epoch], ...]}}, VERB one of {', '.join(sorted(verbs))}"
        raise ValueError(msg)
    return verb, dict(pairs)
