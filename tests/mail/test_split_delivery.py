"""Our domain is shared with another system for a while: mail works both ways, and none goes round in a circle.

The peer plays that system. It has mailboxes of edda and emil; it thinks that egon lives with us.
"""

import contextlib
import json
import secrets
from collections.abc import Iterator

import pytest

from onedallmail.directory import elsewhere, remote
from onedallmail.directory.aliases import add_alias, remove_alias
from onedallmail.directory.errors import ConflictError, DirectoryError, InputError
from onedallmail.directory.other_system import described
from onedallmail.evidence.attachments import Evidence
from tests.lab import (
    BOB,
    CLIENT,
    DOMAIN,
    MAIL,
    PEER,
    PEER_ADDRESS,
    STACK,
    eventually,
    on_all,
    password,
    public_ip,
    run_on,
    server,
)
from tests.mail.clients import PEER_NAME, arrived, copies, enhanced, hops, imap, read, smtp, submit
from tests.mail.messages import Sample, body_of, digest, message
from tests.mail.test_refused import outcome, reply

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(300)]

EDDA, EMIL, EGON = (f"{name}@{DOMAIN}" for name in ("edda", "emil", "egon"))
THERE = (EDDA, EMIL, EGON)
STRANGER = "post@outside.example"
"""A sender whose domain has no policy; its envelope is empty, as no such domain exists."""
FIRST, SECOND = MAIL[0], MAIL[2]


def recipient(name: str, address: str, node: str = CLIENT) -> str:
    """Return how a server answers a recipient's address."""
    return reply(name, "MAIL FROM:<>", f"RCPT TO:<{address}>", node=node)


def everywhere(address: str, answer: str, node: str = CLIENT) -> None:
    """Wait until every server's replica knows what became of an address."""
    eventually(
        f"{address} is answered {answer} by all",
        lambda: set(on_all(MAIL, lambda name: recipient(name, address, node)).values()) == {answer},
        30,
    )


def from_outside(name: str, to: str) -> Sample:
    """Send a message of a stranger by one server."""
    sample = message("From outside", "Hello.\n", sender=STRANGER, to=to)
    with smtp(name, node=CLIENT) as client:
        assert client.sendmail("", [to], sample.raw) == {}
    return sample


def waiting(node: str, address: str) -> list[str]:
    """Return the queues of a node in which mail for an address is."""
    listed = run_on(node, "postqueue -j")
    assert listed.code == 0, listed.stderr
    rows = [json.loads(line) for line in listed.lines]
    return [row["queue_name"] for row in rows if address in (r["address"] for r in row["recipients"])]


def as_sent(sample: Sample, raw: bytes) -> None:
    """Fail unless the body is byte for byte what was sent."""
    assert digest(body_of(raw)) == digest(sample.body)


@pytest.fixture(scope="module")
def shared(lab: object) -> Iterator[None]:  # noqa: ARG001 - the directory is the running lab's
    """The domain is shared with the peer; afterwards it is not."""
    elsewhere.split(STACK, DOMAIN, described(STACK, PEER_NAME, [], []), elsewhere.Unknown.REFUSE)
    try:
        elsewhere.live_elsewhere(STACK, THERE)
        for address in THERE:
            everywhere(address, "250 2.1.5")
        yield
    finally:
        elsewhere.come_home(STACK, THERE)
        elsewhere.unsplit(STACK, DOMAIN)
        everywhere(EDDA, "550 5.1.1")


@pytest.mark.usefixtures("shared")
@pytest.mark.control("iso27001:A.5.14", "iso27001:A.8.24", "soc2:CC6.7")
@pytest.mark.parametrize("name", MAIL)
def test_mail_from_outside_goes_to_the_other_system(name: str, evidence: Evidence) -> None:
    """Any server takes it for a user who still lives there, and passes it on by TLS 1.3 from its own address."""
    sample = from_outside(name, EDDA)
    raw = arrived(PEER, EDDA, sample.id)
    as_sent(sample, raw)
    assert b"\nX-Ingest-Id: " in raw, "a copy was kept before it was accepted"
    outer = next(hop for hop in hops(raw) if f"by {PEER_NAME} (Postfix)" in hop)
    evidence.attach_text("received.txt", outer)
    assert server(name).fqdn in outer
    assert public_ip(name) in outer
    assert "TLSv1.3" in outer


@pytest.mark.usefixtures("shared")
@pytest.mark.control("iso27001:A.5.14")
@pytest.mark.parametrize("name", MAIL)
def test_colleagues_write_to_each_other_both_ways(name: str, residents: dict[str, str]) -> None:
    """A domain's users do not notice on which system the other one lives."""
    user = residents[name]
    there = message("Are you there?", "Still.\n", sender=user, to=EDDA)
    submit(name, user, there.raw, [EDDA])
    as_sent(there, arrived(PEER, EDDA, there.id))
    back = message("I am", "Soon with you.\n", sender=EDDA, to=user)
    submit(PEER, EDDA, back.raw, [user])
    as_sent(back, arrived(name, user, back.id, ("INBOX",)))


@pytest.mark.usefixtures("shared")
def test_an_alias_leads_to_both_systems(residents: dict[str, str]) -> None:
    """A list of colleagues has them all, from whichever system one writes to it."""
    crew, user = f"crew-{secrets.token_hex(4)}@{DOMAIN}", residents[SECOND]
    add_alias(STACK, crew, [EDDA, user])
    try:
        everywhere(crew, "250 2.1.5")
        sent = [from_outside(FIRST, crew), message("To the crew", "All of us.\n", sender=EMIL, to=crew)]
        submit(PEER, EMIL, sent[1].raw, [crew])
        for sample in sent:
            as_sent(sample, arrived(PEER, EDDA, sample.id))
            as_sent(sample, arrived(FIRST, user, sample.id))
    finally:
        remove_alias(STACK, crew)


@pytest.mark.usefixtures("shared")
@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.26")
@pytest.mark.parametrize("name", MAIL)
def test_only_named_addresses_are_taken(name: str) -> None:
    """What nobody knows is refused to strangers and to the other system: no bounce goes to a forged sender."""
    assert recipient(name, f"nobody-at-all@{DOMAIN}") == "550 5.1.1"
    assert recipient(name, f"nobody-at-all@{DOMAIN}", PEER) == "550 5.1.1"
    assert recipient(name, f"edda+shop@{DOMAIN}") == "250 2.1.5", "an extension is its owner's"


@pytest.mark.usefixtures("shared")
@pytest.mark.control("iso27001:A.8.26", "iso27001:A.8.21", "soc2:CC6.6")
@pytest.mark.parametrize("name", MAIL)
def test_nobody_else_sends_as_our_users(name: str, residents: dict[str, str]) -> None:
    """The other system's address is what lets it; any other address is a stranger's, shared domain or not."""
    for sender in (residents[name], EDDA):
        sample = message("Urgent transfer", "Please pay.\n", sender=sender)
        assert outcome(name, sender, sample.raw, residents[name]) == "554 5.7.1"
    header = message("Urgent transfer", "Please pay.\n", sender=EDDA)
    assert outcome(name, "", header.raw, residents[name]).startswith(("550 5.7", "554 5.7"))
    assert recipient(name, "somebody@elsewhere.example", PEER) == "554 5.7.1", "it may not relay"


@pytest.mark.usefixtures("shared")
@pytest.mark.control("iso27001:A.8.21")
@pytest.mark.parametrize("name", MAIL)
def test_what_the_other_system_sends_back_is_refused(name: str) -> None:
    """It says that its user lives here, we say there: only a refusal ends that, and its sender learns why."""
    with smtp(name, node=PEER) as client:
        client.mail(BOB)
        code, text = client.rcpt(EGON)
    assert enhanced(code, text) == "554 5.4.6"
    assert PEER_NAME.encode() in text


@pytest.mark.usefixtures("shared")
@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.26")
def test_a_circle_ends_with_one_report(residents: dict[str, str]) -> None:
    """Both systems think that the other one has the user: the author gets one report, and nothing stays in a queue."""
    user = residents[FIRST]
    sample = message("Where do you live?", "Nowhere.\n", sender=user, to=EGON)
    submit(SECOND, user, sample.raw, [EGON])

    def reports() -> list[bytes]:
        with imap(FIRST, user) as client:
            client.select("INBOX")
            _, found = client.uid("SEARCH", "FROM", "MAILER-DAEMON", "TEXT", f'"{sample.id}"')
            return [read(client, uid) for uid in found[0].decode().split()]

    found = eventually("a report to the author", reports, 60)
    assert len(found) == 1
    assert b"Status: 5.4.6" in found[0]
    nodes = (*MAIL, PEER)
    eventually(
        f"nothing for {EGON} waits anywhere",
        lambda: not any(on_all(nodes, lambda node: waiting(node, EGON)).values()),
        30,
    )


@pytest.mark.usefixtures("shared")
@pytest.mark.control("iso27001:A.8.21")
def test_a_message_with_too_many_hops_is_refused(residents: dict[str, str]) -> None:
    """The second guard: a circle that no address gives away (the other system sends by yet another one) ends, too."""
    hop = b"Received: from a.example by b.example; Thu, 1 Jan 2026 00:00:00 +0000\r\n"
    sample = message("Round and round", "Again.\n", sender=STRANGER)
    assert outcome(FIRST, "", hop * 60 + sample.raw, residents[FIRST]) == "554 5.4.0"


@pytest.mark.usefixtures("shared")
@pytest.mark.control("iso27001:A.8.14")
def test_mail_waits_while_the_other_system_is_down() -> None:
    """Its outage is not our users' loss: what was accepted stays in the queue until it answers again."""
    assert run_on(PEER, "systemctl stop postfix").code == 0
    try:
        sample = from_outside(SECOND, EDDA)
        eventually("it waits", lambda: "deferred" in waiting(SECOND, EDDA), 60)
    finally:
        assert run_on(PEER, "systemctl start postfix").code == 0
    as_sent(sample, arrived(PEER, EDDA, sample.id, within_s=120))


@pytest.mark.usefixtures("shared")
@pytest.mark.control("iso27001:A.5.14")
def test_who_moves_in_gets_later_mail_here(residents: dict[str, str]) -> None:
    """One step of an administrator: before it all mail is there, after it all mail is here, also from there."""
    before = from_outside(FIRST, EMIL)
    as_sent(before, arrived(PEER, EMIL, before.id))
    remote.add(STACK, EMIL, password(EMIL))
    try:
        # The peer is taken for an address that lives here; it was refused while the address lived there.
        everywhere(EMIL, "250 2.1.5", PEER)
        user = residents[SECOND]
        after = message("Welcome", "Nice to have you.\n", sender=user, to=EMIL)
        submit(SECOND, user, after.raw, [EMIL])
        as_sent(after, arrived(FIRST, EMIL, after.id))
        assert copies(FIRST, EMIL, before.id) == [], "what arrived there comes by a migration"
        _and_moves_back(residents[FIRST])
    finally:
        with contextlib.suppress(DirectoryError):
            remote.remove(STACK, EMIL)


def _and_moves_back(user: str) -> None:
    elsewhere.live_elsewhere(STACK, [EMIL], keep_mailboxes=True)
    everywhere(EMIL, "554 5.4.6", PEER)
    # Another sender than before: a queue remembers the way of its last look-up for half a minute.
    later = message("Back again", "So soon?\n", sender=user, to=EMIL)
    submit(MAIL[1], user, later.raw, [EMIL])
    as_sent(later, arrived(PEER, EMIL, later.id))
    assert copies(FIRST, EMIL, later.id) == []


@pytest.mark.usefixtures("shared")
def test_wrong_wishes_are_refused_and_change_nothing(residents: dict[str, str]) -> None:
    """Each says what to do instead."""
    before = elsewhere.splits(STACK)
    with pytest.raises(InputError, match="own servers"):
        described(STACK, server(FIRST).fqdn, [], [])
    with pytest.raises(InputError, match="has no IPv4 address"):
        described(STACK, "no-such-host.partner.example", [], [])
    with pytest.raises(ConflictError, match="user delete"):
        elsewhere.live_elsewhere(STACK, [residents[FIRST]])
    with pytest.raises(ConflictError, match="still live elsewhere"):
        elsewhere.unsplit(STACK, DOMAIN)
    with pytest.raises(ConflictError, match="lives elsewhere"):
        add_alias(STACK, EDDA, [residents[FIRST]])
    assert elsewhere.splits(STACK) == before
    assert before[0]["networks"] == [f"{PEER_ADDRESS}/32"]
