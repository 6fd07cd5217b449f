"""Runs the program's process, and ends it when it neither ends itself nor calls the engine any more."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from . import child
from .deployment import ORGANIZATION, Deployment
from .monitor import PARALLEL, Monitor, serving
from .plugins import python_path
from .policy import judging

GRACE_S = 30.0
"""How long a program may be silent at its end, or after an error, before it is killed; a working one has no bound."""

POLL_S = 0.02


def run_program(run: Deployment) -> None:
    """Run the stack's program to its end; failures are recorded in `run`."""
    work, target, log = run.work, run.target, run.work.logs / "program.log"
    environment = python_path() | {
        "PULUMI_CONFIG": json.dumps(dict(target.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(sorted(target.secret_keys)),
        "no_proxy": "127.0.0.1",
    }
    environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    with serving(run) as (monitor, address), log.open("ab") as output:
        arguments = ["--address", address, "--project", target.project, "--stack", target.stack]
        arguments += ["--organization", ORGANIZATION, "--root", str(work.root), "--program", str(target.program)]
        arguments += ["--parallel", str(PARALLEL), *(["--preview"] if run.preview else [])]
        with judging(run, address):
            process = subprocess.Popen(
                child.command(*work.launcher_command, *arguments),
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                code = _await_end(run, monitor, process)
            finally:
                process.kill()
                process.wait()
            if code and not run.errors:
                run.fail("", f"the program ended with code {code}: see {log}")


def _await_end(run: Deployment, monitor: Monitor, process: "subprocess.Popen[bytes]") -> int:
    while (code := process.poll()) is None:
        bound_s = 1.0 if run.interrupted else GRACE_S
        if (monitor.at_end or run.errors) and monitor.activity.idle_s > bound_s:
            when = "after it was interrupted" if run.interrupted else "after an error" if run.errors else "at its end"
            run.fail(
                "",
                f"the program {run.target.program} did not end by itself within {bound_s:.0f} s {when}: it was killed",
            )
            return 1
        time.sleep(POLL_S)
    return code


@contextmanager
def interruptible(run: Deployment) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the run in order: first what is under way, at the second signal at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        if run.interrupted:
            raise KeyboardInterrupt
        run.interrupt()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
