"""The process that is AWS for the lab's servers: it listens in the lab's namespaces and lives in the machine's own.

A socket stays in the namespace that it was made in. So servers reach two things, the APIs of `names.py` and their
metadata; the emulator, on the machine's loopback, is reached by this process alone.
"""

import argparse
import fcntl
import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from onedallmail.engine.state import replace_file

from .. import naming
from ..inside import inside
from ..process import Process
from .api import LARGEST_BODY_BYTES, Apis, forwarder
from .certificate import Tls
from .credentials import Issuer
from .estate import CloudEstate
from .messages import Answer, Incoming
from .metadata import Metadata
from .names import ADDRESS, METADATA_ADDRESS, METADATA_PORT, NODE, PORT, certificate_names

IDLE_S = 60
logger = logging.getLogger("onedallmail.lab.aws")
Responder = Callable[[str, Incoming], Answer]
"""Answers the request of an address."""
Prepare = Callable[[socket.socket], socket.socket]


class Handler(BaseHTTPRequestHandler):
    """Reads a request, lets its server's responder answer it, and keeps the connection open."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lab", ""
    timeout = IDLE_S
    server: "Listener"

    def handle_one_request(self) -> None:
        """Answer one request; a client that goes away ends its connection only."""
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _respond(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._send(Answer(411), last=True)
        elif int(length) > LARGEST_BODY_BYTES:
            self._send(Answer(413), last=True)
        elif len(self.headers.get_all("Host", [])) != 1:
            self._send(Answer(400), last=True)
        else:
            request = Incoming(self.command, self.path, self._small_headers(), self.rfile.read(int(length)))
            answer = self.server.responder(self.client_address[0], request)
            logger.info("%s %s %s %d", self.client_address[0], self.command, self.path, answer.status)
            self._send(answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = do_PATCH = _respond  # noqa: N815 - names of http.server

    def _small_headers(self) -> dict[str, str]:
        """Return the headers by name in small letters; repeated ones are joined (RFC 9110, section 5.3)."""
        found: dict[str, str] = {}
        for name, value in self.headers.items():
            found[name.lower()] = f"{found[name.lower()]},{value}" if name.lower() in found else value
        return found

    def _send(self, answer: Answer, *, last: bool = False) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        if last:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of http.server
        """Leave the log to `_respond`, which writes no more than it should."""


class Listener(ThreadingHTTPServer):
    """A server on a socket that was made elsewhere; `prepare` makes of a connection the stream to read from."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, responder: Responder, prepare: Prepare) -> None:
        """Take the listening socket, who answers, and what a connection begins with."""
        super().__init__(listening.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.responder, self._prepare = listening, responder, prepare

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, in its own thread; one that does not begin as it should is closed."""
        request.settimeout(IDLE_S)
        try:
            stream = self._prepare(request)
        except OSError as error:  # no authority yet, or no TLS
            logger.info("%s: %s", client_address[0], error)
            return
        Handler(stream, client_address, self)
        stream.close()


def listen_in(node: str, address: str, port: int) -> socket.socket:
    """Return a socket that listens in a node's namespace."""
    with inside(node):
        return socket.create_server((address, port), backlog=64)


def metadata_listener(cloud: CloudEstate, region: str, metadata: Metadata) -> Listener:
    """Return the metadata service of a region's instances, on their router."""

    def prepare(connection: socket.socket) -> socket.socket:
        guest = cloud.guest_at(region, connection.getpeername()[0])
        if guest is None:
            msg = "no instance with a profile"
            raise ConnectionRefusedError(msg)
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, guest.hop_limit)
        return connection

    def respond(address: str, request: Incoming) -> Answer:
        guest = cloud.guest_at(region, address)
        return metadata.answer(guest, request, datetime.now(UTC)) if guest else Answer(404)

    listening = listen_in(naming.router(region), METADATA_ADDRESS, METADATA_PORT)
    return Listener(listening, respond, prepare)


def api_listener(apis: Apis, tls: Tls) -> Listener:
    """Return the API endpoints, on the node that stands for AWS."""

    def prepare(connection: socket.socket) -> socket.socket:
        return tls.context().wrap_socket(connection, server_side=True)

    def respond(_: str, request: Incoming) -> Answer:
        return apis.answer(request, datetime.now(UTC))

    return Listener(listen_in(NODE, ADDRESS, PORT), respond, prepare)


def emulator_url(cloud_folder: Path) -> Callable[[], str]:
    """Return a function that tells where the emulator is; it may come back on another port."""
    return lambda: str(json.loads((cloud_folder / "emulator.json").read_text())["url"])


def main() -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--fingerprint", required=True)
    options = parser.parse_args()
    folder: Path = options.folder
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    state = folder.parents[1]
    cloud = CloudEstate.from_json((folder / "estate.json").read_text())
    secret = (folder / "secret").read_bytes()
    issuer = Issuer(secret)
    metadata = Metadata(secret, issuer)
    tls = Tls(state / "pki", folder, certificate_names(cloud.regions))
    listeners = [
        api_listener(Apis(cloud, issuer, forwarder(emulator_url(state / "cloud"))), tls),
        *(metadata_listener(cloud, region, metadata) for region in cloud.regions),
    ]
    own = Process.of(os.getpid())
    assert own is not None  # noqa: S101 - this process runs
    record = {"pid": own.pid, "start": own.start, "fingerprint": options.fingerprint}
    replace_file(folder / "process.json", json.dumps(record).encode())
    threads = [threading.Thread(target=listener.serve_forever) for listener in listeners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
