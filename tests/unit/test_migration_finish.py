"""The end of a migration of a shared domain: mail comes here first, then the rest is copied."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onedallmail.directory import elsewhere
from onedallmail.directory.session import Answer
from onedallmail.migration import run, stages, state
from onedallmail.migration.state import Book, Progress, Stage, planned
from onedallmail.migration.users import Mover

COPIED, FRESH = "copied@acme.example", "fresh@acme.example"


@pytest.fixture
def deeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was done, in its order, of a migration with one mailbox that was copied and one that was only planned."""
    done: list[Any] = []
    monkeypatch.setattr(state, "state_dir", lambda _: tmp_path)
    monkeypatch.setattr(run, "read_passwords", lambda _: {})
    monkeypatch.setattr(run, "_tools", lambda *_: None)
    monkeypatch.setattr(run, "_reported", lambda _, mover: {"target": mover.target, "equal": True})
    monkeypatch.setattr(time, "sleep", lambda seconds: done.append(("waited", seconds)))

    def copy(_tools: object, mover: Progress, *, last: bool) -> None:
        assert last
        done.append(("copied", mover.target))

    def change(_stack: str, _statement: str, document: Any) -> Answer:
        done.append(("came home", tuple(document["addresses"]), document["only_ours"]))
        return Answer({"done": document["addresses"], "used": [], "ours": document["addresses"]}, None)

    monkeypatch.setattr(stages, "copy", copy)
    monkeypatch.setattr(elsewhere, "change", change)
    migration = planned({}, (Mover("a", COPIED), Mover("b", FRESH)), None)
    migration.movers[COPIED] = replace(migration.movers[COPIED], stage=Stage.COPIED)
    Book("lab", "move").write(migration)
    return done


def finish(only: list[str] | None = None) -> dict[str, Any]:
    return run.finish("lab", "move", "passwords", only, run.Pace(1, lambda _: None))


def test_mail_comes_here_before_the_last_copy_and_only_for_mailboxes_that_were_filled(deeds: list[Any]) -> None:
    """What arrives at the old system after the last copy stays there; what was never copied would be missed."""
    found = finish()
    assert deeds[:2] == [("came home", (COPIED,), True), ("waited", elsewhere.WAY_KNOWN_S)]
    assert ("copied", COPIED) in deeds[2:]
    assert found["came_home"] == [COPIED]


def test_nothing_waits_where_nobody_comes_home(deeds: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "change", lambda *_: Answer({"done": [], "used": [], "ours": []}, None))
    assert finish([COPIED])["came_home"] == []
    assert deeds == [("copied", COPIED)]
