"""What is built for a real pulumi command: command lines, environment, counts. No such command runs in these tests."""

from pathlib import Path

import pytest

from onedallmail.engine import command, embedded, run
from onedallmail.engine.workspace import Workspace

from .engine_stack import PASSPHRASE

OUTPUT = """
Updating (lab):
 +  aws:ec2:Vpc net created
Resources:
    + 3 created
    ~ 2 updated
    - 1 deleted
    +-4 replaced
    7 unchanged

Duration: 4s
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(stack="lab", root=tmp_path / "checkout", state_dir=tmp_path / "state")


def test_the_provider_is_attached_by_its_port_to_one_command_only(workspace: Workspace) -> None:
    assert command.environment(workspace, 4711)["PULUMI_DEBUG_PROVIDERS"] == "aws:4711"
    assert "PULUMI_DEBUG_PROVIDERS" not in command.environment(workspace)


def test_state_stays_in_a_local_backend_with_the_passphrase(workspace: Workspace) -> None:
    environment = command.environment(workspace)
    assert environment["PULUMI_BACKEND_URL"] == f"file://{workspace.home}/deployment/backend"
    assert environment["PULUMI_CONFIG_PASSPHRASE"] == PASSPHRASE


def test_operations_ask_nothing_and_use_the_private_stack_file(workspace: Workspace) -> None:
    line = command.arguments(workspace, "up")
    assert line[:4] == ["pulumi", "up", "--yes", "--skip-preview"]
    assert "--non-interactive" in line
    assert line[line.index("--cwd") + 1] == str(workspace.root)
    assert line[line.index("--config-file") + 1] == str(workspace.deployment / "Pulumi.lab.yaml")
    assert "--yes" not in command.arguments(workspace, "preview")


def test_secret_values_are_never_on_a_command_line(workspace: Workspace) -> None:
    line = command.set_config(workspace, "onedallmail:dkimPrivateKeys", hidden=True)
    assert line[:5] == ["pulumi", "config", "set", "--secret", "onedallmail:dkimPrivateKeys"]
    assert line[5] == "--non-interactive", "no value follows the key: it is read from standard input"


def test_the_summary_is_counted() -> None:
    counts = {"create": 3, "update": 2, "delete": 1, "replace": 4, "same": 7}
    assert command.summary(OUTPUT) == counts
    assert command.summary("    + 5 to create\n    2 unchanged\n") == {"create": 5, "same": 2}


def test_a_pulumi_command_on_path_is_used_unless_the_embedded_engine_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pulumi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.delenv(run.ENGINE_VARIABLE)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run._backend() is command
    monkeypatch.setenv(run.ENGINE_VARIABLE, "embedded")
    assert run._backend() is embedded
    monkeypatch.delenv(run.ENGINE_VARIABLE)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert run._backend() is embedded
