"""Mailboxes and filters through every server: one user, one mailbox, wherever the user comes in."""

import contextlib

import pytest

from onedallmail.evidence.attachments import Evidence
from tests.lab import MAIL, eventually, on_all, password
from tests.mail.clients import Imap, arrived, copies, imap, search, send_from_peer
from tests.mail.messages import digest, message
from tests.mail.sieve import Sieve, SieveError
from tests.mail.test_inbound import NEXT

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(180)]


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.14", "soc2:CC9.1")
@pytest.mark.parametrize("home", MAIL)
def test_every_server_shows_the_same_bytes(home: str, residents: dict[str, str], evidence: Evidence) -> None:
    """A copy that differs by a byte would break the signature that the receiver checks."""
    user, sample = residents[home], message("The same everywhere", "Compare me.\n")
    send_from_peer(sample.raw, [user])
    arrived(home, user, sample.id)
    digests = on_all(MAIL, lambda name: [digest(raw) for raw in copies(name, user, sample.id)])
    evidence.attach_text("digests.txt", repr(digests))
    assert all(len(found) == 1 for found in digests.values()), digests
    assert len({found[0] for found in digests.values()}) == 1, digests


@pytest.mark.control("iso27001:A.8.14")
def test_what_is_done_through_one_server_is_seen_through_another(residents: dict[str, str]) -> None:
    """Flags, folders and deletions belong to the mailbox, not to the server that showed it."""
    user, sample = residents[MAIL[0]], message("Flag me", "Then move me.\n")
    send_from_peer(sample.raw, [user])
    arrived(MAIL[1], user, sample.id)
    with imap(MAIL[2], user) as client:
        uid = search(client, "INBOX", sample.id)[0]
        client.uid("STORE", uid, "+FLAGS.SILENT", r"(\Flagged)")
        assert client.uid("MOVE", uid, "Archive")[0] == "OK"
    with imap(MAIL[3], user) as client:
        assert search(client, "INBOX", sample.id) == []
        moved = search(client, "Archive", sample.id)
        assert len(moved) == 1
        _, answer = client.uid("FETCH", moved[0], "(FLAGS)")
        assert b"\\Flagged" in answer[0]


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.8.26")
@pytest.mark.parametrize("home", MAIL)
def test_a_filter_uploaded_elsewhere_works_at_home(home: str, residents: dict[str, str]) -> None:
    """ManageSieve works on every server; the script takes effect where mail is stored."""
    user, folder = residents[home], "Filtered"
    sample = message(f"File me {home}", "By a filter.\n")
    script = (
        f'require ["fileinto", "mailbox"]; if header :contains "Subject" "{home}" {{ fileinto :create "{folder}"; }}'
    )
    try:
        with Sieve(NEXT[home]) as client:
            client.login(user, password(user))
            client.put("test-filter", script)
        send_from_peer(sample.raw, [user])
        arrived(home, user, sample.id, folders=[folder])
        assert copies(NEXT[home], user, sample.id) == [], "the message is in the inbox as well"
    finally:
        with Sieve(home) as client:
            client.login(user, password(user))
            with contextlib.suppress(SieveError):
                client.drop("test-filter")


@pytest.mark.control("iso27001:A.8.26")
def test_a_filter_with_an_error_is_refused(residents: dict[str, str]) -> None:
    """A script that does not compile must not silently lose mail later."""
    user = residents[MAIL[0]]
    with Sieve(MAIL[1]) as client:
        client.login(user, password(user))
        with pytest.raises(SieveError):
            client.put("broken", 'if header "nonsense" {')


@pytest.mark.control("iso27001:A.8.7", "iso27001:A.8.26")
def test_a_mark_that_came_from_outside_is_removed(residents: dict[str, str]) -> None:
    """Only our own filter decides what is spam: a forged mark must not file a message away."""
    user, sample = residents[MAIL[0]], message("Not spam", "The mark is forged.\n")
    send_from_peer(b"X-Spam: Yes\r\n" + sample.raw, [user])
    found = eventually("the message", lambda: copies(MAIL[1], user, sample.id, ["INBOX", "Junk"]), 60)
    with imap(MAIL[1], user) as client:
        assert len(search(client, "INBOX", sample.id)) == 1, "a forged mark moved the message"
    assert b"X-Spam: Yes" not in found[0].partition(b"\r\n\r\n")[0]


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.8.15", "soc2:CC6.7")
def test_the_server_tells_nothing_before_log_in() -> None:
    """Versions and extensions help whoever looks for a known weakness."""
    for name in MAIL:
        with Imap(name) as client:
            assert b"ready" in client.welcome
            assert b"Debian" not in client.welcome
            assert b"2.4" not in client.welcome
