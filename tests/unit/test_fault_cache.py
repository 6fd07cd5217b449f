"""The fault tests' checker with a mail program's cache: it takes what a server tells, and reports each breach."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.faults import cache as module
from tests.faults.cache import Cache


@dataclass
class Server:
    """One folder of a server; `told` is what it says unasked when the folder is opened."""

    validity: int = 7
    modseq: int = 10
    messages: dict[int, tuple[str, str]] = field(default_factory=lambda: {1: ("<a@x>", ""), 3: ("<b@x>", r"\Seen")})
    told: dict[str, list[bytes]] = field(default_factory=dict)
    opened: list[tuple[str, ...]] = field(default_factory=list)
    state: str = ""

    def __post_init__(self) -> None:
        """Say nothing yet."""
        self.untagged_responses: dict[str, list[bytes]] = {"CAPABILITY": [b"IMAP4rev1"]}

    def enable(self, what: str) -> None:
        """Know one extension."""
        assert what == "QRESYNC"

    def response(self, kind: str) -> None:
        """Forget what was said."""
        self.untagged_responses.pop(kind)

    def _simple_command(self, *words: str) -> tuple[str, list[bytes]]:
        self.opened.append(words)
        said = {"UIDVALIDITY": [b"%d" % self.validity], "HIGHESTMODSEQ": [b"%d" % self.modseq], **self.told}
        self.untagged_responses.update(said)
        return "OK", [b"opened"]

    def uid(self, _command: str, uids: str, _what: str) -> tuple[str, list[tuple[bytes, bytes] | bytes]]:
        """Return what FETCH finds; `n:*` names the last message, too."""
        first = int(uids.partition(":")[0])
        found: list[tuple[bytes, bytes] | bytes] = []
        for uid in sorted(u for u in self.messages if u >= first or u == max(self.messages)):
            identity, flags = self.messages[uid]
            head = f"{uid} (UID {uid} FLAGS ({flags}) BODY[HEADER.FIELDS (MESSAGE-ID)] {{40}}"
            found += [(head.encode(), f"Message-ID: {identity}\r\n\r\n".encode()), b")"]
        return "OK", found


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    one = Server()

    @contextmanager
    def imap(_through: str, _user: str) -> Iterator[Server]:
        yield one

    monkeypatch.setattr(module, "imap", imap)
    return one


@pytest.fixture
def cache(server: Server) -> Cache:  # noqa: ARG001 - it is asked
    found = Cache("carol", "INBOX")
    assert found.resync("a1") == []
    return found


def test_what_a_server_tells_is_taken(server: Server, cache: Cache) -> None:
    assert cache.messages == {1: ("<a@x>", frozenset()), 3: ("<b@x>", frozenset({r"\Seen"}))}
    server.messages = {3: ("<b@x>", r"\Seen \Flagged"), 70000: ("<c@x>", "")}
    server.modseq = 20
    server.told = {"VANISHED": [b"(EARLIER) 1:2,5"], "FETCH": [rb"1 (UID 3 FLAGS (\Seen \Flagged) MODSEQ (15))"]}
    assert cache.resync("a1") == []
    assert server.opened[-1] == ("SELECT", '"INBOX"', "(QRESYNC (7 10))")
    assert cache.messages == {3: ("<b@x>", frozenset({r"\Seen", r"\Flagged"})), 70000: ("<c@x>", frozenset())}
    assert cache.uids("<c@x>") == [70000]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"validity": 8}, "UIDVALIDITY was 7, and is now 8"),
        ({"modseq": 9}, "HIGHESTMODSEQ was 10, and is now 9"),
        ({"messages": {1: ("<a@x>", ""), 3: ("<other@x>", r"\Seen")}}, "UID 3 named <b@x>, and now names <other@x>"),
        ({"messages": {1: ("<a@x>", "")}}, "UID 3 is ('<b@x>', frozenset({'\\\\Seen'})) in the cache, and None"),
        ({"messages": {1: ("<a@x>", r"\Seen"), 3: ("<b@x>", r"\Seen")}}, "UID 1 is"),
        ({"messages": {1: ("<a@x>", ""), 2: ("<c@x>", ""), 3: ("<b@x>", r"\Seen")}}, "UID 2 is None in the cache"),
    ],
)
def test_each_breach_is_reported(server: Server, cache: Cache, change: dict[str, object], told: str) -> None:
    for name, value in change.items():
        setattr(server, name, value)
    assert any(told in text for text in cache.resync("a1"))


def test_a_uid_of_a_deleted_message_that_names_another_is_reported(server: Server, cache: Cache) -> None:
    kept = server.messages.copy()
    del server.messages[3]
    server.told = {"VANISHED": [b"(EARLIER) 3"]}
    assert cache.resync("a1") == []
    server.told, server.messages = {}, {**kept, 3: ("<new@x>", "")}
    assert any("UID 3 named <b@x>, and now names <new@x>" in text for text in cache.resync("a1"))
