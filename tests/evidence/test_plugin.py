"""The pytest plugin: controls are checked at collection, skips do not slip through CI, and records are complete."""

import json
from pathlib import Path
from typing import Any

import pytest

from onedallmail.paths import ROOT

pytest_plugins = "pytester"

PLUGIN = ("-p", "onedallmail.evidence.pytest_plugin", "-p", "no:cacheprovider")


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def _run(pytester: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(test_it="import pytest\n" + source)
    return pytester.runpytest_inprocess(*PLUGIN, *arguments)


def _records(pytester: pytest.Pytester) -> dict[str, dict[str, Any]]:
    run = next((pytester.path / "out").iterdir())
    records = [json.loads(path.read_text(encoding="utf-8")) for path in (run / "tests").iterdir()]
    return {record["nodeid"].rpartition("::")[2]: record for record in records}


def _document(pytester: pytest.Pytester) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (next((pytester.path / "out").iterdir()) / "run.json").read_text(encoding="utf-8")
    )
    return document


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ('"iso27001:A.9.99"', "unknown control 'iso27001:A.9.99'"),
        ('"A.8.24"', "unknown control 'A.8.24'"),
        ("", "names no control"),
        ('"iso27001:A.8.24", kind="rumour"', "kind='rumour' is none of"),
        ('"iso27001:A.8.24", kind="manual"', "kind='manual' is none of"),
        ('"iso27001:A.8.24", since=2020', "no option 'since'"),
    ],
)
def test_a_wrong_marker_stops_the_run_and_is_named(pytester: pytest.Pytester, marker: str, said: str) -> None:
    result = _run(pytester, f"@pytest.mark.control({marker})\ndef test_one(): pass\ndef test_two(): pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*test_it.py::test_one: *{said.replace('[', '[[]')}*"])
    result.assert_outcomes()


def test_a_deselected_test_with_an_unknown_control_still_stops_the_run(pytester: pytest.Pytester) -> None:
    source = '@pytest.mark.control("iso27001:B.1")\ndef test_one(): pass\ndef test_two(): pass\n'
    assert _run(pytester, source, "-k", "two").ret == pytest.ExitCode.USAGE_ERROR


SKIPS = (
    "@pytest.mark.lab\ndef test_lab(): pytest.skip('no lab')\n"
    "@pytest.mark.lab\n@pytest.mark.skip(reason='later')\ndef test_marked(): pass\n"
    "def test_plain(): pytest.skip('not here')\n"
)


def test_a_skipped_lab_test_is_a_failure_under_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = _run(pytester, SKIPS, "--evidence", "out")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*a lab test was skipped, which CI=true forbids*no lab*"])
    outcomes = {name: record["outcome"] for name, record in _records(pytester).items()}
    assert outcomes == {"test_lab": "failed", "test_marked": "error", "test_plain": "skipped"}


def test_skips_are_skips_elsewhere(pytester: pytest.Pytester) -> None:
    result = _run(pytester, SKIPS, "--evidence", "out")
    assert result.ret == pytest.ExitCode.OK
    assert {record["outcome"] for record in _records(pytester).values()} == {"skipped"}


def test_a_file_that_skips_itself_is_a_failure_under_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "pytest.skip('no lab here', allow_module_level=True)\n"
    assert _run(pytester, source).ret == pytest.ExitCode.NO_TESTS_COLLECTED
    monkeypatch.setenv("CI", "true")
    result = pytester.runpytest_inprocess(*PLUGIN)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*skips itself as a whole*"])


KINDS = """
@pytest.fixture
def broken(): raise RuntimeError("no server")
@pytest.fixture
def untidy():
    yield
    raise RuntimeError("left something")
def test_passes(): pass
def test_fails(): assert 1 == 2
def test_errors(broken): pass
def test_leaves(untidy): pass
@pytest.mark.xfail(reason="known gap")
def test_known_gap(): assert False
@pytest.mark.xfail(reason="gone")
def test_gap_is_gone(): pass
"""


def test_each_outcome_is_recorded_as_what_it_is(pytester: pytest.Pytester) -> None:
    """An expected failure is a failure: the gap that everybody knows is still a gap."""
    _run(pytester, KINDS, "--evidence", "out")
    assert {name: record["outcome"] for name, record in _records(pytester).items()} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_errors": "error",
        "test_leaves": "error",
        "test_known_gap": "failed",
        "test_gap_is_gone": "passed",
    }


FULL = '''
@pytest.mark.control("soc2:CC6.7")
class TestTls:
    @pytest.mark.control("iso27001:A.8.24", kind="scan")
    @pytest.mark.parametrize("port", [25, 993])
    def test_offers_tls(self, evidence, tmp_path, port):
        """Every port speaks TLS 1.3."""
        (tmp_path / "scan.txt").write_text("TLS_AES_256_GCM_SHA384\\n")
        evidence.describe(population=9, query="ports of the stack", sample=port, seed=42)
        evidence.attach(tmp_path / "scan.txt")
        evidence.attach_text("a name/with odd: signs", "x")
        evidence.tool("openssl", "3.5.1")
        assert port == 25
'''


def test_a_record_holds_all_that_an_auditor_needs(pytester: pytest.Pytester) -> None:
    _run(pytester, FULL, "--evidence", "out", "--evidence-stack", "pilot")
    records = _records(pytester)
    record = records["test_offers_tls[25]"]
    assert record["controls"] == ["iso27001:A.8.24", "soc2:CC6.7"]
    assert (record["kind"], record["outcome"], record["purpose"]) == ("scan", "passed", "Every port speaks TLS 1.3.")
    assert record["parameters"] == {"port": "25"}
    assert record["facts"] == {"population": "9", "query": "ports of the stack", "sample": "25", "seed": "42"}
    assert record["tool"] == {"name": "openssl", "version": "3.5.1"}
    assert record["started"].endswith("Z")
    assert record["duration_s"] > 0
    assert "assert 993 == 25" in records["test_offers_tls[993]"]["failure"]
    run = next((pytester.path / "out").iterdir())
    kept = [(run / "artefacts" / artefact["file"]).read_bytes() for artefact in record["artefacts"]]
    assert kept == [b"TLS_AES_256_GCM_SHA384\n", b"x"]
    document = _document(pytester)
    assert (document["stack"], len(document["planned"])) == ("pilot", 2)
    assert document["finished"] is not None


def test_a_killed_run_has_its_plan_and_no_end(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was planned is on disk before the first test, so that a kill leaves open ends and not silence."""
    source = '@pytest.mark.control("iso27001:A.8.24")\ndef test_one(): import os; os._exit(9)\ndef test_two(): pass\n'
    pytester.makepyfile(test_it="import pytest\n" + source)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "scripts"))
    pytester.runpytest_subprocess(*PLUGIN, "--evidence", "out")
    document = _document(pytester)
    assert [len(test["controls"]) for test in document["planned"]] == [1, 0]
    assert document["finished"] is None
    assert _records(pytester) == {}


SECRETS = """
def test_login():
    password = "correct horse battery"
    assert False, f"password={password!r} {{ARGON2ID}}$argon2id$v=19$abc AUTH PLAIN AGFiYwBk"
def test_refuses_keys(evidence):
    with pytest.raises(ValueError, match="private key"):
        evidence.attach_text("key", "-----BEGIN PRIVATE KEY-----\\nMC4CAQ\\n-----END PRIVATE KEY-----")
    assert evidence.artefacts == []
"""


def test_secrets_do_not_get_into_evidence(pytester: pytest.Pytester) -> None:
    _run(pytester, SECRETS, "--evidence", "out")
    text = json.dumps(_records(pytester))
    for secret in ("correct horse", "$argon2id", "AGFiYwBk", "MC4CAQ"):
        assert secret not in text
    assert _records(pytester)["test_refuses_keys"]["outcome"] == "passed"


def test_a_long_failure_is_shortened_and_says_so(pytester: pytest.Pytester) -> None:
    _run(pytester, "def test_long(): assert not 'x' * 100000, 'y' * 100000\n", "--evidence", "out")
    failure = _records(pytester)["test_long"]["failure"]
    assert len(failure) < 8200
    assert "characters left out" in failure


def test_without_the_option_nothing_is_written(pytester: pytest.Pytester) -> None:
    before = {path.name for path in pytester.path.iterdir()}
    _run(pytester, "def test_one(evidence): evidence.attach_text('a', 'b')\n").assert_outcomes(passed=1)
    assert {path.name for path in pytester.path.iterdir()} - before <= {"test_it.py", "__pycache__"}


def test_an_artefact_must_be_a_regular_file(pytester: pytest.Pytester, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    source = (
        "from pathlib import Path\n"
        f"@pytest.mark.parametrize('name', ['link', 'missing', '.'])\n"
        f"def test_one(evidence, name):\n"
        f"    with pytest.raises(ValueError, match='regular file'): evidence.attach(Path({str(tmp_path)!r}) / name)\n"
    )
    _run(pytester, source, "--evidence", "out").assert_outcomes(passed=3)
