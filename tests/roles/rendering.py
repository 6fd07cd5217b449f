"""Renders the templates of every role by Ansible: real defaults, variables, group variables, inventory and task loops.

Each role gets a shadow whose only work is its own template tasks; nothing is written to the host.
"""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from onedallmail.paths import ROOT

from .tree import ROLE_NAMES, ROLES, SITE, load, options, tasks

REGISTERED = Path(__file__).with_name("registered.yml")
HOSTS = "a1,b1,c1,dns,peer"
"""One of each kind and region; the others differ in their names only."""
CANARY = "canary"
"""A role that is wrong on purpose: a run that does not notice it proves nothing about the others."""
TEMPLATE = "ansible.builtin.template"
KEPT = ("when", "loop", "loop_control", "vars")
SPECIFIED = ("type", "elements", "choices", "required", "options")


@dataclass(frozen=True)
class Rendered:
    """A file as a host would get it."""

    role: str
    host: str
    src: str
    dest: str
    text: str


@dataclass
class Outcome:
    """What a run rendered, and what went wrong: by template (ROLE/NAME), and by role for its arguments."""

    files: list[Rendered] = field(default_factory=list)
    errors: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    arguments: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def render_all(folder: Path, inventory: Path, hosts: str = HOSTS) -> Outcome:
    """Render every template for those of `hosts` that the site playbook gives it to."""
    for role in ROLE_NAMES:
        _write_shadow(folder / "roles" / role, role)
    _write_canary(folder / "roles" / CANARY)
    plays = [_play(play) for play in load(SITE) if play.get("roles")]
    plays.append({"name": CANARY, "hosts": "witness", "gather_facts": False, "roles": [CANARY]})
    playbook = folder / "render.yml"
    playbook.write_text(yaml.safe_dump(plays, sort_keys=False))
    variables = {"onedallmail_state_dir": str(folder / "state"), "ansible_connection": "local"}
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook), "-i", str(inventory)]
    argv += ["--limit", hosts, "-e", f"@{REGISTERED}", "-e", json.dumps(variables)]
    done = subprocess.run(
        argv, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if not done.stdout.lstrip().startswith("{"):
        msg = f"ansible-playbook said no JSON (status {done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise RuntimeError(msg)
    return _outcome(json.loads(done.stdout))


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which Ansible runs on this machine only and answers in JSON."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return env | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible" / "ansible.cfg"),
        "ANSIBLE_ROLES_PATH": str(folder / "roles"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_ANY_ERRORS_FATAL": "false",
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "LC_ALL": "C.UTF-8",
    }


def _write_shadow(shadow: Path, role: str) -> None:
    (shadow / "tasks").mkdir(parents=True)
    for part in ("defaults", "templates", "vars"):
        if (ROLES / role / part).is_dir():
            (shadow / part).symlink_to(ROLES / role / part)
    first = [{"name": "vars", "ansible.builtin.include_vars": "Debian.yml"}, _validation(role, _specification(role))]
    work = [_rendering(role, task) for task in tasks(role) if TEMPLATE in task]
    (shadow / "tasks" / "main.yml").write_text(yaml.safe_dump(first + work, sort_keys=False))


def _write_canary(shadow: Path) -> None:
    (shadow / "tasks").mkdir(parents=True)
    (shadow / "templates").mkdir()
    (shadow / "templates" / "broken.j2").write_text("{{ canary_undefined }}\n")
    (shadow / "defaults").mkdir()
    (shadow / "defaults" / "main.yml").write_text("canary_number: twelve\n")
    broken = {TEMPLATE: {"src": "broken.j2", "dest": "/nowhere"}}
    work = [_validation(CANARY, {"canary_number": {"type": "int"}}), _rendering(CANARY, broken)]
    (shadow / "tasks" / "main.yml").write_text(yaml.safe_dump(work, sort_keys=False))


def _specification(role: str) -> dict[str, Any]:
    return options(role) if (ROLES / role / "meta" / "argument_specs.yml").is_file() else {}


def _validation(role: str, known: dict[str, Any]) -> dict[str, Any]:
    module = {"argument_spec": _types_only(known), "provided_arguments": {name: f"{{{{ {name} }}}}" for name in known}}
    return {
        "name": f"arguments {role}",
        "ansible.builtin.validate_argument_spec": module,
        "ignore_errors": True,
        "when": bool(known),
    }


def _types_only(spec: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a specification without prose and defaults."""
    return {
        name: {k: _types_only(v) if k == "options" else v for k, v in entry.items() if k in SPECIFIED}
        for name, entry in spec.items()
    }


def _rendering(role: str, task: dict[str, Any]) -> dict[str, Any]:
    src, dest = task[TEMPLATE]["src"], task[TEMPLATE]["dest"]
    path = re.sub(r"\{\{(.*?)\}\}", r"' ~ (\1) ~ '", src)
    message = {"src": src, "dest": dest, "text": f"{{{{ lookup('{TEMPLATE}', '{path}') }}}}"}
    kept = {key: task[key] for key in KEPT if key in task}
    return {"name": f"template {role} {src}", "ansible.builtin.debug": {"msg": message}, "ignore_errors": True, **kept}


def _play(play: dict[str, Any]) -> dict[str, Any]:
    roles = [r if isinstance(r, str) else r["role"] for r in play["roles"]]
    return {
        "name": play["name"],
        "hosts": play["hosts"],
        "gather_facts": True,
        "gather_subset": ["!all", "!min", "distribution"],
        "vars": play.get("vars", {}),
        "roles": roles,
    }


def _outcome(document: dict[str, Any]) -> Outcome:
    outcome = Outcome()
    for task in (task for play in document["plays"] for task in play["tasks"]):
        kind, _, rest = task["task"]["name"].rpartition(" : ")[2].partition(" ")
        for host, result in task["hosts"].items():
            if kind == "template":
                role, _, src = rest.partition(" ")
                for item in result.get("results", [result]):
                    _take(outcome, role, src, host, item)
            elif kind == "arguments" and result.get("failed"):
                outcome.arguments[rest].append(f"{host}: {result.get('argument_errors') or result.get('msg')}")
    return outcome


def _take(outcome: Outcome, role: str, src: str, host: str, item: dict[str, Any]) -> None:
    message = item.get("msg")
    if item.get("failed"):
        outcome.errors[f"{role}/{src}"].append(f"{host}: {message}")
    elif isinstance(message, dict):
        outcome.files.append(Rendered(role, host, message["src"], message["dest"], message["text"]))
