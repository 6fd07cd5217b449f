"""Playbooks parse with every role they use, and are named for what they do."""

import subprocess
import sys
from pathlib import Path

import pytest

from .rendering import environment
from .tree import PLAYBOOKS, ROLES, flat, load


def test_playbooks_pass_the_syntax_check(site_folder: Path) -> None:
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "--syntax-check", *map(str, PLAYBOOKS)]
    argv += ["-i", str(site_folder / "inventory.sh")]
    env = environment(site_folder) | {"ANSIBLE_ROLES_PATH": str(ROLES)}
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.name)
def test_plays_say_what_they_do_and_where(path: Path) -> None:
    for play in load(path):
        assert play.get("name"), f"{path.name} has a play without a name"
        assert "hosts" in play or "ansible.builtin.import_playbook" in play
        assert play.get("hosts") != "all", f"{path.name}: name the group; 'all' holds outside nodes of the lab too"


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.name)
def test_tasks_of_playbooks_that_read_secrets_hide_them(path: Path) -> None:
    for task in flat([play for play in load(path) if "hosts" in play]):
        if "secretsmanager" in str(task):
            assert task.get("no_log") is True, f"{path.name}: {task['name']} shows a secret in the log"
