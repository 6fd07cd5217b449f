"""The deep health check: every fact has its verdict, unknown is never well, and only what can't work is closed."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.health.judge import Check, Facts, Level, Limits, closed_ports, findings, worst
from onedallmail.health.metrics import metrics
from onedallmail.health.overview import Overview, overview
from onedallmail.health.page import page
from onedallmail.health.probes import (
    ProbeError,
    Queue,
    certificate_days,
    disk_free,
    queue_of,
    services_down,
    status,
)
from onedallmail.health.web import handler
from onedallmail.placement.store import EtcdError
from onedallmail.placement.takeover import Failover

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LIMITS = Limits()
WELL = Facts(
    reasons={},
    directory_ready=True,
    lease_held=True,
    queued=3,
    disk_free={"/": 0.6, "/var/vmail": 0.5},
    clock_error_s=0.002,
    certificate_days={"server.crt": 80.0},
    services_down=(),
    oldest_copy_s=4.0,
    lag_s=0.2,
)
MX, CLIENTS = (25,), (465, 587, 993, 4190)
BAD: tuple[tuple[str, object, Check, Level, set[int]], ...] = (
    ("directory_ready", False, Check.DIRECTORY, Level.CRITICAL, {*MX, *CLIENTS}),
    ("disk_free", {"/var/spool/postfix": 0.01}, Check.DISK, Level.CRITICAL, {*MX, *CLIENTS}),
    ("disk_free", {"/": 0.1}, Check.DISK, Level.WARNING, set()),
    ("clock_error_s", 45.0, Check.CLOCK, Level.CRITICAL, {*MX, *CLIENTS}),
    ("clock_error_s", 0.7, Check.CLOCK, Level.WARNING, set()),
    ("certificate_days", {"public.crt": -0.5}, Check.CERTIFICATE, Level.CRITICAL, {*MX, *CLIENTS}),
    ("certificate_days", {"public.crt": 5.0}, Check.CERTIFICATE, Level.WARNING, set()),
    ("services_down", ("rspamd",), Check.SERVICES, Level.CRITICAL, set()),
    ("lease_held", False, Check.LEASE, Level.CRITICAL, set(CLIENTS)),
    ("queued", 900, Check.QUEUE, Level.WARNING, set()),
    ("oldest_copy_s", 2000.0, Check.COPIES, Level.WARNING, set()),
    ("copies_alarm", "accepted without a second place", Check.COPIES, Level.WARNING, set()),
    ("lag_s", 300.0, Check.SYNCHRONISATION, Level.WARNING, set()),
)


def test_a_well_server_is_well_and_open() -> None:
    found = findings(WELL, LIMITS, mail=True)
    assert {f.check for f in found} == set(Check)
    assert worst(found) is Level.OK
    assert closed_ports(found, MX, CLIENTS) == frozenset()


@pytest.mark.parametrize(("field", "value", "check", "level", "closed"), BAD)
def test_each_fault_is_found_and_closes_only_what_cannot_work(
    field: str, value: object, check: Check, level: Level, closed: set[int]
) -> None:
    found = findings(replace(WELL, **{field: value}), LIMITS, mail=True)  # type: ignore[arg-type] # one field of many
    assert {f.check: f.level for f in found if f.level is not Level.OK} == {check: level}
    assert closed_ports(found, MX, CLIENTS) == closed


NOT_JUDGED = ("oldest_queued_s", "copies_waiting", "fence_open", "groups_not_ready")
MEASURED = [f.name for f in fields(Facts) if f.name not in ("reasons", "copies_alarm", "failovers", *NOT_JUDGED)]


@given(st.sets(st.sampled_from(MEASURED), min_size=1))
def test_what_was_not_measured_is_never_well(missing: set[str]) -> None:
    found = findings(replace(WELL, **dict.fromkeys(missing)), LIMITS, mail=True)  # type: ignore[arg-type] # None each
    assert sum(f.level is Level.UNKNOWN for f in found) == len(missing)
    assert worst(found) is Level.UNKNOWN
    assert closed_ports(found, MX, CLIENTS) == frozenset(), "what is not known closes nothing"


def test_a_container_is_not_asked_for_its_clock() -> None:
    found = findings(replace(WELL, clock_error_s=None), LIMITS, mail=True, own_clock=False)
    assert worst(found) is Level.OK


def test_a_witness_is_not_asked_for_mailboxes() -> None:
    found = findings(replace(WELL, lease_held=None, queued=None, lag_s=None), LIMITS, mail=False)
    assert worst(found) is Level.OK


def test_probes_measure_this_machine(tmp_path: Path) -> None:
    assert 0 <= disk_free([str(tmp_path)])[str(tmp_path)] <= 1
    (tmp_path / "running.service").mkdir()
    (tmp_path / "running.service" / "cgroup.procs").write_text("42\n")
    (tmp_path / "dead.service").mkdir()
    (tmp_path / "dead.service" / "cgroup.procs").write_text("")
    assert services_down(["running", "dead", "absent"], tmp_path) == ("dead", "absent")
    bad = tmp_path / "bad.crt"
    bad.write_text("no certificate")
    with pytest.raises(ValueError, match="PEM"):
        certificate_days([str(bad)], NOW)


def test_an_old_status_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    file.write_text('{"lease": true}')
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    assert status(file, written)["lease"] is True
    with pytest.raises(ProbeError, match="last written 120 s ago"):
        status(file, written + timedelta(seconds=120))


EXPECTED = {"a1": ("eu-central-1", "mail"), "b1": ("eu-west-1", "mail"), "c1": ("eu-north-1", "witness")}


def told(name: str, age_s: float = 1, **changes: object) -> tuple[str, bytes]:
    document = {
        "at": (NOW - timedelta(seconds=age_s)).isoformat(),
        "level": "ok",
        "checks": {"disk": {"level": "ok", "text": "60% is free"}},
        "closed_ports": [],
        "queued": 0,
        "lag_s": 0.1,
        "oldest_copy_s": 2.0,
        "failovers": [],
    }
    return f"/onedallmail/health/{name}", json.dumps({**document, **changes}).encode()


def seen(*extra: tuple[str, bytes], alive: tuple[str, ...] = ("a1", "b1")) -> Overview:
    group = json.dumps({"home": "a1", "standby": "b1", "epoch": 1}).encode()
    values = dict([told("a1"), told("b1"), told("c1"), ("/onedallmail/placement/groups/0", group)])
    values |= {f"/onedallmail/placement/alive/{name}": b"{}" for name in alive}
    return overview({**values, **dict(extra)}, EXPECTED, NOW)


def test_a_whole_platform_has_nothing_to_look_at() -> None:
    view = seen()
    assert view.problems == ()
    assert [(s.name, s.homes, s.standbys, s.alive) for s in view.servers] == [
        ("a1", 1, 0, True),
        ("b1", 0, 1, True),
        ("c1", 0, 0, None),
    ]


def test_a_dead_server_a_silent_one_and_its_groups_are_named() -> None:
    view = seen(told("b1", age_s=300), alive=("a1",))
    assert "1 of 1 groups have no living standby" in view.problems
    assert "b1: holds no lease" in view.problems
    assert any(text.startswith("b1: told nothing since") for text in view.problems)
    assert next(s for s in view.servers if s.name == "b1").level == "silent"


TAKEN = {"from_server": "a1", "groups": 4, "at": "2026-11-25T11:58:00+00:00", "seconds": 7.9}
"""A take-over as the placement agent tells it (takeover.Failover)."""


def test_take_overs_are_told_with_both_servers() -> None:
    under_way = {**TAKEN, "at": "2026-11-25T11:59:00+00:00", "seconds": None}
    view = seen(told("b1", failovers=[under_way, TAKEN]))
    assert [(f["from"], f["to"], f["groups"], f["seconds"]) for f in view.failovers] == [
        ("a1", "b1", 4, 7.9),
        ("a1", "b1", 4, None),
    ]
    text = page(view, "acme.example")
    assert "<td>a1</td><td>b1</td>" in text
    assert "under way" in text
    assert 'onedallmail_last_failover_duration_seconds{server="b1"' not in metrics(view)
    assert 'onedallmail_last_failover_groups{server="b1",region="eu-west-1"} 4' in metrics(view)


def test_the_record_of_a_take_over_has_what_the_page_shows() -> None:
    assert TAKEN.keys() == {f.name for f in fields(Failover)}


def test_the_queue_s_oldest_message_counts() -> None:
    lines = [b'{"queue_id": "A", "arrival_time": %d}' % (NOW.timestamp() - age_s) for age_s in (5, 7200, 60)]
    assert queue_of(lines, NOW) == Queue(3, 7200)
    assert queue_of([], NOW) == Queue(0, 0)
    with pytest.raises(ValueError, match="Expecting"):
        queue_of([b"no json"], NOW)


@pytest.mark.parametrize(
    ("lost", "path", "status", "said"),
    [
        (False, "/metrics", 200, "onedallmail_quorum 1"),
        (True, "/metrics", 200, "onedallmail_quorum 0"),
        (False, "/", 200, "<h1>acme.example</h1>"),
        (True, "/", 503, "The quorum gives no answer"),
        (False, "/secret", 404, "all there is"),
    ],
)
def test_the_page_is_served_and_says_when_the_quorum_is_lost(lost: bool, path: str, status: int, said: str) -> None:
    def look() -> Overview:
        if lost:
            msg = "no endpoint answers"
            raise EtcdError(msg)
        return seen()

    with ThreadingHTTPServer(("127.0.0.1", 0), handler("acme.example", look)) as server:
        Thread(target=server.handle_request, daemon=True).start()
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
    assert (answer.status, said in text) == (status, True), text


def test_page_and_metrics_show_each_server_and_escape_what_servers_say() -> None:
    odd = {"disk": {"level": "critical", "text": "<script>"}}
    view = seen(told("a1", level="critical", checks=odd, closed_ports=[25, 993]))
    text = page(view, "acme.example")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert all(f"<td>{name}</td>" in text for name in EXPECTED)
    figures = metrics(view)
    assert 'onedallmail_lease_held{server="a1",region="eu-central-1"} 1' in figures
    assert 'onedallmail_closed_ports{server="a1",region="eu-central-1"} 2' in figures
    assert 'onedallmail_server_healthy{server="a1",region="eu-central-1"} 0' in figures
