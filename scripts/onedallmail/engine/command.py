"""The same operations done by a pulumi command: local file backend, the lab's provider attached by its port.

PULUMI_DEBUG_PROVIDERS attaches the provider for one command only; nothing of it reaches Pulumi.yaml or PATH.
Configuration overrides go into a private copy of the stack file, never into the one of the checkout.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import child
from .crypter import open_crypter, passphrase
from .errors import EngineError
from .events import Event, Progress, UpResult, silent
from .lock import stack_lock
from .options import Operation, Options
from .plugins import python_path
from .policy import pack_of
from .project import load_project, load_target
from .workspace import Workspace

SUMMARY = re.compile(r"^\s+(?:[-+~><]+\s*)?(\d+) (created|updated|deleted|replaced|unchanged|to \w+)\s*$")
WORDS = {
    "created": "create",
    "updated": "update",
    "deleted": "delete",
    "replaced": "replace",
    "unchanged": "same",
}


def environment(work: Workspace, port: int | None = None) -> dict[str, str]:
    """Return the environment of a pulumi command; with `port`, the lab's provider is attached."""
    values = python_path() | {
        "PULUMI_BACKEND_URL": backend(work).as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": passphrase(),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "NO_COLOR": "1",
    }
    values.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
    return values if port is None else values | {"PULUMI_DEBUG_PROVIDERS": f"aws:{port}"}


def backend(work: Workspace) -> Path:
    """Return the folder of the local file backend."""
    return (work.deployment / "backend").absolute()


def config_file(work: Workspace) -> Path:
    """Return the private copy of the stack file."""
    return work.deployment / f"Pulumi.{work.stack}.yaml"


def arguments(work: Workspace, operation: str) -> list[str]:
    """Return the command line of preview, up, destroy, refresh, outputs, export, import or select."""
    place = ["--cwd", str(work.root), "--stack", work.stack, "--non-interactive"]
    changing = [*place, "--config-file", str(config_file(work))]
    pack = ["--policy-pack", str(folder)] if (folder := pack_of(work.root)) else []
    return {
        "preview": ["pulumi", "preview", *changing, *pack],
        "up": ["pulumi", "up", "--yes", "--skip-preview", *changing, *pack],
        "destroy": ["pulumi", "destroy", "--yes", "--skip-preview", *changing],
        "refresh": ["pulumi", "refresh", "--yes", "--skip-preview", *changing],
        "outputs": ["pulumi", "stack", "output", "--json", *place],
        "export": ["pulumi", "stack", "export", *place],
        "import": ["pulumi", "stack", "import", *place],
        "select": ["pulumi", "stack", "select", "--create", *place],
    }[operation]


def limits(options: Options, operation: Operation) -> list[str]:
    """Return the arguments that say what an operation is limited to or begins with.

    Raises:
        EngineError: an interrupted create is to be settled, which the command does with options of its own.
    """
    if options.settled:
        msg = "with a pulumi command, settle an interrupted create by `pulumi refresh --import-pending-creates URN ID`"
        raise EngineError(msg)
    named = (target if target.startswith("urn:") else f"**::{target}" for target in options.targets)
    first = ["--refresh"] if options.refresh and operation is not Operation.REFRESH else []
    return [*first, *(text for target in named for text in ("--target", target))]


def set_config(work: Workspace, key: str, *, hidden: bool) -> list[str]:
    """Return the command line that reads a value from standard input into the private stack file."""
    secrecy = "--secret" if hidden else "--plaintext"
    place = ["--cwd", str(work.root), "--stack", work.stack, "--config-file", str(config_file(work))]
    return ["pulumi", "config", "set", secrecy, key, "--non-interactive", *place]


def summary(text: str) -> dict[str, int]:
    """Return the counts of the "Resources:" part of the command's output, by this package's names."""
    counts: dict[str, int] = {}
    for line in text.splitlines():
        if found := SUMMARY.match(line):
            word = found[2].removeprefix("to ") if found[2].startswith("to ") else WORDS[found[2]]
            counts[word] = counts.get(word, 0) + int(found[1])
    return counts


def operate(work: Workspace, operation: Operation, options: Options) -> UpResult:
    """Do an operation by the pulumi command."""
    started = time.monotonic()
    line = [*arguments(work, operation), *limits(options, operation)]
    work.prepare()
    backend(work).mkdir(mode=0o700, exist_ok=True)
    with stack_lock(work.deployment, work.stack, operation):
        _capture(work, arguments(work, "select"))
        _configure(work, options)
        with _provider(work) as port:
            text, code = _stream(line, environment(work, port), options.progress)
    errors = tuple(line.strip() for line in text.splitlines() if line.strip().startswith("error:"))
    if code and not errors:
        errors = (f"pulumi {operation} ended with code {code}",)
    shown = outputs(work, show_secrets=False) if operation is Operation.UP else {}
    return UpResult(counts=summary(text), outputs=shown, errors=errors, duration_s=round(time.monotonic() - started, 3))


def outputs(work: Workspace, *, show_secrets: bool) -> dict[str, Any]:
    """Return the stack's outputs."""
    extra = ["--show-secrets"] if show_secrets else []
    found: dict[str, Any] = json.loads(_capture(work, [*arguments(work, "outputs"), *extra]))
    return found


def export(work: Workspace, *, show_secrets: bool) -> dict[str, Any]:
    """Return the deployment."""
    extra = ["--show-secrets"] if show_secrets else []
    found: dict[str, Any] = json.loads(_capture(work, [*arguments(work, "export"), *extra]))
    return found


def import_(work: Workspace, file: Path) -> None:
    """Replace the state by an exported one."""
    work.prepare()
    backend(work).mkdir(mode=0o700, exist_ok=True)
    _capture(work, arguments(work, "select"))
    _capture(work, [*arguments(work, "import"), "--file", str(file.absolute())])


def _capture(work: Workspace, line: list[str], given: str | None = None) -> str:
    done = subprocess.run(line, env=environment(work), input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"`{' '.join(line[:3])}` failed: {done.stderr.strip() or done.stdout.strip()}"
        raise EngineError(msg)
    return done.stdout


def _configure(work: Workspace, options: Options) -> None:
    """Make the private stack file: the checkout's, then the overrides (values never on a command line)."""
    config, secret_config = options.config, options.secret_config
    load_target(load_project(work.root), work.stack, open_crypter, config, secret_config)  # refuses what is wrong
    kept = config_file(work)
    shutil.copyfile(work.root / f"Pulumi.{work.stack}.yaml", kept)
    kept.chmod(0o600)
    for hidden, values in ((False, config), (True, secret_config)):
        for key, value in values.items():
            _capture(work, set_config(work, key, hidden=hidden), value)


@contextmanager
def _provider(work: Workspace) -> Iterator[int]:
    with (work.logs / "provider.log").open("ab") as log:
        process = subprocess.Popen(
            child.command(*work.provider_command), stdout=subprocess.PIPE, stderr=log, env=python_path(), text=True
        )
    try:
        port = process.stdout.readline().strip() if process.stdout else ""
        if not port.isdigit():
            msg = f"the lab's AWS provider did not start: see {work.logs / 'provider.log'}"
            raise EngineError(msg)
        yield int(port)
    finally:
        process.kill()
        process.wait()


def _stream(line: list[str], env: dict[str, str], progress: Progress = silent) -> tuple[str, int]:
    lines: list[str] = []
    with subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for; for mypy
        for text in process.stdout:
            lines.append(text)
            progress(Event(urn="", text=text.rstrip()))
    return "".join(lines), process.returncode
