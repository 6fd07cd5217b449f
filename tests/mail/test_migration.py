"""A mailbox of the other organisation moves in: interrupted, resumed, compared; its source stays as it was."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onedallmail.directory.remote import mailbox, remove
from onedallmail.evidence.attachments import Evidence
from onedallmail.migration.state import Book
from onedallmail.paths import ROOT, state_dir
from tests.lab import DOMAIN, PEER_ADDRESS, STACK, eventually, password, run_on
from tests.mail.clients import PEER_NAME, Imap
from tests.mail.test_synchronisation import stored

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(420)]

MOVER = "mover@partner.example"
COMMAND = (sys.executable, "-c", "from onedallmail.cli import main; main()", "migrate", "imap")
EQUAL, DIFFERENT, WRONG = 0, 3, 1
FOLDERS = ("Work", "Work/2025/Q1", "Work/2025/Q2", "Entw&APw-rfe", "Empty", "Work/Big &- small")
MANY, IN_EACH = tuple(f"Archive/{number:02}" for number in range(8)), 25
BROKEN = (
    b"no header at all, just text\r\n",
    b'Message-ID: \r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n\r\nnever ends \xff',
    b"Subject: \xff\xfe\r\nMessage-ID: <twice@partner.example>\r\n\r\nfirst\r\n",
    b"Subject: again\r\nMessage-ID: <twice@partner.example>\r\n\r\nsecond, longer\r\n",
)


class Migration:
    """One migration of the test, by the command line, as an operator has it."""

    def __init__(self, folder: Path) -> None:
        self.name = f"test-{secrets.token_hex(4)}"
        self.target = f"moved-{secrets.token_hex(4)}@{DOMAIN}"
        self.passwords = folder / "passwords"
        self.passwords.touch(mode=0o600)
        self.passwords.write_text(f"{MOVER}:{password(MOVER)}\n")
        self.users = folder / "users.csv"
        self.users.write_text(f"# who, where to\n{MOVER},{self.target}\n")

    def arguments(self, stage: str, *more: str) -> list[str]:
        """Return the command line of a stage."""
        words = [*COMMAND, stage, self.name, "--stack", STACK, "--json"]
        return [*words, *(() if stage == "status" else ("--passwords", str(self.passwords))), *more]

    def run(self, stage: str, *more: str, code: int = 0) -> dict[str, Any]:
        """Run a stage and return what it prints."""
        words = self.arguments(stage, *more)
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == code, f"{stage}: {done.returncode}: {done.stderr}"
        assert password(MOVER) not in done.stdout + done.stderr
        return dict(json.loads(done.stdout)) if done.stdout else {"error": done.stderr}

    def plan(self, *more: str, authority: str = "public-ca.crt", code: int = 0) -> dict[str, Any]:
        """Run the plan."""
        where = ("--host", PEER_NAME, "--address", PEER_ADDRESS, "--users", str(self.users))
        return self.run("plan", *where, "--ca-file", str(state_dir(STACK) / "pki" / authority), *more, code=code)

    def stage(self) -> str:
        """Return how far the mailbox is."""
        return str(self.run("status")["mailboxes"][0]["stage"])


@contextlib.contextmanager
def source() -> Iterator[Imap]:
    """Yield a session of the mover at the source."""
    with Imap("peer") as client:
        client.login(MOVER, password(MOVER))
        yield client


def text(name: str, body: str = "Text.\r\n") -> bytes:
    """Return a message that only its name tells apart."""
    return f"From: {MOVER}\r\nSubject: {name}\r\nMessage-ID: <{name}@partner.example>\r\n\r\n{body}".encode()


def fill() -> None:
    """Make the source what such mailboxes are."""
    with source() as client:
        for row in client.list()[1]:
            assert isinstance(row, bytes), row
            name = row.rpartition(b' "/" ')[2].decode().strip('"')
            if name != "INBOX":
                client.delete(f'"{name}"')
        if client.select("INBOX")[1] != [b"0"]:
            client.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
            client.expunge()
        for folder in (*FOLDERS, *MANY):
            assert client.create(f'"{folder}"')[0] == "OK"
        client.subscribe('"Entw&APw-rfe"')
        for number in range(30):
            flags = (r"(\Seen)", "", r"(\Answered $Label1)", r"(\Seen \Flagged)")[number % 4]
            client.append("INBOX", flags, '"01-Jan-2020 10:00:00 +0000"', text(f"inbox-{number}"))
        client.append("INBOX", r"(\Deleted)", "", text("deleted"))
        client.append('"Entw&APw-rfe"', r"(\Draft)", "", text("draft"))
        client.append('"Work/2025/Q1"', "", "", text("large", "0123456789abcdef\r\n" * 500_000))
        for raw in BROKEN:
            assert client.append("Work", "", "", raw)[0] == "OK"
        for folder in MANY:
            for number in range(IN_EACH):
                client.append(folder, "", "", text(f"{folder.replace('/', '-')}-{number}", "x" * 20_000 + "\r\n"))


def state_of_source() -> dict[str, Any]:
    """Return counts, UIDs and flags of the source; \\Recent too, which a session that only reads leaves alone."""
    rows = run_on("peer", f"doveadm -f json fetch -u {MOVER} 'mailbox uid flags size.virtual' mailbox '*' all")
    counters = run_on("peer", f"doveadm -f json mailbox status -u {MOVER} 'messages uidnext unseen highestmodseq' '*'")
    assert rows.code == counters.code == 0, rows.stderr + counters.stderr
    return {"messages": json.loads(rows.stdout), "counters": json.loads(counters.stdout)}


def held(home: str, target: str) -> int:
    """Return how many messages the target holds on a server."""
    done = run_on(home, f"doveadm -f json mailbox status -u {target} messages '*'")
    return sum(int(row["messages"]) for row in json.loads(done.stdout)) if done.code == 0 and done.stdout else 0


@pytest.fixture
def migration(tmp_path: Path) -> Iterator[Migration]:
    """A planned migration into a mailbox of its own; the mailbox goes afterwards."""
    fill()
    made = Migration(tmp_path)
    yield made
    with contextlib.suppress(RuntimeError):
        remove(STACK, made.target)
    shutil.rmtree(Book(STACK, made.name).folder, ignore_errors=True)


def interrupted(migration: Migration, home: str) -> None:
    """Begin a copy and kill it when it has brought some messages and not all."""
    process = subprocess.Popen(migration.arguments("copy"), cwd=ROOT, stdout=subprocess.DEVNULL, process_group=0)
    try:
        eventually("the first messages at the target", lambda: held(home, migration.target), 90, every_s=0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    eventually("nothing copies on", lambda: run_on(home, "pgrep -f '[d]oveadm -c /run/onedallmail-migrate'").code, 20)


@pytest.mark.control("iso27001:A.5.14", "iso27001:A.8.13")
def test_a_mailbox_moves_in_whole(migration: Migration, evidence: Evidence) -> None:
    """Nobody may lose a message by the move, and the old system must stay a way back."""
    before = state_of_source()
    planned = migration.plan("--create")["mailboxes"][0]
    row = mailbox(STACK, migration.target)
    assert planned["problems"] == []
    assert planned["messages"] == len(before["messages"])
    interrupted(migration, row["home"])
    partly = held(row["home"], migration.target)
    assert 0 < partly < planned["messages"], "the copy was killed in the middle"
    assert migration.stage() == "copying"

    (copied,) = migration.run("copy")["mailboxes"]
    assert (copied["messages"], copied["removed"], copied["told"]) == (planned["messages"], 0, True)
    (again,) = migration.run("copy")["mailboxes"]
    assert again["carried_bytes"] < planned["bytes"] / 50, "only lists and headers are read again"
    assert held(row["home"], migration.target) == planned["messages"], "nothing came twice"
    assert state_of_source() == before, "the source was only read"

    report = migration.run("finish")
    evidence.attach_text("report.json", json.dumps(report, indent=1, ensure_ascii=False))
    (found,) = report["mailboxes"]
    assert found["equal"]
    assert {"INBOX", "Entwürfe", "Work/2025/Q1", "Work/Big & small", "Empty"} <= found["folders"].keys()
    assert migration.stage() == "finished"
    assert state_of_source() == before
    _on_the_standby(row, migration.target, planned["messages"])
    _a_change_is_reported(migration, row["home"])


def _on_the_standby(row: dict[str, Any], target: str, messages: int) -> None:
    groups = json.loads(run_on(row["home"], "cat /var/lib/onedallmail/placement/groups.json").stdout)["groups"]
    standby = groups[str(row["group"])]["standby"]

    def there() -> int:
        status = stored(standby, "mailboxStatus", target, field=["messages"], mailboxMask=["*"])
        return sum(int(folder["messages"]) for folder in status)

    eventually(f"all of {target} on {standby}", lambda: there() == messages, 60, every_s=1)


def _a_change_is_reported(migration: Migration, home: str) -> None:
    target = migration.target
    done = run_on(home, f"doveadm flags add -u {target} '\\Flagged' mailbox INBOX header message-id inbox-1@partner")
    assert done.code == 0, done.stderr
    (found,) = migration.run("report", code=DIFFERENT)["mailboxes"]
    (difference,) = found["folders"]["INBOX"]["differences"]
    assert (difference["kind"], difference["count"]) == ("other flags", 1)
    assert "inbox-1@partner.example" in difference["messages"][0]


def test_users_work_on_at_the_source(migration: Migration) -> None:
    """Between two copies users read, move, delete and receive; what arrived here meanwhile is not lost either."""
    migration.plan("--create")
    migration.run("copy")
    home = mailbox(STACK, migration.target)["home"]
    own = "Subject: Own\nMessage-ID: <own@here.example>\n\nArrived here.\n"
    done = run_on(home, f"printf '{own.replace(chr(10), chr(92) + 'n')}' | doveadm save -u {migration.target} -m INBOX")
    assert done.code == 0, done.stderr
    with source() as client:
        client.select("INBOX")
        client.store("1", "+FLAGS", r"(\Flagged)")
        client.copy("2", "Work")
        client.store("2:4", "+FLAGS", r"(\Deleted)")
        client.expunge()
        client.append("INBOX", "", "", text("newer"))
    (found,) = migration.run("finish", code=DIFFERENT)["mailboxes"]
    differing = {name: folder["differences"] for name, folder in found["folders"].items() if folder["differences"]}
    assert differing == {"INBOX": [{"kind": "only at the target", "count": 1, "messages": ["<own@here.example>"]}]}


@pytest.mark.control("iso27001:A.8.24")
def test_a_source_that_nobody_vouches_for_is_refused(migration: Migration) -> None:
    """Passwords go to the right server, or to none."""
    began = time.monotonic()
    said = migration.plan(authority="private-ca.crt", code=DIFFERENT)
    assert "certificate refused" in said["failed"][migration.target]
    assert time.monotonic() - began < 60
