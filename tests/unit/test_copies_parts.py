"""The parts around the custodian: recipients, Postfix, standbys, KMS, places, settings, attempts."""

import asyncio
import json
import socketserver
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from onedallmail.channel.errors import UnreachableError
from onedallmail.copies.attempts import Attempt, Attempts
from onedallmail.copies.keys import KeysAwayError, OpeningKeys
from onedallmail.copies.kms import Kms
from onedallmail.copies.places import AliveKeys, PlacementFiles
from onedallmail.copies.postfix import Queue, QueueAwayError, RefusedError, parse_queue, reinject
from onedallmail.copies.recipients import Entry, Final, entries, expand
from onedallmail.copies.record import WrappedKey
from onedallmail.copies.rules import Held
from onedallmail.copies.seal import Envelope, Recipient
from onedallmail.copies.settings import SettingsError, load_settings
from onedallmail.copies.standbys import REQUEST_BYTES, Question, held
from onedallmail.placement.map import Placement
from tests.unit.copies import ID, WRAPPED, Keys

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


@dataclass
class Region:
    """A region's endpoint of KMS."""

    name: str
    dead: set[str]
    asked: list[str] = field(default_factory=list)

    def generate_data_key(self, **asked: Any) -> dict[str, bytes]:
        return {"CiphertextBlob": b"wrapped", "Plaintext": self._answer(asked)}

    def decrypt(self, **asked: Any) -> dict[str, bytes]:
        return {"Plaintext": self._answer(asked)}

    def _answer(self, asked: dict[str, Any]) -> bytes:
        assert asked["EncryptionContext"] == {"purpose": "test"}
        assert f":{self.name}:" in asked["KeyId"]
        self.asked.append(asked["KeyId"])
        if self.name in self.dead:
            raise EndpointConnectionError(endpoint_url=self.name)
        return b"k" * 32


ARNS = [f"arn:aws:kms:{region}:1:key/mrk-1" for region in ("eu-a", "eu-b")]


def kms(dead: set[str]) -> tuple[Kms, dict[str, Region]]:
    found = Kms(ARNS, {"purpose": "test"})
    regions = {name: Region(name, dead) for name in ("eu-a", "eu-b")}
    found._clients = dict(regions)
    return found, regions


def test_the_own_region_is_asked_first_and_a_replica_when_it_is_away() -> None:
    dead: set[str] = set()
    found, regions = kms(dead)
    assert found.generate().wrapped == WrappedKey(ARNS[0], b"wrapped")
    dead.add("eu-a")
    assert found.generate().wrapped.arn == ARNS[1]
    assert found.unwrap(WrappedKey(ARNS[0], b"wrapped")) == b"k" * 32
    assert len(regions["eu-a"].asked) == 2, "a region that failed is not asked again at once"
    dead.add("eu-b")
    with pytest.raises(KeysAwayError, match="check its endpoints"):
        found.generate()


def test_real_calls_of_botocore_get_a_key_that_can_be_unwrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = botocore.session.get_session().create_client("kms", region_name="eu-central-1")
        arn = client.create_key()["KeyMetadata"]["Arn"]
        key = Kms([arn], {"purpose": "test"}).generate()
        assert key.wrapped.arn == arn
        assert len(key.plain) == 32
        assert Kms([arn], {"purpose": "test"}).unwrap(key.wrapped) == key.plain
        with pytest.raises(KeysAwayError):
            Kms([arn], {"purpose": "other"}).unwrap(key.wrapped)


def test_a_key_of_another_platform_is_not_even_asked_for() -> None:
    found, regions = kms(set())
    with pytest.raises(KeysAwayError, match="none of this platform"):
        found.unwrap(WrappedKey("arn:aws:kms:eu-a:1:key/mrk-2", b"x"))
    assert regions["eu-a"].asked == []


def test_a_key_is_unwrapped_once_and_a_failure_is_not_repeated_at_once() -> None:
    async def run() -> None:
        keys = Keys()
        opening = OpeningKeys(keys)
        assert await opening.unwrap(WRAPPED) == await opening.unwrap(WRAPPED)
        assert keys.calls == 1
        keys.away = True
        for _ in range(3):
            with pytest.raises(KeysAwayError):
                await opening.unwrap(WrappedKey(WRAPPED.arn, b"other"))
        assert keys.calls == 2
        assert await opening.unwrap(WRAPPED)

    asyncio.run(run())


def alive_file(directory: Path, age_s: float) -> None:
    at = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat()
    (directory / "alive.json").write_text(json.dumps({"version": 1, "at": at, "servers": {"a1": "a"}}))


def test_places_come_from_the_placement_services_files_unless_they_are_old(tmp_path: Path) -> None:
    places = PlacementFiles(tmp_path)
    assert places.read().alive is None
    alive_file(tmp_path, 1)
    record = {"home": "a1", "standby": "b1", "epoch": 4}
    (tmp_path / "groups.json").write_text(json.dumps({"groups": {"1": record}}))
    assert places.read().alive == frozenset({"a1"})
    assert places.read().groups == {1: GROUPS[1]}
    alive_file(tmp_path, 60)
    (tmp_path / "groups.json").write_text("{")
    assert places.read().alive is None
    assert places.read().groups == {1: GROUPS[1]}, "the map of before stays"


@dataclass
class Etcd:
    """A client of etcd."""

    values: dict[str, bytes]
    dead: bool = False

    def read(self, _prefix: str) -> "Etcd":
        if self.dead:
            msg = "no majority"
            raise ConnectionError(msg)
        return self


def test_a_witness_asks_etcd_who_lives() -> None:
    etcd = Etcd({"/onedallmail/placement/alive/a1": b"", "/onedallmail/placement/alive/b1": b""})
    places = AliveKeys(etcd, ConnectionError, kept_s=0)
    assert places.read().alive == frozenset({"a1", "b1"})
    etcd.dead = True
    assert places.read().alive is None


def test_attempts_outlive_the_process_and_go_with_their_copy(tmp_path: Path) -> None:
    name = f"{ID}-4Q-a1"
    attempts = Attempts(tmp_path)
    attempts.add(name, "u@e.org", Attempt(5.0, 1, "4X"))
    attempts.add(name, "u@e.org", Attempt(6.0, 2, ""))
    (tmp_path / f"{ID}-4Z-a1").write_text("{")
    again = Attempts(tmp_path)
    assert again.of(name, "u@e.org") == (Attempt(5.0, 1, "4X"), Attempt(6.0, 2, ""))
    assert again.of(name, "v@e.org") == ()
    again.forget(name)
    assert Attempts(tmp_path).of(name, "u@e.org") == ()


def raw(directory: Path) -> dict[str, Any]:
    return {
        "channel": {
            "server": "a1",
            "port": 1,
            "addresses": {"a1": "127.0.0.1", "w1": "127.0.0.2"},
            "certificate": "x",
            "key": "x",
            "ca": "x",
            "pins": "x",
        },
        "sync_port": 2,
        "regions": {"a1": "a", "w1": "w"},
        "witnesses": ["w1"],
        "kms": {"arns": ARNS, "context": {}},
        "directory": str(directory),
        "placement": "x",
        "etcd": None,
        "database": "x",
        "database_user": "x",
        "reinjection_port": 3,
        "socket": "x",
        "message_bytes": 1,
        "buffered_bytes": 1,
        "min_free_bytes": 1,
        "without_second_place": "refuse",
    }


def test_settings_are_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "copies.json"
    file.write_text(json.dumps(raw(tmp_path)))
    found = load_settings(file)
    assert found.delivers
    assert found.mail_regions == {"a1": "a"}
    assert found.sync_channel.port == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"without_second_place": "maybe"}, "maybe"),
        ({"regions": {"a1": "a"}}, "w1: each server needs"),
        ({"kms": {"arns": [], "context": {}}}, r"kms\.arns is empty"),
        ({"witnesses": ["a1"]}, "etcd is missing"),
        ({"strange": 1}, "strange"),
    ],
)
def test_settings_that_can_not_be_are_refused_with_the_reason(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    file = tmp_path / "copies.json"
    file.write_text(json.dumps({**raw(tmp_path), **change}))
    with pytest.raises(SettingsError, match=reason):
        load_settings(file)
