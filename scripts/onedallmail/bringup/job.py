"""`up` and `down`: the order of the phases, and the lock that keeps two runs of one checkout apart."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from onedallmail.cloud import emulator
from onedallmail.lab import host
from onedallmail.lab import lab as machines
from onedallmail.paths import state_dir

from . import status
from .configure import configure
from .evidence import build_evidence
from .phases import Phase, PhaseError, PhaseTime, run_phases
from .provision import provision
from .realise import realise
from .setup import prepare_image
from .verify import verify


def up(stack: str, console: Console, *, setup_s: float = 0.0) -> None:
    """Bring the lab of a stack up, verify it and build its evidence; repeatable, and repairs what a killed run left.

    `setup_s` is how long the shell's part of the set-up took.

    Raises:
        PhaseError: a phase failed; the message names its log.
    """
    problems = host.preflight()
    if problems:
        msg = "this machine can't run the lab:\n" + "\n".join(f"- {p}" for p in problems)
        raise PhaseError(msg)
    phases = (
        Phase("image", "the server image, from the roles' package lists", lambda step, _: prepare_image(stack, step)),
        Phase("provision", "the Pulumi program", lambda step, _: provision(stack, step)),
        Phase("realise", "servers, routers, peer and name service", lambda step, _: realise(stack, step)),
        Phase("configure", "Ansible, then the demonstration accounts", lambda step, log: configure(stack, step, log)),
        Phase("verify", "tests marked smoke", lambda step, log: verify(stack, step, log)),
        Phase("evidence", "a signed bundle with its report", lambda step, _: build_evidence(stack, step)),
    )
    with _alone(stack):
        before = [PhaseTime("set-up", (datetime.now(UTC) - timedelta(seconds=setup_s)).isoformat(), setup_s, "")]
        run_phases(phases, state_dir(stack), console, before)
    status.show(stack, console)


def down(stack: str, console: Console) -> None:
    """Remove everything that `up` made: servers, networks, emulator, state. Caches and evidence bundles stay."""
    home = state_dir(stack)
    with _alone(stack):
        machines.down(stack)
        emulator.stop(stack)
        for entry in home.iterdir() if home.is_dir() else ():
            if entry.name not in ("evidence", "lock"):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    kept = home / "evidence"
    console.print(f"The lab of stack {stack} is gone." + (f" Its evidence stays in {kept}." if kept.is_dir() else ""))


@contextmanager
def _alone(stack: str) -> Iterator[None]:
    path: Path = state_dir(stack) / "lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"another up or down of stack {stack} is running in this checkout: wait for it, then run this again"
            raise PhaseError(msg) from None
        yield
