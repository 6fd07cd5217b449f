"""Runs playbooks over the servers of a stack and reads what they changed."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from onedallmail.cloud import emulator
from onedallmail.engine import child
from onedallmail.paths import ROOT

from .phases import PhaseError, Step

RECAP = re.compile(
    r"^(?P<host>\S+)\s*: ok=(?P<ok>\d+)\s+changed=(?P<changed>\d+)"
    r"\s+unreachable=(?P<unreachable>\d+)\s+failed=(?P<failed>\d+)"
)
HEADLINE = re.compile(r"^(PLAY|TASK|RUNNING HANDLER) \[(?P<name>[^\]]+)\]")


@dataclass(frozen=True)
class Recap:
    """What ansible-playbook did on one host."""

    host: str
    ok: int
    changed: int
    unreachable: int
    failed: int


def play(stack: str, playbook: str, step: Step, log: Path, *options: str) -> list[Recap]:
    """Run a playbook over the stack's servers and return its recap.

    Raises:
        PhaseError: a task failed or a host was unreachable; the last failing lines are in the message.
    """
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), f"ansible/playbooks/{playbook}", *options]
    with log.open("w") as file:
        process = subprocess.Popen(
            child.command(*argv),
            cwd=ROOT,
            env=ansible_environment(stack),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = []
        for line in process.stdout or ():
            file.write(line)
            file.flush()
            lines.append(line.rstrip())
            headline = HEADLINE.match(line)
            if headline:
                step(headline["name"])
    recap = [
        Recap(found["host"], *(int(found[k]) for k in ("ok", "changed", "unreachable", "failed")))
        for found in map(RECAP.match, lines)
        if found
    ]
    if process.wait() != 0:
        wrong = [line for line in lines if line.startswith(("fatal:", "[ERROR]", "ERROR!"))]
        msg = f"ansible-playbook {playbook} exited with {process.returncode} (see {log})\n" + "\n".join(wrong[-5:])
        raise PhaseError(msg)
    return recap


def ansible_environment(stack: str) -> dict[str, str]:
    """Return the environment for Ansible: this virtual environment first on PATH, mitogen, the emulator's address."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "AWS_"))}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
    env["PYTHONPATH"] = str(ROOT / "scripts")
    env["ANSIBLE_CONFIG"] = str(ROOT / "ansible" / "ansible.cfg")
    env["ONEDALLMAIL_STACK"] = stack
    env["LC_ALL"] = "C.UTF-8"
    endpoint = emulator.ensure(stack)
    env["AWS_ENDPOINT_URL"] = endpoint.url
    env |= {"AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "lab"}
    env.update(mitogen_environment())
    return env


def mitogen_environment() -> dict[str, str]:
    """Return the settings that load mitogen, six times as quick over SSH (used in the lab only)."""
    import ansible_mitogen  # type: ignore[import-untyped]  # noqa: PLC0415 - only the lab has it

    plugins = Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"
    return {"ANSIBLE_STRATEGY_PLUGINS": str(plugins), "ANSIBLE_STRATEGY": "mitogen_linear"}
