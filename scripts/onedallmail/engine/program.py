"""Runs the program's process and ends it in time when the run has failed."""

import json
import subprocess
import time
from pathlib import Path

from . import child
from .deployment import Deployment
from .monitor import ORGANIZATION, PARALLEL, serving
from .plugins import python_path
from .workspace import Workspace

GRACE_S = 30.0
"""How long the program may go on after the first error (steps that are under way finish)."""

POLL_S = 0.05


def run_program(run: Deployment, work: Workspace, program: Path, grace_s: float = GRACE_S) -> None:
    """Run the program in `program` to its end; failures are recorded in `run`."""
    target, log = run.target, work.logs / "program.log"
    environment = python_path() | {
        "PULUMI_CONFIG": json.dumps(dict(target.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(sorted(target.secret_keys)),
        "no_proxy": "127.0.0.1",
    }
    environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    with serving(run) as address, log.open("ab") as output:
        arguments = ["--address", address, "--project", target.project, "--stack", target.stack]
        arguments += ["--organization", ORGANIZATION, "--root", str(work.root), "--program", str(program)]
        arguments += ["--parallel", str(PARALLEL), *(["--preview"] if run.preview else [])]
        process = subprocess.Popen(
            child.command(*work.launcher_command, *arguments),
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            code = _await_end(run, process, grace_s)
        finally:
            process.kill()
            process.wait()
    if code and not run.errors:
        run.fail("", f"the program ended with code {code}: see {log}")


def _await_end(run: Deployment, process: "subprocess.Popen[bytes]", grace_s: float) -> int:
    deadline: float | None = None
    while (code := process.poll()) is None:
        if run.errors and deadline is None:
            deadline = time.monotonic() + grace_s
        if deadline is not None and time.monotonic() > deadline:
            run.say("warning", f"the program did not end within {grace_s:.0f} s of the first error and was killed")
            return 1
        time.sleep(POLL_S)
    return code
