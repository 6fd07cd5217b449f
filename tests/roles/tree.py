"""The roles, playbooks and group variables of the checkout as the tests of roles read them."""

from pathlib import Path
from typing import Any

import yaml

from onedallmail.paths import ROOT

ROLES = ROOT / "roles"
ANSIBLE = ROOT / "ansible"
ROLE_NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())
PLAYBOOKS = sorted((ANSIBLE / "playbooks").glob("*.yml"))
SITE = ANSIBLE / "playbooks" / "site.yml"
TASK_LISTS = ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always")


def load(path: Path) -> Any:
    """Return what a YAML file holds; None for an empty file."""
    return yaml.safe_load(path.read_text())


def defaults(role: str) -> dict[str, Any]:
    """Return the variables of a role with their default values as written."""
    return load(ROLES / role / "defaults" / "main.yml") or {}


def options(role: str) -> dict[str, dict[str, Any]]:
    """Return the options of a role's argument specification."""
    found: dict[str, dict[str, Any]] = load(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get(
        "options", {}
    )
    return found


def tasks(role: str) -> list[dict[str, Any]]:
    """Return every task of a role, those inside blocks included, each with the name of its file as `_file`."""
    found = []
    for path in sorted((ROLES / role / "tasks").glob("*.yml")):
        found += [task | {"_file": path.name} for task in flat(load(path) or [])]
    return found


def flat(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return tasks in their order, with those inside blocks in the place of the block."""
    found = []
    for entry in entries:
        inner = [task for key in TASK_LISTS for task in entry.get(key) or []]
        found += flat(inner) if inner else [entry]
    return found


def templates() -> list[str]:
    """Return every template as ROLE/NAME."""
    return sorted(f"{path.parts[-3]}/{path.name}" for path in ROLES.glob("*/templates/*.j2"))
