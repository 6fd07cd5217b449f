"""Fixtures of the engine's and the cloud's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from onedallmail.cloud import emulator
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
