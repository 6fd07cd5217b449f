"""The standby of a mailbox: what happens at the home is there within seconds, as its own Dovecot sees it."""

import contextlib
import email
import json
import shlex
from typing import Any

import pytest

from onedallmail.evidence.attachments import Evidence
from tests.lab import MAIL, eventually, on_all, password, run_on
from tests.mail.clients import arrived, copies, imap, search, send_from_peer
from tests.mail.messages import message
from tests.mail.sieve import Sieve, SieveError

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(180)]

WITHIN_S = 20
STATUS = "/var/lib/onedallmail/mailboxes/status.json"
UPKEEP = """
import base64, json, pathlib, sys, urllib.request
key = base64.b64encode(pathlib.Path("/etc/onedallmail/doveadm-api.key").read_bytes().strip()).decode()
request = urllib.request.Request("http://127.0.0.1:10081/doveadm/v1", sys.argv[1].encode(),
    {"Content-Type": "application/json", "Authorization": "X-Dovecot-API " + key})
print(json.dumps(json.load(urllib.request.urlopen(request, timeout=20))))
"""
LEDGER = """
import pathlib, sys
from onedallmail.mailboxes import ledger
user, ingest_id = sys.argv[1:]
local, _, domain = user.rpartition("@")
path = pathlib.Path("/var/vmail") / domain / local / ledger.NAME
print(ledger.ingest_key(ingest_id, user) in ledger.read(path))
"""


def standby_of(user: str, home: str) -> str:
    """Return the standby of a user by the map that the home has."""
    query = "SELECT address, placement_group FROM postfix.mailbox"
    psql = f"psql --host /var/run/postgresql --username mail_read --dbname onedallmail -qAt -F ' ' -c '{query}'"
    group = dict(line.split(" ") for line in _said(home, psql).splitlines())[user]
    groups = json.loads(_said(home, "cat /var/lib/onedallmail/placement/groups.json"))["groups"]
    assert groups[group]["home"] == home
    return str(groups[group]["standby"])


def _said(node: str, script: str) -> str:
    return "\n".join(run_on(node, script).lines)


def stored(node: str, command: str, user: str, **given: Any) -> list[dict[str, str]]:
    """Return what doveadm says of the mailbox that is stored on a server, home or not."""
    request = json.dumps([[command, {"user": user, **given}, "t"]])
    ((kind, rows, _),) = json.loads(_said(node, f"python3 -c {shlex.quote(UPKEEP)} {shlex.quote(request)}"))
    assert kind == "doveadmResponse", rows
    return list(rows)


def found(node: str, user: str, message_id: str) -> list[dict[str, str]]:
    """Return folder, UID, GUID, flags and ingest id of a message as stored on a server."""
    fields = ["mailbox", "uid", "guid", "flags", "hdr.x-ingest-id"]
    query = ["mailbox", "*", "header", "Message-ID", message_id]
    rows = stored(node, "fetch", user, field=fields, query=query)
    return [{**row, "flags": " ".join(sorted(set(row["flags"].split()) - {"\\Recent"}))} for row in rows]


@pytest.mark.control("iso27001:A.8.13", "iso27001:A.8.14", "soc2:CC9.1")
@pytest.mark.parametrize("home", MAIL)
def test_a_delivered_message_is_on_the_standby(home: str, residents: dict[str, str], evidence: Evidence) -> None:
    """The death of the home's disk must not take a message along that was acknowledged a moment ago."""
    user, sample = residents[home], message("Twice", "On two servers.\n")
    standby = standby_of(user, home)
    send_from_peer(sample.raw, [user])
    raw = arrived(home, user, sample.id)
    there = eventually(f"{sample.id} on {standby}", lambda: found(standby, user, sample.id), WITHIN_S)
    here = found(home, user, sample.id)
    evidence.attach_text("stored.txt", repr({home: here, standby: there}))
    assert here == there, "folder, UID and GUID are the same on both servers"
    ingest_id = str(email.message_from_bytes(raw)["X-Ingest-Id"] or "").strip()
    assert ingest_id, "the copy milter gave the message an id"
    assert ingest_id == there[0]["hdr.x-ingest-id"]
    check = f"PYTHONPATH=/usr/local/lib python3 -B -c {shlex.quote(LEDGER)} {user} {ingest_id}"
    eventually(f"{ingest_id} in the ledger of {standby}", lambda: _said(standby, check) == "True", WITHIN_S)


@pytest.mark.control("iso27001:A.8.14")
def test_flags_folders_and_deletions_follow(residents: dict[str, str]) -> None:
    """After a failover a user must not find read mail unread, nor deleted mail again."""
    home = MAIL[0]
    user, sample = residents[home], message("Move and go", "Flag me, move me, delete me.\n")
    standby = standby_of(user, home)
    send_from_peer(sample.raw, [user])
    arrived(home, user, sample.id)
    with imap(MAIL[1], user) as client:
        client.create("Projects/Standby")
        client.subscribe("Projects/Standby")
        (uid,) = search(client, "INBOX", sample.id)
        client.uid("STORE", uid, "+FLAGS.SILENT", r"(\Flagged)")
        assert client.uid("MOVE", uid, "Projects/Standby")[0] == "OK"
        wanted = ("Projects/Standby", "\\Flagged")
        eventually(
            f"{sample.id} moved on {standby}",
            lambda: [(row["mailbox"], row["flags"]) for row in found(standby, user, sample.id)] == [wanted],
            WITHIN_S,
        )
        subscribed = stored(standby, "mailboxList", user, subscriptions=True)
        assert "Projects/Standby" in {row["mailbox"] for row in subscribed}
        (uid,) = search(client, "Projects/Standby", sample.id)
        client.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")
        client.expunge()
        eventually(f"{sample.id} gone on {standby}", lambda: found(standby, user, sample.id) == [], WITHIN_S)
        client.select("INBOX")
        client.unsubscribe("Projects/Standby")
        client.delete("Projects/Standby")


@pytest.mark.control("iso27001:A.8.14")
def test_a_filter_follows(residents: dict[str, str]) -> None:
    """Mail that arrives after a failover is filed as the user has said."""
    home = MAIL[2]
    user = residents[home]
    standby = standby_of(user, home)
    with Sieve(home) as client:
        client.login(user, password(user))
        try:
            client.put("standby-filter", "keep;\r\n")
            script = {"script": "standby-filter", "active": "ACTIVE"}
            eventually(f"the filter on {standby}", lambda: script in stored(standby, "sieveList", user), WITHIN_S)
        finally:
            with contextlib.suppress(SieveError):
                client.drop("standby-filter")


@pytest.mark.control("iso27001:A.8.14")
def test_a_deleted_filter_stays_deleted(residents: dict[str, str]) -> None:
    """A user who removed a filter must not find it again."""
    home = MAIL[2]
    user = residents[home]
    standby = standby_of(user, home)
    script = {"script": "deleted-filter", "active": "ACTIVE"}
    with Sieve(home) as client:
        client.login(user, password(user))
        client.put("deleted-filter", "keep;\r\n")
        eventually(f"the filter on {standby}", lambda: script in stored(standby, "sieveList", user), WITHIN_S)
        client.drop("deleted-filter")
    eventually(
        f"the filter gone on {standby}",
        lambda: "deleted-filter" not in {row["script"] for row in stored(standby, "sieveList", user)},
        WITHIN_S,
    )


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.8.16")
def test_every_group_has_a_standby_that_is_ready(evidence: Evidence) -> None:
    """A standby that nobody declared ready protects nothing."""

    def status(name: str) -> dict[str, Any]:
        return dict(json.loads(_said(name, f"cat {STATUS}")))

    def ready() -> bool:
        return all(found["groups_home"] == found["groups_ready"] > 0 for found in on_all(MAIL, status).values())

    eventually("all standbys are ready", ready, 60)
    documents = on_all(MAIL, status)
    evidence.attach_text("status.txt", json.dumps(documents, indent=1))
    assert not any(document["unequal"] or document["directory_error"] for document in documents.values())


@pytest.mark.control("iso27001:A.8.14")
def test_a_change_that_no_event_told_of_is_not_lost(residents: dict[str, str]) -> None:
    """While the service is down nobody hears Dovecot's events: at its start it takes every mailbox for changed."""
    home = MAIL[1]
    user, sample = residents[home], message("Unheard", "Nobody listened.\n")
    standby = standby_of(user, home)
    run_on(home, "systemctl stop onedallmail-mailboxes.service onedallmail-mailboxes-events.socket")
    try:
        send_from_peer(sample.raw, [user])
        arrived(home, user, sample.id)
        assert copies(home, user, sample.id)
        assert found(standby, user, sample.id) == []
    finally:
        run_on(home, "systemctl start onedallmail-mailboxes-events.socket onedallmail-mailboxes.service")
    eventually(f"{sample.id} on {standby}", lambda: found(standby, user, sample.id), 60)
