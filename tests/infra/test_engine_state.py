"""The engine's state: crashes, torn lines, locks, secrets, export and import."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from onedallmail.engine import run
from onedallmail.engine.crypter import Crypter
from onedallmail.engine.errors import EngineError
from onedallmail.engine.lock import stack_lock
from onedallmail.engine.plugins import python_path
from onedallmail.engine.state import State
from onedallmail.engine.values import MASK

from .engine_stack import FAULTY, PROGRAMS, EngineStack

pytestmark = pytest.mark.timeout(120)


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of living processes that name `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found


def await_true(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


@contextmanager
def killed_at_the_policy(stack: EngineStack, **config: str) -> Iterator[list[str]]:
    """Run `up` in a process that hangs while it creates the policy, and kill -9 it; yield what ran till then."""
    stack.faults(hang=["policy"])
    arguments = [str(p) for p in (PROGRAMS / "engine_process.py", stack.root, stack.state, FAULTY)]
    engine = subprocess.Popen([sys.executable, *arguments, json.dumps(config)], env=python_path())
    journal = stack.state / "deployment" / "journal.jsonl"
    try:
        await_true(lambda: journal.exists() and "::policy" in journal.read_text())
        running = processes_of(stack.folder)
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    await_true(lambda: not processes_of(stack.folder))
    yield running


def test_kill_9_in_the_middle_leaves_no_orphans_and_the_next_up_recovers(stack: EngineStack) -> None:
    journal = stack.state / "deployment" / "journal.jsonl"
    with killed_at_the_policy(stack) as running:
        assert len(running) >= 3, "engine, program and provider ran"

    with journal.open("ab") as file:
        file.write(b'{"put": {"urn": "urn:pul')  # the line that the crash tore
    assert set(stack.resources()) == {"queue"}, "what was acknowledged is known although no snapshot was written"
    made = stack.resources()["queue"]["id"]

    again = stack.up()
    assert again.ok
    assert [e for e in stack.events if e.severity == "warning" and "was interrupted while creating" in e.text]
    assert [urn.rsplit("::", 1)[-1] for urn in again.pending] == ["policy"], "a pending create stays until checked"
    assert stack.resources()["queue"]["id"] == made
    assert set(stack.resources()) == {"queue", "policy"}
    assert not journal.exists()


@cache
def shared_crypter() -> Crypter:
    """Return one crypter for tests that are not about it: deriving its key takes a while, by design."""
    return Crypter("phrase")


def one_crypter(_: str | None) -> Crypter:
    return shared_crypter()


def test_a_journal_damaged_before_its_end_is_refused_with_its_line(tmp_path: Path) -> None:
    state = State(tmp_path, one_crypter)
    for name in ("a", "b", "c"):
        state.record(put={"urn": name})
    lines = (tmp_path / "journal.jsonl").read_bytes().split(b"\n")
    (tmp_path / "journal.jsonl").write_bytes(b"\n".join([lines[0], b"{", *lines[2:]]))
    with pytest.raises(EngineError, match=r"journal\.jsonl is damaged at line 2"):
        State(tmp_path, one_crypter)


def test_a_journal_that_the_snapshot_has_already_is_not_applied_twice(tmp_path: Path) -> None:
    state = State(tmp_path, one_crypter)
    state.record(put={"urn": "a"})
    merged = (tmp_path / "journal.jsonl").read_bytes()
    state.save()
    (tmp_path / "journal.jsonl").write_bytes(merged)  # as if the crash came before its removal
    assert [r["urn"] for r in State(tmp_path, one_crypter).all()] == ["a"]


@pytest.mark.parametrize("kept", range(0, 60, 7))
def test_a_journal_cut_anywhere_in_its_last_line_keeps_the_lines_before(tmp_path: Path, kept: int) -> None:
    state = State(tmp_path, one_crypter)
    state.record(put={"urn": "first", "id": "1"})
    complete = (tmp_path / "journal.jsonl").read_bytes()
    state.record(put={"urn": "second", "id": "2", "inputs": {"filler": "x" * 60}})
    whole = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(whole[: len(complete) + kept])
    assert [r["urn"] for r in State(tmp_path, one_crypter).all()] == ["first"]


def test_a_second_writer_is_refused_and_told_who_holds_the_lock(stack: EngineStack) -> None:
    with (
        stack_lock(stack.workspace().deployment, "test", "destroy"),
        pytest.raises(EngineError, match=rf"locked by process {os.getpid()} \(destroy since .*wait until it ends"),
    ):
        stack.up()
    assert stack.outputs() == {}, "reading needs no lock"


def test_a_wrong_or_missing_passphrase_is_refused(stack: EngineStack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.up(alone="true")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    with pytest.raises(EngineError, match="incorrect passphrase"):
        stack.outputs()
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    with pytest.raises(EngineError, match="set PULUMI_CONFIG_PASSPHRASE"):
        stack.outputs()
    file = stack.folder / "passphrase"
    file.write_text("correct horse\n")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(file))
    assert stack.outputs()["queueId"].endswith("/first")


def test_secrets_are_never_in_clear_on_disk(stack: EngineStack) -> None:
    word = "swordfish-4711"
    with killed_at_the_policy(stack, password=word):
        journal = (stack.state / "deployment" / "journal.jsonl").read_text()
    assert "::queue" in journal
    assert "ciphertext" in journal
    assert word not in journal

    result = stack.up(secret_config={"password": word})
    written = [p for p in stack.state.rglob("*") if p.is_file()]
    assert [p for p in written if p.name == "state.json"]
    assert not [p for p in written if word.encode() in p.read_bytes()]
    assert result.outputs["password"] == MASK
    assert word not in json.dumps(stack.export())
    queue = stack.resources()["queue"]["outputs"]
    assert "ciphertext" in queue["tagsAll"]["password"], "the echo of a secret is a secret"
    assert stack.outputs(show_secrets=True)["password"] == word
    assert word in json.dumps(stack.export(show_secrets=True))
    assert {oct(p.stat().st_mode & 0o077) for p in (stack.state / "deployment").iterdir()} == {"0o0"}


def test_an_export_imports_elsewhere_and_previews_without_change(stack: EngineStack, tmp_path: Path) -> None:
    stack.up(secret_config={"password": "swordfish-4711"})
    for show in (False, True):
        file = tmp_path / f"export-{show}.json"
        file.write_text(json.dumps(stack.export(show_secrets=show)))
        folder = tmp_path / f"other-{show}"
        folder.mkdir()
        other = EngineStack(folder)
        run.import_("test", file, workspace=other.workspace())
        assert "swordfish-4711" not in (other.state / "deployment" / "state.json").read_text()
        secret = {"password": "swordfish-4711"}
        planned = run.preview("test", secret_config=secret, workspace=other.workspace())
        assert (planned.errors, planned.changes) == ((), 0)
        assert other.outputs(show_secrets=True) == stack.outputs(show_secrets=True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "is no JSON"),
        ('{"version": 2}', "no deployment of version 3"),
        (
            '{"version": 3, "deployment": {"resources": [{"urn": "urn:pulumi:prod::sample::a:b:C::x"}]}}',
            "not of stack 'test'",
        ),
        (
            '{"version": 3, "deployment": {"resources": [{"urn": "urn:pulumi:test::sample::pulumi:providers:gcp::x",'
            ' "type": "pulumi:providers:gcp"}]}}',
            "provider 'gcp' is refused",
        ),
    ],
)
def test_what_is_no_export_of_this_stack_is_not_imported(stack: EngineStack, content: str, expected: str) -> None:
    file = stack.folder / "file.json"
    file.write_text(content)
    with pytest.raises(EngineError, match=expected):
        run.import_("test", file, workspace=stack.workspace())
    assert not (stack.state / "deployment" / "state.json").exists()


def test_ciphertexts_have_the_form_of_pulumis_passphrase_manager() -> None:
    crypter = Crypter("phrase")
    version, nonce, body = crypter.encrypt("text").split(":")
    assert (version, len(nonce), crypter.decrypt(f"{version}:{nonce}:{body}")) == ("v1", 16, "text")
    assert Crypter("phrase", crypter.state).decrypt(crypter.encrypt("again")) == "again"
    assert crypter.state.startswith("v1:")
    assert len(crypter.state.split(":")) == 5, "v1, salt, and the proof of three parts"
