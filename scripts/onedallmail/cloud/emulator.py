"""The AWS API of the lab on loopback (moto): started, found again and ended by its own pid file.

It outlives the commands that use it, and comes back with what it held after any death (emulator_server.py).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from onedallmail import paths
from onedallmail.engine.plugins import python_path

MODULE = "onedallmail.cloud.emulator_server"
START_S, STOP_S, POLL_S = 60.0, 10.0, 0.05


class EmulatorError(RuntimeError):
    """The emulator could not be started."""


@dataclass(frozen=True)
class Endpoint:
    """Where the emulator answers, and which process it is."""

    url: str
    pid: int


def folder(stack: str, state_dir: Path | None = None) -> Path:
    """Return the folder that holds the emulator's data, pid, port and log."""
    return (state_dir or paths.state_dir(stack)) / "cloud"


def status(stack: str, *, state_dir: Path | None = None) -> Endpoint | None:
    """Return the running emulator of a stack, None when there is none."""
    home = folder(stack, state_dir)
    try:
        found = json.loads((home / "emulator.json").read_text())
        command = Path(f"/proc/{found['pid']}/cmdline").read_bytes().decode().split("\0")
    except (OSError, ValueError, KeyError):
        return None
    # The pid may be somebody else's by now; the folder on its command line tells this emulator from all others.
    ours = MODULE in command and str(home.absolute()) in command
    return Endpoint(found["url"], found["pid"]) if ours else None


def ensure(stack: str, *, state_dir: Path | None = None) -> Endpoint:
    """Return the running emulator of a stack; start it when there is none.

    Raises:
        EmulatorError: it does not come up; the message names its log.
    """
    if running := status(stack, state_dir=state_dir):
        return running
    home = folder(stack, state_dir).absolute()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = home / "emulator.log"
    environment = python_path() | {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "--folder", str(home)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if running := status(stack, state_dir=state_dir):
            return running
        if process.poll() is not None and (running := status(stack, state_dir=state_dir)):
            return running  # another process was faster; ours found its lock taken
        if process.poll() not in (None, 0):
            break
        time.sleep(POLL_S)
    msg = f"the AWS emulator of stack '{stack}' did not come up: see {log}"
    raise EmulatorError(msg)


def stop(stack: str, *, state_dir: Path | None = None) -> bool:
    """End the emulator and tell whether one ran; its data stays."""
    running = status(stack, state_dir=state_dir)
    if running is None:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, number)
        deadline = time.monotonic() + STOP_S
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(running.pid, os.WNOHANG)  # when this process started it
            if status(stack, state_dir=state_dir) is None:
                return True
            time.sleep(POLL_S)
    return True


def client(stack: str, service: str, region: str, *, state_dir: Path | None = None) -> Any:
    """Return a boto3 client of the stack's emulator, which is started when it does not run."""
    return connect(ensure(stack, state_dir=state_dir).url, service, region)


def connect(url: str, service: str, region: str) -> Any:
    """Return a boto3 client of an endpoint; the credentials are dummies, the emulator checks none."""
    session = boto3.session.Session(
        aws_access_key_id="lab",
        aws_secret_access_key="lab",  # noqa: S106 - a dummy
        region_name=region,
    )
    settings = Config(proxies={"http": "", "https": ""}, retries={"max_attempts": 2}, s3={"addressing_style": "path"})
    return session.client(service, endpoint_url=url, config=settings)
