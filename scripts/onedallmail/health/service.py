"""The service onedallmail-health: measures, judges, closes what can't work, and tells the platform through etcd."""

import json
import logging
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from onedallmail.health import gate
from onedallmail.health.judge import Facts, Finding, closed_ports, findings, worst
from onedallmail.health.metrics import own_metrics
from onedallmail.health.overview import server_view
from onedallmail.health.probes import measure
from onedallmail.health.settings import Settings, SettingsError, load_settings
from onedallmail.placement import files
from onedallmail.placement.etcd import EtcdClient
from onedallmail.placement.store import EtcdError

CONFIGURATION = Path("/etc/onedallmail/health.json")
PREFIX = "/onedallmail/health/"
STATUS, METRICS = "status.json", "metrics.prom"
log = logging.getLogger("health")


def report(settings: Settings, facts: Facts, found: Sequence[Finding], closed: Sequence[int]) -> dict[str, Any]:
    """Return what is published of one server."""
    return {
        "version": 1,
        "server": settings.server,
        "region": settings.region,
        "role": "mail" if settings.mail else "witness",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "level": worst(found),
        "closed_ports": sorted(closed),
        "checks": {f.check: {"level": f.level, "text": f.text} for f in found},
        "clock_error_s": facts.clock_error_s if settings.own_clock else None,
        "disk_free": facts.disk_free,
        "certificate_days": facts.certificate_days,
        "queued": facts.queued,
        "oldest_queued_s": facts.oldest_queued_s,
        "lag_s": facts.lag_s,
        "groups_not_ready": facts.groups_not_ready,
        "copies_waiting": facts.copies_waiting,
        "oldest_copy_s": facts.oldest_copy_s,
        "fence_open": facts.fence_open,
        "failovers": facts.failovers,
    }


def metrics(document: dict[str, Any]) -> str:
    """Return the report in Prometheus' text format, under the names of the status page."""
    at = datetime.fromisoformat(document["at"])
    view = server_view(document["server"], document["region"], document["role"], document, at, leased=None)
    return own_metrics(view)


class Watchman:
    """Looks at one server again and again."""

    def __init__(self, settings: Settings, client: EtcdClient) -> None:
        """Begin with nothing known."""
        self._settings, self._client = settings, client
        self._said: dict[str, str] = {}
        self._unpublished = False

    def step(self) -> dict[str, Any]:
        """Measure once and act on it; return the report."""
        facts = measure(self._settings, datetime.now(UTC))
        found = findings(facts, self._settings.limits, mail=self._settings.mail, own_clock=self._settings.own_clock)
        closed = closed_ports(found, self._settings.mail_ports, self._settings.client_ports)
        gate.close(closed)
        document = report(self._settings, facts, found, sorted(closed))
        self._say(found)
        files.write_status(document, self._settings.directory)
        files.replace(self._settings.directory / METRICS, metrics(document))
        self._publish(document)
        return document

    def _say(self, found: Sequence[Finding]) -> None:
        """Log what changed since the last look."""
        for finding in found:
            if self._said.get(finding.check) != finding.level:
                log.warning("%s is %s: %s", finding.check, finding.level, finding.text)
            self._said[finding.check] = finding.level

    def _publish(self, document: dict[str, Any]) -> None:
        try:
            self._client.put(f"{PREFIX}{self._settings.server}", json.dumps(document))
        except EtcdError as error:
            if not self._unpublished:
                log.warning("not published: %s", error)
            self._unpublished = True
        else:
            self._unpublished = False


def main(arguments: list[str]) -> int:
    """Run the service, or with --check FILE say whether a configuration is right."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    if arguments and (arguments[0] != "--check" or len(arguments) != 2):  # noqa: PLR2004 - the option and its file
        log.error("usage: service [--check FILE]")
        return 2
    try:
        settings = load_settings(Path(arguments[1]) if arguments else CONFIGURATION)
    except SettingsError as error:
        log.error("%s", error)  # noqa: TRY400 - the message is for an operator
        return 1
    if arguments:
        return 0
    gate.install()
    watchman = Watchman(settings, EtcdClient(settings.etcd))
    while True:
        begun = time.monotonic()
        watchman.step()
        time.sleep(max(0.5, settings.interval_s - (time.monotonic() - begun)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
