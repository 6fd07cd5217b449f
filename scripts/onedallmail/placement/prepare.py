"""Asks the mailboxes service to prepare groups that are to be served here: their UIDs must not be given out twice.

When it does not answer in time the groups are served all the same, and it is asked again until it has answered.
"""

import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from onedallmail.placement.clock import moment

ABSENT_WAIT_S = 3.0
"""How long a service that has no socket is waited for: it may only be starting anew."""
RETRY_S = 0.2
LATER_S = 5.0
"""Between two attempts after the groups are served without."""

log = logging.getLogger("placement")


class Preparer:
    """Which groups (to epoch) may be served. One thread runs it; another one says what is wanted."""

    def __init__(
        self,
        path: Path,
        wait_s: float,
        prepared: Mapping[int, int],
        on_change: Callable[[], None],
        clock: Callable[[], float] = moment,
    ) -> None:
        """Begin with what an earlier run prepared; `on_change` is called when more may be served."""
        self._path, self._wait_s, self._on_change, self._clock = path, wait_s, on_change, clock
        self._condition = threading.Condition()
        self._prepared = dict(prepared)
        self._waived: dict[int, int] = {}
        self._wanted: dict[int, int] = {}
        self._since: float | None = None

    def want(self, groups: Mapping[int, int]) -> None:
        """Say which groups (to epoch) are to be prepared; others are forgotten."""
        with self._condition:
            self._wanted = {n: epoch for n, epoch in groups.items() if self._prepared.get(n) != epoch}
            if not self._open():
                self._since = None
            elif self._since is None:
                self._since = self._clock()
            self._condition.notify()

    @property
    def prepared(self) -> dict[int, int]:
        """The groups that were prepared, for the next run."""
        with self._condition:
            return dict(self._prepared)

    @property
    def allowed(self) -> dict[int, int]:
        """The groups that may be served: prepared, or waited for in vain."""
        with self._condition:
            return {**self._prepared, **self._waived}

    def run(self) -> None:
        """Work until the process is ended."""
        while True:
            pause_s = self.turn()
            with self._condition:
                self._condition.wait(pause_s)

    def turn(self) -> float:
        """Wait for something to do, and try once; return the seconds to the next time, unless more is wanted."""
        with self._condition:
            while not self._wanted:
                self._condition.wait()
            wanted = dict(self._wanted)
        try:
            done = self._ask(wanted)
        except (OSError, ValueError) as error:
            return self._failed(error)
        with self._condition:
            self._prepared |= done
            self._wanted = {n: epoch for n, epoch in self._wanted.items() if self._prepared.get(n) != epoch}
            left = dict(self._wanted)
        log.info("mailboxes of %d groups are prepared", len(done))
        self._on_change()
        return self._failed(ValueError(f"it left out {sorted(left)}")) if left else 0.0

    def _open(self) -> dict[int, int]:
        return {n: epoch for n, epoch in self._wanted.items() if self._waived.get(n) != epoch}

    def _failed(self, error: Exception) -> float:
        wait_s = min(self._wait_s, ABSENT_WAIT_S) if isinstance(error, FileNotFoundError) else self._wait_s
        with self._condition:
            late = self._since is not None and self._clock() - self._since >= wait_s
            waived = self._open() if late else {}
            if waived:
                self._waived |= waived
                self._since = None
            pause_s = RETRY_S if self._open() else LATER_S
        if waived:
            reason = f"{self._path}: {str(error) or type(error).__name__}"
            log.error("mailboxes of groups %s are served unprepared after %g s (%s)", sorted(waived), wait_s, reason)
            self._on_change()
        return pause_s

    def _ask(self, wanted: Mapping[int, int]) -> dict[int, int]:
        """Return those of the groups that the service has prepared; raises OSError or ValueError."""
        request = json.dumps({"prepare": sorted([n, epoch] for n, epoch in wanted.items())})
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._wait_s)
            connection.connect(str(self._path))
            connection.sendall(request.encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline())
        if not isinstance(answer, dict) or not isinstance(answer.get("prepared"), list):
            msg = f"it answered {str(answer)[:200]}, not which groups are prepared"
            raise ValueError(msg)  # noqa: TRY004 - what came over the socket is no argument
        done = {int(number): int(epoch) for number, epoch in answer["prepared"]}
        return {n: epoch for n, epoch in done.items() if wanted.get(n) == epoch}
