"""SQL goes to the one leader, values go by standard input, and an error quotes no row. SSH is played by a function."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from onedallmail.directory import session
from onedallmail.directory.errors import ConflictError, DirectoryError, LeaderError, UnconfirmedError

STATES = {"a1": "standby", "a2": "leader", "b1": "standby", "b2": "standby", "c1": "standby"}
Played = Callable[[str, str], tuple[int, str, str]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Played], list[tuple[list[str], str]]]:
    """Return a function that puts `played(host, script)` -> (exit code, out, err) in the place of ssh."""
    monkeypatch.setattr(session, "_LEADERS", {})
    monkeypatch.setattr(session, "_destination", lambda _stack, host: [host])

    def install(played: Played) -> list[tuple[list[str], str]]:
        calls: list[tuple[list[str], str]] = []

        def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
            calls.append((command, options["input"]))
            return subprocess.CompletedProcess(command, *played(command[-2], options["input"]))

        monkeypatch.setattr(subprocess, "run", run)
        return calls

    return install


def cluster(answer: tuple[int, str, str], states: dict[str, str] = STATES) -> Played:
    """Return servers of which the leaders answer, standbys say so, and the others are out of reach."""

    def played(host: str, script: str) -> tuple[int, str, str]:
        state = states.get(host, "down")
        if state == "down":
            return 255, "", "ssh: connect to host: timed out\n"
        if "BEGIN" not in script:
            return 0, state + "\n", ""
        guarded = f"\\echo {session.STANDBY}" in script
        return (0, "standby\n", "") if state == "standby" and guarded else answer

    return played


def test_a_change_goes_to_the_leader_alone_and_is_not_in_the_arguments(play: Any) -> None:
    calls = play(cluster((0, '"done"\n{"groups": {"7": {"home": "b1"}}}\n', "")))
    answer = session.change("lab", "SELECT 1", {"secret": "s3cr3t-value"})
    assert answer == session.Answer("done", {7: "b1"})
    assert [command[-2] for command, text in calls if "s3cr3t-value" in text] == ["a2"]
    assert not any("s3cr3t" in word for command, _ in calls for word in command)


def test_a_leader_that_moved_is_found_again(play: Any) -> None:
    session._LEADERS["lab"] = "a1"
    play(cluster((0, "1\n\n", "")))
    assert session.change("lab", "SELECT 1", None).value == 1
    assert session._LEADERS == {"lab": "a2"}


def test_a_remembered_leader_that_is_down_is_replaced(play: Any) -> None:
    session._LEADERS["lab"] = "b1"
    play(cluster((0, "1\n\n", ""), {"a1": "leader", "a2": "standby"}))
    assert session.change("lab", "SELECT 1", None).value == 1


def test_without_a_leader_a_change_is_refused_and_says_what_still_works(play: Any) -> None:
    calls = play(cluster((0, "1\n\n", ""), {"a1": "standby", "b1": "standby"}))
    with pytest.raises(LeaderError, match=r"a1: standby; a2: ssh: .* timed out.*mail is still received"):
        session.change("lab", "SELECT 1", None)
    assert not any("BEGIN" in text for _, text in calls), "the change was sent to a server that does not lead"


def test_without_a_leader_a_replica_is_read(play: Any) -> None:
    play(cluster((0, "[1]\n\n", ""), {"b1": "standby"}))
    assert session.read("lab", "SELECT 1").value == [1]


def test_two_leaders_get_no_change(play: Any) -> None:
    calls = play(cluster((0, "1\n\n", ""), {"a1": "leader", "b1": "leader"}))
    with pytest.raises(LeaderError, match="a1 and b1"):
        session.change("lab", "SELECT 1", None)
    assert not any("BEGIN" in text for _, text in calls)


def test_a_refused_row_is_never_quoted(play: Any) -> None:
    play(
        cluster((3, "", 'ERROR:  23514: new row violates "some_check"\nDETAIL:  Failing row contains ({ARGON2ID}x).\n'))
    )
    with pytest.raises(ConflictError) as error:
        session.change("lab", "SELECT 1", None)
    assert str(error.value) == 'new row violates "some_check"'


@pytest.mark.parametrize(
    ("code", "err"), [(2, "psql:<stdin>:9: server closed the connection unexpectedly\n"), (255, "Connection closed\n")]
)
def test_a_change_whose_answer_was_lost_is_told_as_unconfirmed(play: Any, code: int, err: str) -> None:
    play(cluster((code, "", err)))
    with pytest.raises(UnconfirmedError, match="look at the entry"):
        session.change("lab", "SELECT 1", None)


def test_a_change_that_is_not_answered_in_time_is_told_as_unconfirmed(play: Any) -> None:
    def played(host: str, script: str) -> tuple[int, str, str]:
        if "BEGIN" in script:
            raise subprocess.TimeoutExpired(host, session.TIMEOUT_S)
        return 0, STATES[host] + "\n", ""

    play(played)
    with pytest.raises(UnconfirmedError, match="no answer within"):
        session.change("lab", "SELECT 1", None)


def test_names_are_resolved_by_the_first_mail_server_that_answers(play: Any) -> None:
    """The machine of an operator may see other names than the servers do; names travel by standard input."""

    def played(host: str, script: str) -> tuple[int, str, str]:
        assert script == "mail.old.example\ngone.example\n"
        return (255, "", "down\n") if host == "a1" else (0, "mail.old.example 203.0.113.25\n", "")

    calls = play(played)
    found = session.addresses_of("lab", ["mail.old.example", "gone.example"])
    assert found == {"mail.old.example": ["203.0.113.25"], "gone.example": []}
    assert [command[-2] for command, _ in calls] == ["a1", "a2"]
    assert not any("old.example" in word for command, _ in calls for word in command)


def test_names_without_any_mail_server_are_not_taken_for_unknown(play: Any) -> None:
    play(lambda _host, _script: (255, "", "down\n"))
    with pytest.raises(DirectoryError, match="is the platform up"):
        session.addresses_of("lab", ["mail.old.example"])
