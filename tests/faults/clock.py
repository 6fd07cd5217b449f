"""A service whose clock jumps: it starts again with a wall clock that is minutes off, and later with the right one."""

import random
from collections.abc import Sequence

from tests.faults.fault import Fault
from tests.lab import run_on

SERVICES = ("onedallmail-placement", "onedallmail-copies", "onedallmail-ingest", "onedallmail-mailboxes")
JUMPS_S = (-1800, -90, 90, 1800)
LIBRARY = "$(ls /usr/lib/*/faketime/libfaketimeMT.so.1)"


def clock_jumped(chance: random.Random, living: Sequence[str]) -> Fault:
    """One service has another time than its fellows and other servers; the monotonic clock goes on as it did."""
    return jumped(chance.choice(living), chance.choice(SERVICES), chance.choice(JUMPS_S))


def jumped(name: str, unit: str, jump_s: int) -> Fault:
    """Return the fault of a wrong clock of one service."""
    folder = f"/run/systemd/system/{unit}.service.d"
    settings = f"FAKETIME={jump_s:+d} FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 FAKETIME_DISABLE_SHM=1"
    start = f"systemctl daemon-reload && systemctl restart {unit}.service"
    jump = (
        f"set -e; library={LIBRARY}; mkdir -p {folder}; "
        f'printf "[Service]\\nEnvironment=LD_PRELOAD=%s {settings}\\n" "$library" > {folder}/fault-clock.conf; {start}'
    )

    def inject() -> None:
        output = run_on(name, jump)
        assert output.code == 0, f"{output}; if libfaketime is missing, ./scripts/up makes a new image"

    return Fault(
        f"the clock of {unit} on {name} is {jump_s:+d} s off",
        inject,
        lambda: run_on(name, f"rm -f {folder}/fault-clock.conf; {start}"),
    )
