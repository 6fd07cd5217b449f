"""The lab's AWS process: started, found again, renewed when what it serves has changed, and ended by its pid."""

import hashlib
import json
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from onedallmail import paths
from onedallmail.engine.plugins import python_path
from onedallmail.engine.state import replace_file

from .. import naming
from ..errors import LabError
from ..process import Process
from .estate import CloudEstate
from .names import NODE

MODULE = "onedallmail.lab.aws.server"
START_S, STOP_S, POLL_S = 30.0, 10.0, 0.05
_SECRET_BYTES = 32


def folder(stack: str) -> Path:
    """Return the folder of the process: what it serves, its secret and its record."""
    return paths.state_dir(stack) / "lab" / "aws"


def log(stack: str) -> Path:
    """Return the file that the process writes to."""
    return paths.state_dir(stack) / "logs" / "aws.log"


def running(stack: str) -> Process | None:
    """Return the process of this stack, None when there is none."""
    found = _record(stack)
    process = Process(found["pid"], found["start"]) if found else None
    return process if process and process.alive else None


def ensure(stack: str, cloud: CloudEstate) -> Process:
    """Return the process that serves this estate in the namespaces of now; start it, or start it anew, where needed.

    Raises:
        LabError: it does not come up; the message names its log.
    """
    home = folder(stack)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    fingerprint = _fingerprint(cloud)
    process = running(stack)
    if process and (_record(stack) or {}).get("fingerprint") == fingerprint:
        return process
    stop(stack)
    (home / "process.json").unlink(missing_ok=True)
    if not (home / "secret").exists():
        replace_file(home / "secret", secrets.token_bytes(_SECRET_BYTES))
    replace_file(home / "estate.json", cloud.to_json().encode())
    return _start(stack, fingerprint)


def _start(stack: str, fingerprint: str) -> Process:
    path = log(stack)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", MODULE, "--folder", str(folder(stack)), "--fingerprint", fingerprint],
            env=python_path(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    deadline = time.monotonic() + START_S
    while child.poll() is None and time.monotonic() < deadline:
        if found := running(stack):
            return found
        time.sleep(POLL_S)
    child.kill()
    child.wait()
    tail = "\n".join(path.read_text(errors="replace").splitlines()[-3:])
    msg = f"the lab's AWS endpoints did not come up; their log is {path}\n{tail}"
    raise LabError(msg)


def stop(stack: str) -> bool:
    """End the process and tell whether one ran."""
    process = running(stack)
    if process is None:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        process.send(number)
        if process.wait(STOP_S):
            break
    return True


def _record(stack: str) -> dict[str, Any] | None:
    try:
        found = json.loads((folder(stack) / "process.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"pid", "start", "fingerprint"} <= set(found) else None


def _fingerprint(cloud: CloudEstate) -> str:
    """Return what stands for the estate, the namespaces it is served in, and the program."""
    spaces = [NODE, *(naming.router(region) for region in cloud.regions)]
    inodes = [(Path("/run/netns") / naming.namespace(paths.lab_id(), space)).stat().st_ino for space in spaces]
    programs = [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(json.dumps([cloud.to_json(), inodes, programs]).encode()).hexdigest()
