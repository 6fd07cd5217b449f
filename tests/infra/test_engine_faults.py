"""Programs that hang, providers that die and operators who interrupt: the run ends, is explained, and can go on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from onedallmail.engine import program
from onedallmail.engine.plugins import python_path

from .engine_stack import FAULTY, PROGRAMS, EngineStack
from .test_engine_state import await_true, processes_of

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(("crash", "expected"), [("false", "at its end"), ("true", "after an error")])
def test_a_program_that_does_not_end_is_killed_and_named(
    stack: EngineStack, monkeypatch: pytest.MonkeyPatch, crash: str, expected: str
) -> None:
    monkeypatch.setattr(program, "GRACE_S", 2.0)
    result = stack.up(lingers="true", crash=crash)
    assert f"{PROGRAMS / 'sample'} did not end by itself within 2 s {expected}: it was killed" in result.errors[-1]
    assert set(stack.resources()) == {"queue", "policy"}
    assert not processes_of(stack.folder)
    assert stack.up().ok


def test_a_provider_that_dies_is_named_with_its_log_and_what_it_did_is_pending(stack: EngineStack) -> None:
    stack.faults(die=["policy"])
    result = stack.up(faulty=True)
    assert f"provider died while it worked on this (its log: {stack.state}/logs/provider.log)" in result.errors[0]
    assert result.errors[0].startswith("policy: ")
    assert [urn.rsplit("::", 1)[-1] for urn in result.pending] == ["policy"]
    pending = stack.export()["deployment"]["pending_operations"]
    assert [(p["type"], p["resource"]["urn"].rsplit("::", 1)[-1]) for p in pending] == [("creating", "policy")]
    assert set(stack.resources()) == {"queue"}
    assert stack.refresh(policy="").pending == ()
    assert stack.up().ok
    assert stack.done() == {"policy": "create"}


@contextmanager
def running_up(stack: EngineStack, **config: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `up` in a process of its own, in a process group as a terminal has it; kill what is left of it."""
    arguments = [str(p) for p in (PROGRAMS / "engine_process.py", stack.root, stack.state, FAULTY)]
    process = subprocess.Popen(
        [sys.executable, *arguments, json.dumps(config)],
        env=python_path(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_working_program_and_leaves_a_usable_state(stack: EngineStack, number: signal.Signals) -> None:
    stack.faults()
    journal = stack.state / "deployment" / "journal.jsonl"
    with running_up(stack, works="true", alone="true") as engine:
        await_true(lambda: journal.exists() and '"end": ["creating"' in journal.read_text())
        os.killpg(engine.pid, number)  # a terminal sends its interrupt to provider and program, too
        output, _ = engine.communicate(timeout=20)
    assert engine.returncode == 1
    assert "interrupted: steps under way are finished" in output
    assert not journal.exists(), "the state was saved in order"
    assert set(stack.resources()) == {"queue"}
    assert not processes_of(stack.folder)
    assert stack.up().ok
    assert stack.done() == {"policy": "create"}


def test_a_step_under_way_is_finished_after_a_signal_and_a_second_one_ends_it(stack: EngineStack) -> None:
    stack.faults(hang=["policy"])
    journal = stack.state / "deployment" / "journal.jsonl"
    with running_up(stack) as engine:
        await_true(lambda: journal.exists() and "::policy" in journal.read_text())
        engine.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            engine.wait(3)
        engine.send_signal(signal.SIGINT)
        engine.wait(20)
    await_true(lambda: not processes_of(stack.folder))
    again = stack.up()
    assert again.ok
    assert [urn.rsplit("::", 1)[-1] for urn in again.pending] == ["policy"]
