"""The parts around the custodian: recipients, Postfix, standbys."""

import asyncio
import json
import socketserver
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from onedallmail.channel.errors import UnreachableError
from onedallmail.copies.postfix import Queue, QueueAwayError, RefusedError, parse_queue, reinject
from onedallmail.copies.recipients import Entry, Final, entries, expand
from onedallmail.copies.rules import Held
from onedallmail.copies.seal import Envelope, Recipient
from onedallmail.copies.standbys import REQUEST_BYTES, Question, held
from onedallmail.placement.map import Placement

DIRECTORY = {
    "u@e.org": Entry(group=7),
    "both@e.org": Entry(("both@e.org", "x@out.org"), group=3),
    "all@e.org": Entry(("u@e.org", "x@out.org")),
    "nest@e.org": Entry(("all@e.org", "both@e.org")),
    "loop@e.org": Entry(("pool@e.org",)),
    "pool@e.org": Entry(("loop@e.org",)),
}
U, X = Final("u@e.org", "u@e.org", 7), Final("x@out.org")


def lookup(addresses: Collection[str]) -> dict[str, Entry]:
    assert all(address == address.lower() for address in addresses)
    return {address: DIRECTORY[address] for address in addresses if address in DIRECTORY}


@pytest.mark.parametrize(
    ("address", "finals"),
    [
        ("u@e.org", {U}),
        ("U@E.org", {Final("U@E.org", "u@e.org", 7)}),
        ("u+tag@e.org", {Final("u+tag@e.org", "u@e.org", 7)}),
        ("all@e.org", {U, X}),
        ("all+t@e.org", {Final("u+t@e.org", "u@e.org", 7), Final("x+t@out.org")}),
        ("both@e.org", {Final("both@e.org", "both@e.org", 3), X}),
        ("nest@e.org", {U, X, Final("both@e.org", "both@e.org", 3)}),
        ("gone@e.org", {Final("gone@e.org")}),
        ("root", {Final("root")}),
    ],
)
def test_aliases_are_expanded_as_postfix_does(address: str, finals: set[Final]) -> None:
    assert expand([address], lookup) == {address: finals}


def test_aliases_that_go_round_end() -> None:
    assert all(final.group is None for final in expand(["loop@e.org"], lookup)["loop@e.org"])


def test_rows_of_the_directory_are_put_together() -> None:
    rows = [("a@e.org", "u@e.org", None), ("a@e.org", "v@e.org", None), ("u@e.org", None, 0)]
    assert entries(rows) == {"a@e.org": Entry(("u@e.org", "v@e.org")), "u@e.org": Entry(group=0)}


def test_the_queue_is_read_by_file_and_recipient() -> None:
    line = {"queue_name": "active", "queue_id": "4Q", "recipients": [{"address": "U@e.org"}, {"address": "x@out.org"}]}
    queue = parse_queue(json.dumps(line).encode() + b"\n")
    assert queue.has(["4Q"])
    assert queue.has(["4X", "4Q"], "u@E.org")
    assert not queue.has(["4Q"], "v@e.org")
    assert not queue.has(["4X"])
    assert parse_queue(b"") == Queue({})


class Smtp(socketserver.StreamRequestHandler):
    """A mail server that answers as its test says."""

    server: "SmtpServer"

    def handle(self) -> None:
        self.wfile.write(b"220 x\r\n")
        for line in iter(self.rfile.readline, b""):
            self.server.heard.append(line.rstrip(b"\r\n"))
            verb = line[:4].upper().decode()
            self.wfile.write(self.server.answers[verb])
            if verb == "DATA" and self.server.answers[verb].startswith(b"354"):
                while (text := self.rfile.readline()) != b".\r\n":
                    self.server.heard.append(text)
                self.wfile.write(self.server.answers["END"])
            if verb == "QUIT":
                return


class SmtpServer(socketserver.ThreadingTCPServer):
    """One port of it."""

    def __init__(self, **answers: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Smtp)
        self.heard: list[bytes] = []
        usual = {
            "EHLO": b"250-x\r\n250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8\r\n",
            "MAIL": b"250 2.1.0 Ok\r\n",
            "RCPT": b"250 2.1.5 Ok\r\n",
            "DATA": b"354 go\r\n",
            "END": b"250 2.0.0 Ok: queued as 4AGAIN\r\n",
            "RSET": b"250 Ok\r\n",
            "QUIT": b"221 bye\r\n",
        }
        self.answers = {**usual, **answers}


@contextmanager
def smtp(**answers: bytes) -> Iterator[tuple[SmtpServer, int]]:
    with SmtpServer(**answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server, int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


SENT = Envelope("s@out.example", (), ("BODY=8BITMIME", "RET=HDRS"))


def test_a_message_goes_in_again_with_its_parameters() -> None:
    with smtp() as (server, port):
        recipient = Recipient("u@e.org", ("NOTIFY=FAILURE", "ORCPT=rfc822;all@e.org"))
        assert reinject(port, "a1.internal", SENT, recipient, b"A: b\r\n\r\n.x\r\n", quiet=False) == "4AGAIN"
    assert b"MAIL FROM:<s@out.example> BODY=8BITMIME RET=HDRS" in server.heard
    assert b"RCPT TO:<u@e.org> NOTIFY=FAILURE ORCPT=rfc822;all@e.org" in server.heard
    assert b"..x\r\n" in server.heard


def test_a_quiet_one_asks_for_no_bounce_and_an_empty_sender_stays_empty() -> None:
    with smtp() as (server, port):
        reinject(port, "a1.internal", Envelope("", ()), Recipient("u@e.org", ("NOTIFY=FAILURE",)), b"x\r\n", quiet=True)
    assert b"MAIL FROM:<>" in server.heard
    assert b"RCPT TO:<u@e.org> NOTIFY=NEVER" in server.heard


def test_an_address_with_other_letters_is_sent_as_such() -> None:
    with smtp() as (server, port):
        reinject(port, "a1.internal", Envelope("s@x", (), ("SMTPUTF8",)), Recipient("ü@e.org"), b"x\r\n", quiet=False)
    assert b"MAIL FROM:<s@x> SMTPUTF8" in server.heard
    assert "RCPT TO:<ü@e.org>".encode() in server.heard


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "END"])
def test_a_final_refusal_is_told_from_one_for_now(verb: str) -> None:
    for code, error in ((b"550 5.1.1 no\r\n", RefusedError), (b"451 4.3.0 later\r\n", QueueAwayError)):
        with smtp(**{verb: code}) as (_, port), pytest.raises(error):
            reinject(port, "a1.internal", SENT, Recipient("u@e.org"), b"x\r\n", quiet=False)


def test_a_postfix_that_is_not_there_is_away() -> None:
    with pytest.raises(QueueAwayError, match="port 9"):
        reinject(9, "a1.internal", SENT, Recipient("u@e.org"), b"x\r\n", quiet=False)


GROUPS = {1: Placement("a1", "b1", 4), 2: Placement("b1", "c1", 1)}


def ask(questions: list[Question], alive: frozenset[str] | None, answers: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    calls: list[tuple[str, Any]] = []

    async def call(server: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        calls.append((server, fields["items"]))
        assert len(json.dumps(fields)) < REQUEST_BYTES * 1.1
        if server not in answers:
            raise UnreachableError(server, "held", "dead")
        return dict(answers[server])

    return asyncio.run(held(questions, GROUPS, alive, call)), calls


def test_standbys_are_asked_once_each_with_group_epoch_and_home() -> None:
    one, two, other = Question("u", 1, "i1"), Question("u", 1, "i2"), Question("v", 2, "i1")
    found, calls = ask([one, two, other], None, {"b1": {"held": {"u": ["i1"]}}, "c1": {"held": {}}})
    assert sorted(calls) == [("b1", [("u", 1, 4, "a1", ["i1", "i2"])]), ("c1", [("v", 2, 1, "b1", ["i1"])])]
    assert found == {one: Held.YES, two: Held.NO, other: Held.UNKNOWN}, "c1 does not vouch for v"


@pytest.mark.parametrize("answer", [{}, {"held": 5}, {"held": [1]}, {"held": {"u": 5}}])
def test_an_answer_that_is_none_says_nothing(answer: dict[str, Any]) -> None:
    found, _ = ask([Question("u", 1, "i1")], None, {"b1": answer})
    assert set(found.values()) == {Held.UNKNOWN}


def test_dead_standbys_and_unknown_groups_are_not_asked() -> None:
    found, calls = ask([Question("u", 1, "i1"), Question("w", 9, "i1")], frozenset({"a1"}), {})
    assert calls == []
    assert found == {Question("u", 1, "i1"): Held.UNKNOWN}


def test_many_questions_go_in_several_requests_and_one_that_fails_says_nothing_of_the_others() -> None:
    questions = [Question(f"user{n}@example.org", 1, f"{n:032x}") for n in range(2000)]
    found, calls = ask(questions, None, {"b1": {"held": {question.user: [question.copy_id] for question in questions}}})
    assert len(calls) > 1
    assert set(found.values()) == {Held.YES}
    assert set(ask(questions, None, {})[0].values()) == {Held.UNKNOWN}
