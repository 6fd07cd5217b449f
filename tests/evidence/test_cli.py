"""The command line: paths and figures to find, exit code 3 on problems, JSON for programs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from onedallmail.cli.evidence import app
from onedallmail.evidence import bundle, context
from tests.evidence import samples

RUNNER = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("onedallmail.evidence.bundle.state_dir", lambda stack: tmp_path / stack)
    monkeypatch.setattr("onedallmail.cli.evidence.state_dir", lambda stack: tmp_path / stack)
    home = bundle.evidence_dir("lab")
    samples.write_run(home / "results", samples.realistic_rows()[:6])
    return home


def test_build_then_verify(home: Path) -> None:
    context.save(samples.context(), home / "context.json")
    built = RUNNER.invoke(app, ["build", "--json"])
    assert built.exit_code == 0, built.output
    paths = json.loads(built.stdout)
    assert Path(paths["report"]).is_file()
    for form in (paths["bundle"], paths["archive"]):
        verified = RUNNER.invoke(app, ["verify", form, "--key", paths["key"], "--json"])
        assert verified.exit_code == 0
        assert json.loads(verified.stdout)["ok"] is True
    assert "Intact." in RUNNER.invoke(app, ["verify", paths["archive"], "--key", paths["key"]]).stdout


def test_verify_lists_problems_and_leaves_with_3(home: Path) -> None:
    context.save(samples.context(), home / "context.json")
    paths = json.loads(RUNNER.invoke(app, ["build", "--json"]).stdout)
    (Path(paths["bundle"]) / "controls.csv").write_text("all is well\n", encoding="utf-8")
    people = RUNNER.invoke(app, ["verify", paths["bundle"], "--key", paths["key"]])
    assert people.exit_code == 3
    assert "controls.csv: changed since it was signed" in people.stdout
    programs = RUNNER.invoke(app, ["verify", paths["bundle"], "--key", paths["key"], "--json"])
    assert programs.exit_code == 3
    assert json.loads(programs.stdout)["problems"] == ["controls.csv: changed since it was signed"]


def test_what_is_not_there_is_an_error_and_not_a_finding(home: Path, tmp_path: Path) -> None:
    context.save(samples.context(), home / "context.json")
    missing_key = RUNNER.invoke(app, ["verify", str(tmp_path), "--key", str(tmp_path / "none.pem")])
    assert missing_key.exit_code == 1
    assert "none.pem: cannot be read" in missing_key.output
    missing_results = RUNNER.invoke(app, ["build", "--results", str(tmp_path / "none")])
    assert missing_results.exit_code == 1
    assert "no such folder of test results" in missing_results.output


def test_without_a_saved_context_the_outputs_tell_the_servers(home: Path) -> None:
    assert "bring the platform up first" in RUNNER.invoke(app, ["build"]).output
    server = {"name": "a1", "fqdn": "a1.acme.example", "role": "mail", "region": "eu-central-1"}
    outputs = {"domain": "acme.example", "target": "lab", "servers": {"a1": server}}
    (home.parent / "outputs.json").write_text(json.dumps(outputs), encoding="utf-8")
    built = RUNNER.invoke(app, ["build", "--json"])
    assert built.exit_code == 0, built.output
    assert "a1.acme.example" in Path(json.loads(built.stdout)["report"]).read_text(encoding="utf-8")


def test_controls_lists_every_control() -> None:
    assert len(json.loads(RUNNER.invoke(app, ["controls", "--json"]).stdout)["controls"]) == 136
    assert "iso27001:A.8.34" in RUNNER.invoke(app, ["controls"]).stdout
