"""Runs named phases with progress, a log and a time each; a failing phase leaves the earlier ones as they are."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

TIMES = "phases.json"

Step = Callable[[str], None]
"""Called by a phase with a short text about what it is doing now."""


class PhaseError(RuntimeError):
    """A phase could not do its work; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Phase:
    """A named part of the job; `run` gets a Step and its log file, and returns a note for the summary."""

    name: str
    purpose: str
    run: Callable[[Step, Path], str]


@dataclass(frozen=True)
class PhaseTime:
    """When a phase began (UTC, ISO 8601) and how long it took in seconds."""

    name: str
    started: str
    duration_s: float
    note: str


def run_phases(phases: Sequence[Phase], home: Path, console: Console, before: Sequence[PhaseTime]) -> None:
    """Run the phases in order, with a log each below `home`; after each one all times are saved, `before` first.

    Raises:
        PhaseError: the first failure, naming the phase and its log.
    """
    logs = home / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    times = list(before)
    for number, phase in enumerate(phases, start=len(before) + 1):
        title = f"[{number}/{len(before) + len(phases)}] {phase.name}"
        console.print(f"[bold]{title}[/bold]  {phase.purpose}")
        times.append(_run(phase, logs / f"{phase.name}.log", console))
        (home / TIMES).write_text(json.dumps([asdict(t) for t in times], indent=1))


def _run(phase: Phase, log: Path, console: Console) -> PhaseTime:
    started, clock = datetime.now(UTC), time.monotonic()
    handler = _attach(log)
    try:
        with console.status("starting") as status:
            note = phase.run(_teller(console, status.update), log)
    except Exception as error:
        logging.getLogger().exception("phase %s failed", phase.name)
        console.print(f"      [red]failed[/red] after {time.monotonic() - clock:.0f} s")
        msg = f"phase {phase.name} failed: {error}\nIts log: {log}\nThe earlier phases stand; run it again to go on."
        raise PhaseError(msg) from error
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    duration = time.monotonic() - clock
    console.print(f"      [green]done[/green] in {duration:.1f} s  {note}", highlight=False)
    return PhaseTime(phase.name, started.isoformat(), round(duration, 2), note)


def _teller(console: Console, update: Callable[[str], None]) -> Step:
    """Return a Step that shows everything on a terminal; elsewhere only what is before the first ' : ', once."""
    last = ""

    def step(text: str) -> None:
        nonlocal last
        update(text)
        topic = text.partition(" : ")[0]
        if not console.is_terminal and topic != last:
            console.print(f"      {topic}", highlight=False)
        last = topic

    return step


def _attach(log: Path) -> logging.Handler:
    handler = logging.FileHandler(log, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    return handler


def load_times(home: Path) -> list[PhaseTime]:
    """Return the times of the last run of a stack with the state folder `home`; none when there was no run."""
    path = home / TIMES
    return [PhaseTime(**entry) for entry in json.loads(path.read_text())] if path.is_file() else []
