"""What runs on a mailbox's home server for a migration: sent over SSH, nothing is installed. Standard library only.

Standard input: a JSON line (the job), then frames; standard output: frames. Dovecot reads the source through a port on
loopback, whose bytes travel in frames to the operator's machine: servers need no way out to the source.
"""

import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

HEADER = struct.Struct(">cII")
"""Kind (o: opened, d: data, c: closed, r: result), number of the connection, bytes that follow."""
CHUNK_BYTES = 1 << 16
GROUPS = Path("/var/lib/onedallmail/placement/groups.json")
EVENTS = "/run/onedallmail/dovecot-events.sock"
CONFIGURATION = """\
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
!include /etc/dovecot/dovecot.conf
imapc_host = 127.0.0.1
imapc_port = {port}
imapc_user = migration
imapc_password = {token}
imapc_ssl = no
imapc_list_prefix = {prefix}
imapc_connection_retry_count = 5
imapc_cmd_timeout = 10 mins
# Dates of arrival, and sizes, come with the messages; filters and other attributes are no part of a migration.
imapc_features = no-acl no-metadata
"""
PATIENCE_S = 10
LAST_LINES = 5


class Pipe:
    """Frames over standard input and output."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def send(self, kind: bytes, number: int, data: bytes = b"") -> None:
        with self._lock:
            sys.stdout.buffer.write(HEADER.pack(kind, number, len(data)) + data)
            sys.stdout.buffer.flush()

    def receive(self) -> tuple[bytes, int, bytes] | None:
        head = sys.stdin.buffer.read(HEADER.size)
        if len(head) < HEADER.size:
            return None
        kind, number, size = HEADER.unpack(head)
        return kind, number, sys.stdin.buffer.read(size)


class Relay:
    """The port on loopback, and its connections."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._open: dict[int, socket.socket] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            number += 1
            self._open[number] = connection
            self._pipe.send(b"o", number)
            threading.Thread(target=self._read, args=(number, connection), daemon=True).start()

    def _read(self, number: int, connection: socket.socket) -> None:
        with suppress(OSError):
            while data := connection.recv(CHUNK_BYTES):
                self._pipe.send(b"d", number, data)
        with suppress(OSError):
            self._pipe.send(b"c", number)

    def follow(self, process: "subprocess.Popen[bytes]") -> None:
        """Hand on what comes from the operator's machine; its end ends the copy."""
        while frame := self._pipe.receive():
            kind, number, data = frame
            connection = self._open.get(number)
            if connection is None:
                continue
            with suppress(OSError):
                if kind == b"d":
                    connection.sendall(data)
                else:
                    connection.shutdown(socket.SHUT_RDWR)
        # Asked to end, doveadm still waits for the source: it must see that there is none any more.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open.values()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        ended(process)


def copy(job: dict[str, Any], pipe: Pipe) -> dict[str, Any]:
    """One run of Dovecot's own one-way synchronisation from the source; nothing is removed at the target."""
    relay = Relay(pipe)
    with tempfile.TemporaryDirectory(prefix="onedallmail-migrate-", dir="/run") as folder:
        settings, said = Path(folder, "doveadm.conf"), Path(folder, "said")
        with os.fdopen(os.open(settings, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(CONFIGURATION.format(port=relay.port, token=job["token"], prefix=job["prefix"]))
        command = ["doveadm", "-c", str(settings), "sync", "-1", "-R", "-f", "-u", job["user"], "imapc:"]
        with said.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        threading.Thread(target=relay.follow, args=(process,), daemon=True).start()
        moved = watched(process, job)
        lines = said.read_text(errors="replace").replace(job["token"], "***").strip().splitlines()
    told = tell(job["user"])
    return {"code": process.returncode, "said": lines[-LAST_LINES:], "moved": moved, "told": told}


def watched(process: "subprocess.Popen[bytes]", job: dict[str, Any]) -> bool:
    """Wait for the end; a mailbox whose home moves away meanwhile is not written any more."""
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
        if process.returncode is None and not is_home(job):
            ended(process)
            return True
    return False


def ended(process: "subprocess.Popen[bytes]") -> None:
    """End a process, with force when it does not follow: Dovecot's files survive that."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_S)
    process.kill()
    process.wait()


def is_home(job: dict[str, Any]) -> bool:
    """Whether the placement map says that this server is the home of the mailbox."""
    try:
        return bool(json.loads(GROUPS.read_text())["groups"][str(job["group"])]["home"] == job["server"])
    except (OSError, ValueError, KeyError):
        return False


def tell(user: str) -> bool:
    """Tell the service of the standbys that the mailbox has changed, as Dovecot does after a delivery."""
    event = {"event": "mail_delivery_finished", "fields": {"user": user}}
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as service:
        service.settimeout(5)
        service.connect(EVENTS)
        service.sendall(json.dumps(event).encode() + b"\n")
        return True
    return False


def doveadm(*words: str) -> bytes:
    """Return what a command of doveadm said; raises RuntimeError."""
    done = subprocess.run(["doveadm", *words], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        msg = f"doveadm {words[0]}: {done.stderr.decode(errors='replace').strip()[-500:]}"
        raise RuntimeError(msg)
    return done.stdout


def listing(job: dict[str, Any], pipe: Pipe) -> dict[str, Any]:
    """Folders and messages of the target, each with folder, UID, flags, size and key."""
    del pipe
    user = job["user"]
    if not is_home(job):
        return {"moved": True}
    folders = doveadm("mailbox", "list", "-u", user).decode().splitlines()
    fields = "mailbox uid flags size.virtual hdr.message-id"
    rows = json.loads(doveadm("-f", "json", "fetch", "-u", user, fields, "mailbox", "*", "all") or b"[]")
    found = []
    for row in rows:
        key = " ".join(row.get("hdr.message-id", "").split()) or content_key(user, row["mailbox"], row["uid"])
        found.append([row["mailbox"], int(row["uid"]), row["flags"].split(), int(row["size.virtual"]), key])
    return {"folders": folders, "messages": found}


def content_key(user: str, folder: str, uid: str) -> str:
    """As listing.content_key."""
    said = doveadm("fetch", "-u", user, "text", "mailbox", folder, "uid", uid)
    raw = said.removeprefix(b"text:\n").rstrip(b"\x0c\n")
    return "sha256:" + hashlib.sha256(raw.replace(b"\r\n", b"\n").rstrip(b"\n")).hexdigest()


def expunge(job: dict[str, Any], pipe: Pipe) -> dict[str, Any]:
    """Remove messages that came from the source and that its user has removed there since."""
    del pipe
    if not is_home(job):
        return {"moved": True}
    for folder, uids in job["gone"].items():
        doveadm("expunge", "-u", job["user"], "mailbox", folder, "uid", ",".join(str(uid) for uid in uids))
    return {"told": tell(job["user"])}


def main() -> None:
    """Do the job of standard input's first line."""
    pipe = Pipe()
    job = json.loads(sys.stdin.buffer.readline())
    began = time.monotonic()
    try:
        result = {"copy": copy, "list": listing, "expunge": expunge}[job["do"]](job, pipe)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        result = {"error": re.sub(r"\s+", " ", f"{error}")}
    result["seconds"] = round(time.monotonic() - began, 2)
    pipe.send(b"r", 0, json.dumps(result).encode())


if __name__ == "__main__":
    main()
    os._exit(0)
