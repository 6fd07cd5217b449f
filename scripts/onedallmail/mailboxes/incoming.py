"""Synchronisations that other servers run into this one: Dovecot names them to nobody, the kernel their connections.

One that began while this server was a standby goes on when it becomes home: Dovecot looks at the place only once.
"""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
OPEN = frozenset({"01", "08"})
"""Established, and closed by the other end with data that may not have been read (net/tcp_states.h of the kernel)."""
PAUSE_S = 0.05

Connection = tuple[str, str]
"""Local and remote address, as the kernel writes them."""


def connections(port: int | None, tables: Iterable[Path] = TABLES) -> frozenset[Connection]:
    """Return the open connections to a local port; raises OSError, ValueError."""
    found = set()
    for table in tables if port is not None else ():
        for line in table.read_text().splitlines()[1:]:
            _, local, remote, state, *_ = line.split()
            if state in OPEN and int(local.rpartition(":")[2], 16) == port:
                found.add((local, remote))
    return frozenset(found)


async def ended(port: int | None, bound_s: float, of: frozenset[Connection] | None = None) -> frozenset[Connection]:
    """Wait until all connections of now (or `of`) have ended; return those that have not after bound_s."""
    left = await asyncio.to_thread(connections, port) if of is None else of
    end = time.monotonic() + bound_s
    while left and time.monotonic() < end:
        await asyncio.sleep(PAUSE_S)
        left &= await asyncio.to_thread(connections, port)
    return left
