"""The way of a message, from real log lines of two servers (a1 and b1) that handed mail over to each other."""

from datetime import UTC
from pathlib import Path

import pytest

from onedallmail.tracing.follow import MessageIdError, clean_message_id, collect, next_words
from onedallmail.tracing.lines import LogLine, parse_line
from onedallmail.tracing.remote import command, places
from onedallmail.tracing.timeline import Step, timeline

DATA = Path(__file__).parent / "data" / "trace"
WAITED = "down-1@partner.example"
BOUNCED = "0bd7d59f-8cf3-4b7a-a046-a690a34304e0@acme.example"
FORWARDED = "8e9e7524-09a8-4ae2-98e1-5d31079db054@partner.example"
REFUSED = "fd314ae7-c91f-4320-be5d-6c2f4e7c0200@partner.example"


class Logs:
    """Both servers' logs; answers as grep would, and counts the questions."""

    def __init__(self) -> None:
        self.asked = 0
        self.raw = [(p.stem, raw) for p in sorted(DATA.glob("*.log")) for raw in p.read_text().splitlines()]

    def search(self, words: frozenset[str]) -> list[LogLine]:
        self.asked += 1
        hits = ((server, raw) for server, raw in self.raw if any(word in raw for word in words))
        return [line for line in (parse_line(server, raw) for server, raw in hits) if line]


def steps_of(message_id: str) -> tuple[Step, ...]:
    return timeline(collect(message_id, Logs().search), message_id)


def short(steps: tuple[Step, ...]) -> list[tuple[str, str]]:
    return [(s.server, s.step) for s in steps if s.step not in ("queued", "done")]


def test_mail_for_a_dead_home_is_deferred_then_handed_over_and_stored() -> None:
    steps = steps_of(WAITED)
    bob = [(s.server, s.step) for s in steps if "bob@" in s.detail]
    assert bob == [
        ("a1", "deferred"),
        ("a1", "handed over"),
        ("b1", "stored"),
        ("b1", "delivered"),
    ]


def test_hand_over_names_the_tls_session_of_both_ends() -> None:
    tls = {s.step: s.tls for s in steps_of(WAITED) if s.step in ("accepted", "handed over", "taken over")}
    assert tls == {
        "accepted": "TLSv1.3 x25519 (anonymous)",
        "handed over": "TLSv1.3 X25519MLKEM768 (verified)",
        "taken over": "TLSv1.3 X25519MLKEM768 (trusted)",
    }


def test_a_deferred_try_without_a_connection_claims_no_tls() -> None:
    assert [s.tls for s in steps_of(WAITED) if s.step == "deferred"] == [""]


def test_a_bounce_is_followed_to_the_senders_mailbox() -> None:
    found = short(steps_of(BOUNCED))
    assert ("b1", "bounced") in found
    assert found.index(("b1", "bounce written")) < found.index(("a1", "taken over")) < found.index(("a1", "stored"))


def test_a_sieve_redirect_is_followed_to_the_other_organisation() -> None:
    sent = [s for s in steps_of(FORWARDED) if s.step == "sent"]
    assert [(s.server, s.detail.split()[0]) for s in sent] == [("b1", "fwd@partner.example")]


def test_a_refused_message_shows_score_and_reply_and_no_delivery() -> None:
    steps = steps_of(REFUSED)
    assert [s.step for s in steps] == ["accepted", "filtered", "refused"]
    assert "5.7.1 Gtube pattern" in steps[-1].detail


def test_steps_are_in_order_of_time_in_utc() -> None:
    times = [s.time for s in steps_of(WAITED)]
    assert times == sorted(times)
    assert {t.tzinfo for t in times} == {UTC}


def test_other_messages_of_the_same_processes_stay_out() -> None:
    assert not [s for s in steps_of(WAITED) if "fwd@" in s.detail or "anna@acme.example as" in s.detail]


def test_collecting_ends_when_no_answer_brings_a_new_word() -> None:
    logs = Logs()
    lines = collect(WAITED, logs.search)
    assert next_words(lines, WAITED)
    assert logs.asked <= 4


def test_an_unknown_message_has_no_steps() -> None:
    logs = Logs()
    assert timeline(collect("nobody@nowhere.example", logs.search), "nobody@nowhere.example") == ()
    assert logs.asked == 1


@pytest.mark.parametrize("given", ["<a@b.example>", " a@b.example ", "a@b.example"])
def test_angle_brackets_and_blanks_around_an_id_are_taken_off(given: str) -> None:
    assert clean_message_id(given) == "a@b.example"


@pytest.mark.parametrize("given", ["", "<>", "a b@c", "a@b\n-e x", "x" * 999])
def test_what_is_no_message_id_is_refused(given: str) -> None:
    with pytest.raises(MessageIdError, match="is no Message-ID"):
        clean_message_id(given)


@pytest.mark.parametrize(
    "raw", ["", "    continued", "2026-11-22T04:19:08 a1 postfix/qmgr[1]: no zone", "not a time a1 x: y"]
)
def test_lines_of_another_form_are_passed_over(raw: str) -> None:
    assert parse_line("a1", raw) is None


def test_words_reach_the_shell_quoted() -> None:
    assert "-e '$(reboot)@x'" in command("/var/log/mail.log", ["$(reboot)@x"])


def test_logs_are_read_on_the_servers_or_on_the_collector() -> None:
    host = {"ansible_host": "100.64.0.2", "ansible_user": "root", "ansible_ssh_common_args": "-F /lab/ssh_config"}
    facts = {"onedallmail_server": {"fqdn": "a1.acme.example", "instance_id": "i-1"}}
    witness = {"onedallmail_server": {"fqdn": "c1.acme.example", "instance_id": "i-9"}}
    inventory = {"_meta": {"hostvars": {"a1": host | facts, "c1": witness}}, "mail": {"hosts": ["a1"]}}
    (own,), (copy,) = places(inventory), places(inventory, "c1")
    assert (own.ssh[-1], own.path) == ("root@100.64.0.2", "/var/log/mail.log")
    assert (copy.server, copy.ssh[-1], copy.path) == ("a1", "admin@i-9", "/var/log/remote/a1.acme.example/mail.log")
