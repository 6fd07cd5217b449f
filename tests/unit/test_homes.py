"""What the mail servers tell of their placement becomes one picture: the newest map, and each server's own word."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from onedallmail import homes
from onedallmail.cli import app
from onedallmail.homes import Answers, HomesUnreadableError, Told, summary

GROUPS = {
    "0": {"home": "b1", "standby": "a1", "epoch": 2},
    "1": {"home": "b1", "standby": "a1", "epoch": 4},
    "2": {"home": "b1", "standby": "a2", "epoch": 1},
}
FAILOVER = {"from_server": "a1", "groups": 2, "at": "2026-11-25T10:00:00+00:00", "seconds": 0.4}


def told(revision: int, **status: Any) -> Told:
    alive = {"version": 1, "at": "2026-11-25T10:00:05+00:00", "servers": {"b1": "eu-west-1"}}
    lease = {"id": "1f", "ttl_s": 8.0, "since": "2026-11-25T09:00:00+00:00"}
    fence = {"open_for_s": 6.1, "error": None}
    own = {
        "error": None,
        "checked_at": "2026-11-25T10:00:04+00:00",
        "served": 3,
        "lease": lease,
        "fence": fence,
        "failovers": [],
        **status,
    }
    return Told({"revision": revision, "groups": GROUPS if revision > 5 else {}}, alive, own)


ANSWERS: Answers = {
    "a1": "ssh: no route",
    "a2": told(5, lease=None, fence={"open_for_s": 0.0, "error": None}),
    "b1": told(9),
}


def test_the_newest_map_counts() -> None:
    found = summary(ANSWERS)
    assert (found["revision"], found["told_by"]) == (9, "b1")
    assert found["pairs"] == [
        {"home": "b1", "standby": "a1", "groups": [0, 1], "epochs": [2, 4]},
        {"home": "b1", "standby": "a2", "groups": [2], "epochs": [1]},
    ]


def test_each_server_is_seen_with_its_own_word_and_the_others() -> None:
    servers = summary(ANSWERS)["servers"]
    assert servers["a1"] | {"trouble": ""} == {
        "alive": False,
        "home_of": 0,
        "standby_of": 2,
        "joins": 0,
        "serves": None,
        "lease_since": None,
        "fence_open": None,
        "trouble": "",
    }
    assert servers["a1"]["trouble"] == "ssh: no route"
    assert (servers["a2"]["fence_open"], servers["a2"]["serves"]) == (None, None)
    assert "no lease; it wrote last at 2026" in servers["a2"]["trouble"]
    assert (servers["b1"]["alive"], servers["b1"]["home_of"], servers["b1"]["fence_open"]) == (True, 3, True)


def test_without_any_answer_the_reasons_are_told() -> None:
    with pytest.raises(HomesUnreadableError, match="a1: ssh: no route"):
        summary({"a1": "ssh: no route"})


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_command_shows_it(monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    monkeypatch.setattr("onedallmail.inventory.inventory", lambda _: {})
    monkeypatch.setattr(homes, "ask", lambda _: {**ANSWERS, "b1": told(9, failovers=[FAILOVER])})
    result = CliRunner().invoke(app, ["placement", "show", *options], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    if options:
        assert json.loads(result.output)["failovers"] == [{"to": "b1", **FAILOVER}]
    else:
        assert all(word in result.output for word in ("3 groups at revision 9", "2 to 4", "ssh: no route", "open"))


def test_the_command_fails_when_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onedallmail.inventory.inventory", lambda _: {})
    monkeypatch.setattr(homes, "ask", lambda _: {"a1": "ssh: no route"})
    result = CliRunner().invoke(app, ["placement", "show"])
    assert result.exit_code == 1
    assert "no mail server told" in result.output
