"""Fixtures of the engine's and the cloud's tests."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onedallmail.cloud import emulator
from onedallmail.engine.plugins import python_path
from onedallmail.engine.run import ENGINE_VARIABLE

from .engine_stack import PASSPHRASE, EngineStack


@pytest.fixture(autouse=True)
def engine_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the embedded engine, with a passphrase."""
    monkeypatch.setenv(ENGINE_VARIABLE, "embedded")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)


@pytest.fixture
def stack(tmp_path: Path) -> EngineStack:
    """Return a stack of the sample program."""
    return EngineStack(tmp_path)


@pytest.fixture
def emulated_stack(tmp_path: Path) -> Iterator[EngineStack]:
    """Return a stack of what the lab makes for real; its emulator ends with the test."""
    stack = EngineStack(tmp_path, program="emulated")
    yield stack
    emulator.stop("test", state_dir=stack.state)


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the socket of a process that has everything imported."""
    socket = tmp_path_factory.mktemp("zygote") / "socket"
    command = [sys.executable, "-m", "tests.infra.programs.zygote", str(socket)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, env=python_path(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        yield socket
        process.stdin.close()
