"""The alert rules, judged by Prometheus' own promtool: each fires in its time, and not when it only nearly must.

What they are fed is what the status page exposes of a whole platform, with single figures changed. So a rule about a
metric that nobody exposes can't pass.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from onedallmail.health.metrics import NAMES, metrics, own_metrics, without_quorum
from onedallmail.health.overview import Overview, overview, server_view
from onedallmail.lab import debian
from onedallmail.lab.errors import LabError
from onedallmail.paths import ROOT

from .alert_cases import CASES, Case, Changes, steady

RULES = ROOT / "roles" / "health" / "files" / "alerts" / "onedallmail.rules.yml"
STEP_S = 30
LOOKS = tuple(f"{minutes}m" for minutes in range(0, 120, 5))
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
EXPECTED = {"a1": ("eu-central-1", "mail"), "b1": ("eu-west-1", "mail"), "c1": ("eu-north-1", "witness")}
REPORT = {
    "at": NOW.isoformat(),
    "level": "ok",
    "checks": {check: {"level": "ok", "text": ""} for check in ("directory", "disk", "services")},
    "closed_ports": [],
    "queued": 3,
    "oldest_queued_s": 60.5,
    "lag_s": 0.1,
    "groups_not_ready": 0,
    "copies_waiting": 2,
    "oldest_copy_s": 2.0,
    "fence_open": True,
    "clock_error_s": 0.002,
    "disk_free": {"/": 0.6, "/var/vmail": 0.6},
    "certificate_days": {"server.crt": 80.0},
    "failovers": [{"from_server": "b1", "groups": 1, "at": "1969-12-30T00:00:00+00:00", "seconds": 7.5}],
}
"""Of a well server; its last take-over was long before promtool's clock, which begins in 1970."""


def whole(**changes: object) -> Overview:
    """Return a platform in which nothing is wrong, with changes of what a1 reports."""
    group = json.dumps({"home": "a1", "standby": "b1", "epoch": 1}).encode()
    values = {f"/onedallmail/health/{name}": json.dumps(REPORT).encode() for name in EXPECTED}
    values["/onedallmail/health/a1"] = json.dumps({**REPORT, **changes}).encode()
    values |= {f"/onedallmail/placement/alive/{name}": b"{}" for name in ("a1", "b1")}
    return overview({**values, "/onedallmail/placement/groups/0": group}, EXPECTED, NOW)


def exposed(text: str) -> dict[str, float]:
    """Return the samples of a page: series to value."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines)}


PAGE = exposed(metrics(whole()))


@pytest.fixture(scope="module")
def promtool() -> Path:
    """Prometheus' checker, from the Debian package of the host's suite: Debian 13 has it in one of its own."""
    try:
        return debian.program("usr/bin/promtool", "promtool", "prometheus")
    except LabError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no promtool: {error}")


def run(promtool: Path, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool, *words], input=text, capture_output=True, text=True, timeout=60, check=False)


def rules(path: Path = RULES) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def series(changes: Changes) -> list[dict[str, str]]:
    """Return the page's series with changes, for promtool; raises KeyError for a series that the page does not have."""
    values: dict[str, str] = {} if "*" in changes else {name: steady(value) for name, value in PAGE.items()}
    for name, value in changes.items():
        if name != "*":
            assert PAGE[name] is not None
            values[name] = str(value)
    return [{"series": name, "values": value} for name, value in values.items()]


def judged(
    promtool: Path, folder: Path, changes: Changes, looks: Iterator[dict[str, Any]], path: Path = RULES, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run promtool over one platform; each look is an expression with its time and what it has to give."""
    test = {"interval": f"{STEP_S}s", "input_series": series(changes), "promql_expr_test": list(looks), **more}
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(path)], "evaluation_interval": f"{STEP_S}s", "tests": [test]}))
    return run(promtool, "test", "rules", str(file))


def firing(at: str, *alerts: tuple[str, str, dict[str, str]], only: str = "") -> dict[str, Any]:
    """Return the look that at this time exactly these alerts fire (of those that `only` selects)."""
    samples = [
        {"labels": _series({"alertname": name, "alertstate": "firing", "severity": severity, **labels}), "value": 1}
        for name, severity, labels in alerts
    ]
    return {"expr": f'ALERTS{{alertstate="firing"{only}}}', "eval_time": at, "exp_samples": samples}


def _series(labels: dict[str, str]) -> str:
    return f"ALERTS{{{', '.join(f'{name}={json.dumps(value)}' for name, value in labels.items())}}}"


def _minutes(value: float) -> str:
    return f"{int(value * 60)}s"


def looks_of(case: Case) -> Iterator[dict[str, Any]]:
    """Yield that a case's alert is the only one that fires once its time is over, and that it did not before."""
    own = f',alertname="{case.alert}",severity="{case.severity}"'
    if case.after:
        yield firing(_minutes(case.after - STEP_S / 60), only=own)
    for minutes in (case.after, case.after + 10):
        yield firing(_minutes(minutes), (case.alert, case.severity, dict(case.labels)))


def test_promtool_accepts_the_rules(promtool: Path) -> None:
    done = run(promtool, "check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_fires_while_nothing_is_wrong(promtool: Path, tmp_path: Path) -> None:
    done = judged(promtool, tmp_path, {}, (firing(at) for at in LOOKS))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_alert_fires_alone_and_in_its_time(promtool: Path, tmp_path: Path, case: Case) -> None:
    done = judged(promtool, tmp_path, case.fires, looks_of(case))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_alert_is_silent_when_it_is_nearly_so(promtool: Path, tmp_path: Path, case: Case) -> None:
    own = f',alertname="{case.alert}",severity="{case.severity}"'
    for changes in case.near:
        done = judged(promtool, tmp_path, changes, (firing(at, only=own) for at in LOOKS))
        assert done.returncode == 0, (changes, done.stdout + done.stderr)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_without_a_rule_its_case_fails(promtool: Path, tmp_path: Path, rule: dict[str, Any]) -> None:
    """So each rule has a case, and the case watches it."""
    document = yaml.safe_load(RULES.read_text())
    for group in document["groups"]:
        group["rules"] = [other for other in group["rules"] if other != rule]
    less = tmp_path / "less.yml"
    less.write_text(yaml.safe_dump(document))
    cases = [c for c in CASES if (c.alert, c.severity) == (rule["alert"], rule["labels"]["severity"])]
    assert cases, f"alert_cases.py has no case of {rule['alert']} ({rule['labels']['severity']})"
    for case in cases:
        done = judged(promtool, tmp_path, case.fires, looks_of(case), less)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "FAILED" in done.stdout + done.stderr


def test_what_an_alert_says_has_its_server_and_its_figure(promtool: Path, tmp_path: Path) -> None:
    case = next(case for case in CASES if str(case) == "SyncLagHigh-critical")
    rule = next(r for r in rules() if (r["alert"], r["labels"]["severity"]) == (case.alert, case.severity))
    summary = "Standbys of a1 are 15m 1s behind: more than is promised"
    expected = {
        "eval_time": "5m",
        "alertname": case.alert,
        "exp_alerts": [
            {
                "exp_labels": {"severity": case.severity, **case.labels},
                "exp_annotations": {**rule["annotations"], "summary": summary},
            }
        ],
    }
    done = judged(promtool, tmp_path, case.fires, iter(()), alert_rule_test=[expected])
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_name_only_what_the_page_exposes() -> None:
    used = {name for rule in rules() for name in re.findall(r"onedallmail_\w+", rule["expr"])}
    assert used, "no rule names a metric"
    assert used <= {name.partition("{")[0] for name in PAGE}


def test_the_page_exposes_every_metric_that_it_declares() -> None:
    assert {name.partition("{")[0] for name in PAGE} == NAMES


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_every_rule_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / path).read_text(), re.MULTILINE)
    assert anchor == rule["alert"].lower()
    assert rule["alert"] in headings, f"{path} says nothing about {rule['alert']}"


def test_the_runbook_speaks_of_no_other_alerts() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks" / "alerts.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted({rule["alert"] for rule in rules()})


@pytest.mark.parametrize(
    "text",
    [
        metrics(whole()),
        without_quorum(),
        own_metrics(server_view("a1", "eu-central-1", "mail", REPORT, NOW, leased=None)),
        metrics(whole(disk_free={'/odd "path"\\\n': 0.5})),
    ],
    ids=["whole", "without quorum", "own", "odd labels"],
)
def test_promtool_finds_nothing_wrong_with_the_metrics(promtool: Path, text: str) -> None:
    done = run(promtool, "check", "metrics", text=text)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_labels_are_escaped() -> None:
    text = metrics(whole(disk_free={'/odd "path"\\\n': 0.5}))
    assert 'path="/odd \\"path\\"\\\\\\n"} 0.5' in text


def test_a_silent_server_has_no_figures_but_its_last_take_over() -> None:
    page = exposed(metrics(whole(at="2026-11-25T11:00:00+00:00")))
    own = {name.partition("{")[0] for name in page if 'server="a1"' in name}
    known = {"lease_held", "home_groups", "standby_groups", "server_silent", "server_healthy"}
    known |= {f"last_failover_{what}" for what in ("timestamp_seconds", "duration_seconds", "groups")}
    assert own == {f"onedallmail_{name}" for name in known}
    assert page['onedallmail_server_silent{server="a1",region="eu-central-1"}'] == 1
