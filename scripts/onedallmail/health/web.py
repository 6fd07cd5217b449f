"""The witness's status page and metrics, read-only, on the loopback interface: operators come through their tunnel."""

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from onedallmail.health.metrics import CONTENT_TYPE, metrics, without_quorum
from onedallmail.health.overview import Overview, overview
from onedallmail.health.page import page
from onedallmail.placement.etcd import EtcdClient
from onedallmail.placement.settings import Etcd
from onedallmail.placement.store import EtcdError

CONFIGURATION = Path("/etc/onedallmail/status-page.json")
PREFIX = "/onedallmail/"
log = logging.getLogger("status-page")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the page is told."""

    domain: str
    port: int
    servers: dict[str, tuple[str, str]]
    """Name to region and role."""
    etcd: Etcd


def load_settings(path: Path) -> Settings:
    """Return the settings of a file; raises OSError, ValueError, KeyError or TypeError."""
    raw = json.loads(path.read_text())
    etcd = {**raw["etcd"], "endpoints": tuple(raw["etcd"]["endpoints"])}
    servers = {name: (s["region"], s["role"]) for name, s in raw["servers"].items()}
    return Settings(raw["domain"], int(raw["port"]), servers, Etcd(**etcd))


def handler(domain: str, look: Callable[[], Overview]) -> type[BaseHTTPRequestHandler]:
    """Return the class that answers `/` and `/metrics`, and refuses everything else."""

    class Page(BaseHTTPRequestHandler):
        server_version = "1dallmail"
        sys_version = ""

        def do_GET(self) -> None:
            try:
                if self.path == "/":
                    self._answer(HTTPStatus.OK, "text/html; charset=utf-8", page(look(), domain))
                elif self.path == "/metrics":
                    self._answer(HTTPStatus.OK, CONTENT_TYPE, metrics(look()))
                else:
                    self._answer(HTTPStatus.NOT_FOUND, "text/plain", "/ and /metrics are all there is\n")
            except EtcdError as error:
                if self.path == "/metrics":
                    self._answer(HTTPStatus.OK, CONTENT_TYPE, without_quorum())
                    return
                lost = f"The quorum gives no answer: {error}\n"
                still = "Mail goes on: each server keeps the last map and serves until its lease ends.\n"
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", lost + still)

        def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a page that is asked every few seconds fills no log."""

    return Page


def main(arguments: list[str]) -> int:
    """Serve, or with --check FILE say whether a configuration is right."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    path = Path(arguments[1]) if arguments[:1] == ["--check"] and len(arguments) == 2 else CONFIGURATION  # noqa: PLR2004
    try:
        settings = load_settings(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.error("%s: %s: %s; run role status_page again", path, type(error).__name__, error)  # noqa: TRY400
        return 1
    if arguments:
        return 0
    client = EtcdClient(settings.etcd)

    def look() -> Overview:
        return overview(client.read(PREFIX).values, settings.servers, datetime.now(UTC))

    ThreadingHTTPServer(("127.0.0.1", settings.port), handler(settings.domain, look)).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
