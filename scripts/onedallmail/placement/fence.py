"""The fence: ports of this server's mailboxes that the kernel keeps closed unless they were opened a moment ago.

Opening writes the ports with a timeout into a set of nftables, so the kernel closes them by itself when nobody renews
them: because the lease is gone, or because this process was stopped, killed or starved. The table is role placement's.
"""

import logging
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from onedallmail.placement.clock import moment

NFT = "/usr/sbin/nft"
NFT_TIMEOUT_S = 2.0
SET = "inet onedallmail_fence alive"
SHORTEST_S = 0.05
"""Less is not worth opening for."""

log = logging.getLogger("placement")


class FenceError(Exception):
    """The kernel's rules could not be changed, with what nft said."""


class Fence:
    """The fence of this server; used by several threads."""

    def __init__(self, ports: Sequence[int], file: Path, clock: Callable[[], float] = moment) -> None:
        """Keep the ports, and the file of the table; nothing is changed yet."""
        self._ports = tuple(ports)
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self.error: str | None = None

    def load(self) -> None:
        """Put the table in place if it is not; ports that are open stay so. Raises FenceError."""
        _nft(["-f", str(self._file)])

    def open(self, until: float) -> None:
        """Open the ports up to a moment of the clock; log why when that fails: then the kernel closes them in time."""
        with self._lock:
            try:
                self._open(until)
            except FenceError as error:
                self._complain(str(error))
            else:
                self._complain(None)

    def close(self) -> None:
        """Close the ports now."""
        with self._lock:
            self._until = 0.0
            try:
                _nft(["flush", "set", *SET.split()])
            except FenceError as error:
                self._complain(str(error))

    def open_for(self) -> float:
        """Return for how many more seconds the ports are open; 0 when they are closed."""
        return max(0.0, self._until - self._clock())

    def _open(self, until: float) -> None:
        left_s = until - self._clock()
        if left_s < SHORTEST_S:
            return
        ports = ", ".join(str(port) for port in self._ports)
        timed = ", ".join(f"{port} timeout {int(left_s * 1000)}ms" for port in self._ports)
        script = f"destroy element {SET} {{ {ports} }}\nadd element {SET} {{ {timed} }}\n"
        try:
            _nft(["-f", "-"], script)
        except FenceError:
            # The table may be gone: somebody flushed the kernel's rules.
            self.load()
            _nft(["-f", "-"], script)
        self._until = until
        if self._clock() > until:
            # This process stood still between reckoning and writing: what it wrote is too long.
            self._until = 0.0
            _nft(["flush", "set", *SET.split()])

    def _complain(self, error: str | None) -> None:
        if error != self.error:
            log.warning("%s", error) if error else log.info("the fence can be opened again")
        self.error = error


def _nft(arguments: list[str], script: str | None = None) -> None:
    command = [NFT, *arguments]
    try:
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=NFT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"fence: {' '.join(command)}: {error}"
        raise FenceError(msg) from error
    if done.returncode != 0:
        msg = f"fence: {' '.join(command)} failed: {done.stderr.strip()}; the fenced ports close by themselves"
        raise FenceError(msg)
