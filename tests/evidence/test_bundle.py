"""Bundles: an untouched one verifies offline, and any change to any byte of it is found."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onedallmail.evidence import archive, assessment, bundle, canonical, signing
from onedallmail.evidence.collect import CollectError
from onedallmail.evidence.exceptions import ExceptionsError
from onedallmail.evidence.records import Outcome
from onedallmail.evidence.verify import VerificationResult, verify
from tests.evidence import samples
from tests.evidence.samples import NOW

CLOCK = "iso27001:A.8.17"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("evidence")
    samples.write_exceptions(home)
    samples.write_run(home / "results", samples.realistic_rows()[:14])
    return home


@pytest.fixture(scope="module")
def built(home: Path) -> Path:
    return bundle.build("lab", [home / "results"], samples.context(), home=home, now=NOW)


@pytest.fixture(scope="module")
def key(home: Path, built: Path) -> Path:
    assert built.is_dir()
    return home / "keys" / signing.PUBLIC_NAME


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / built.name))


def _tar(built: Path) -> Path:
    return built.with_name(f"{built.name}.tar.gz")


def _verdicts(folder: Path) -> dict[str, str]:
    document = canonical.decode((folder / "verdicts.json").read_bytes())
    return {finding["control"]: finding["verdict"] for finding in document["findings"]}


@pytest.mark.control("iso27001:A.5.28", "iso27001:A.5.33")
def test_an_untouched_bundle_verifies_as_folder_and_as_archive(built: Path, key: Path) -> None:
    for form in (built, _tar(built)):
        result = verify(form, key)
        assert result.problems == ()
        assert result.counts["WAIVED"] == 1
        assert any("judged again" in note for note in result.notes)


def test_any_tar_program_unpacks_the_archive(built: Path, key: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-xzf", str(_tar(built)), "-C", str(tmp_path)], check=True)
    assert verify(tmp_path / built.name, key).ok


@pytest.mark.control("iso27001:A.5.28", "iso27001:A.5.33")
def test_any_changed_byte_of_any_file_is_found(built: Path, key: Path, tmp_path: Path) -> None:
    """Sampled over all files and offsets; a file is flipped in one bit pattern, verified, and restored."""
    work = Path(shutil.copytree(built, tmp_path / built.name))
    files = sorted(path for path in work.rglob("*") if path.is_file() and path.stat().st_size)

    @settings(max_examples=120, deadline=None)
    @given(data=st.data())
    def flip(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(files))
        content = path.read_bytes()
        position = data.draw(st.integers(0, len(content) - 1))
        mask = data.draw(st.integers(1, 255))
        changed = bytearray(content)
        changed[position] ^= mask
        path.write_bytes(changed)
        try:
            assert not verify(work, key).ok, f"{path.name}: byte {position} ^ {mask} was not noticed"
        finally:
            path.write_bytes(content)

    flip()


def test_any_changed_byte_of_the_archive_is_found(built: Path, key: Path, tmp_path: Path) -> None:
    content = _tar(built).read_bytes()
    target = tmp_path / "changed.tar.gz"

    @settings(max_examples=80, deadline=None)
    @given(position=st.integers(0, len(content) - 1), mask=st.integers(1, 255))
    def flip(position: int, mask: int) -> None:
        changed = bytearray(content)
        changed[position] ^= mask
        target.write_bytes(changed)
        assert not verify(target, key).ok

    flip()
    for header_byte in range(100):
        changed = bytearray(content)
        changed[header_byte] ^= 1
        target.write_bytes(changed)
        assert not verify(target, key).ok, f"byte {header_byte} of the header"


@pytest.mark.parametrize("length", [0, 10, 200, -1])
def test_a_cut_or_extended_archive_is_found(built: Path, key: Path, tmp_path: Path, length: int) -> None:
    content = _tar(built).read_bytes()
    target = tmp_path / "cut.tar.gz"
    target.write_bytes(content[:length])
    assert not verify(target, key).ok
    target.write_bytes(content + b"\0")
    assert not verify(target, key).ok


def test_an_added_file_folder_or_link_is_found(copy: Path, key: Path) -> None:
    (copy / "results" / "more.json").write_text("{}", encoding="utf-8")
    assert verify(copy, key).problems == ("results/more.json: not part of the signed bundle",)
    (copy / "results" / "more.json").unlink()
    (copy / "empty").mkdir()
    assert "empty: an empty folder" in verify(copy, key).problems[0]
    (copy / "empty").rmdir()
    (copy / "link").symlink_to(copy / "report.html")
    assert "link: neither a file nor a folder" in verify(copy, key).problems[0]


@pytest.mark.parametrize(
    "name", ["manifest.json", "manifest.sig", "verdicts.json", "ledger/excerpt.jsonl", "report.html"]
)
def test_a_missing_file_is_found_and_named(copy: Path, key: Path, name: str) -> None:
    (copy / name).unlink()
    assert any(problem == f"{name}: missing" for problem in verify(copy, key).problems)


def test_reordered_ledger_lines_are_found(copy: Path, key: Path) -> None:
    path = copy / "ledger" / "excerpt.jsonl"
    first, second, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([second, first, *rest]))
    problems = verify(copy, key).problems
    assert "ledger/excerpt.jsonl: changed since it was signed" in problems
    assert any("missing or moved" in problem for problem in problems)


def _resigned(folder: Path, home: Path) -> VerificationResult:
    """Sign a changed bundle anew with the right key, as an insider could, and verify it."""
    manifest = canonical.decode((folder / "manifest.json").read_bytes())
    for entry in manifest["files"]:
        content = (folder / entry["path"]).read_bytes()
        entry |= {"size_bytes": len(content), "sha256": canonical.sha256(content)}
    data = canonical.encode(manifest)
    (folder / "manifest.json").write_bytes(data)
    signature = signing.sign(signing.load_private(home / "keys" / signing.PRIVATE_NAME), "manifest", data)
    (folder / "manifest.sig").write_text(signature.hex() + "\n", encoding="ascii")
    return verify(folder, home / "keys" / signing.PUBLIC_NAME)


def test_even_a_new_signature_does_not_hide_changed_verdicts(copy: Path, home: Path) -> None:
    path = copy / "verdicts.json"
    path.write_bytes(path.read_bytes().replace(b'"NOT_ESTABLISHED"', b'"PASS"'))
    assert "verdicts.json: not what the ledger says was judged" in _resigned(copy, home).problems


def test_even_a_new_signature_does_not_hide_a_changed_result(copy: Path, home: Path) -> None:
    path = next(copy.glob("results/*/tests/*.json"))
    path.write_bytes(path.read_bytes().replace(b'"passed"', b'"failed"'))
    assert any("not entered in the ledger as it is here" in problem for problem in _resigned(copy, home).problems)


def test_verdicts_that_do_not_follow_are_found_though_everything_is_signed(tmp_path: Path) -> None:
    """Whoever holds the key can sign and enter anything; the results still speak for themselves."""
    samples.write_run(tmp_path / "results", [("t.py::test_clock", (CLOCK,), {"outcome": Outcome.FAILED})])
    honest = assessment.to_document

    def flattering(found: assessment.Assessment, *, version: str) -> dict[str, object]:
        document = honest(found, version=version)
        return document | {"findings": [row | {"verdict": "PASS"} for row in document["findings"]]}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assessment, "to_document", flattering)
        folder = _build(tmp_path)
    assert _verdicts(folder)[CLOCK] == "PASS"
    problems = verify(folder, tmp_path / "keys" / signing.PUBLIC_NAME).problems
    assert problems == ("verdicts.json: does not follow from the results in this bundle",)


def test_another_key_is_refused_in_both_forms(built: Path, tmp_path: Path) -> None:
    signing.ensure_keys(tmp_path)
    for form in (built, _tar(built)):
        problems = verify(form, tmp_path / signing.PUBLIC_NAME).problems
        assert any("not signed by the given key" in problem for problem in problems)
    with pytest.raises(signing.KeyFileError, match="not a PEM file"):
        verify(built, built / "report.html")


def test_an_archive_that_leaves_its_folder_is_refused(home: Path, key: Path, tmp_path: Path) -> None:
    """Signed by the right key and still not followed: nothing is ever written outside."""
    private = signing.load_private(home / "keys" / signing.PRIVATE_NAME)
    for name in ("../../etc/passwd", "a/../../b"):
        (tmp_path / "evil.tar.gz").write_bytes(archive.pack("bundle", {name: b"x"}, private))
        assert "no plain file inside" in verify(tmp_path / "evil.tar.gz", key).problems[0]


def _build(home: Path, **options: timedelta) -> Path:
    return bundle.build(
        "lab", [home / "results"], samples.context(), home=home, now=NOW + options.get("later", timedelta())
    )


def test_a_pass_grows_stale_with_time_alone(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "results", [("t.py::test_clock", (CLOCK,), {})])
    assert _verdicts(_build(tmp_path))[CLOCK] == "PASS"
    assert _verdicts(_build(tmp_path, later=timedelta(days=31)))[CLOCK] == "NOT_ESTABLISHED"


def test_an_expired_waiver_no_longer_helps(tmp_path: Path) -> None:
    samples.write_exceptions(tmp_path)
    samples.write_run(tmp_path / "results", [("t.py::test_backup", ("iso27001:A.8.13",), {"outcome": Outcome.FAILED})])
    assert _verdicts(_build(tmp_path))["iso27001:A.8.13"] == "WAIVED"
    assert _verdicts(_build(tmp_path, later=timedelta(days=33)))["iso27001:A.8.13"] == "FAIL"


@pytest.mark.parametrize("damage", ["deleted", "torn", "edited", "artefact"])
def test_damaged_results_are_never_a_pass(tmp_path: Path, damage: str) -> None:
    run = samples.write_run(tmp_path / "results", [("t.py::test_clock", (CLOCK,), {"raw": "chronyc tracking\n"})])
    record = next((run / "tests").iterdir())
    content = record.read_bytes()
    if damage == "deleted":
        record.unlink()
    elif damage == "torn":
        record.write_bytes(content[:-20])
    elif damage == "edited":
        record.write_bytes(content.replace(CLOCK.encode(), b"iso27001:A.8.16"))
    else:
        next((run / "artefacts").iterdir()).write_text("something else\n", encoding="utf-8")
    folder = _build(tmp_path)
    assert _verdicts(folder)[CLOCK] == "NOT_ESTABLISHED"
    assert verify(folder, tmp_path / "keys" / signing.PUBLIC_NAME).ok


def test_a_failure_that_is_edited_after_a_first_bundle_stays_out_of_the_passes(tmp_path: Path) -> None:
    run = samples.write_run(tmp_path / "results", [("t.py::test_clock", (CLOCK,), {"outcome": Outcome.FAILED})])
    assert _verdicts(_build(tmp_path))[CLOCK] == "FAIL"
    record = next((run / "tests").iterdir())
    record.write_bytes(record.read_bytes().replace(b'"failed"', b'"passed"'))
    again = _build(tmp_path)
    assert _verdicts(again)[CLOCK] == "NOT_ESTABLISHED"
    assert "changed after it was entered in the ledger" in (again / "verdicts.json").read_text(encoding="utf-8")


def test_results_of_another_stack_do_not_count(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "results", [("t.py::test_clock", (CLOCK,), {})], stack="elsewhere")
    assert _verdicts(_build(tmp_path))[CLOCK] == "NOT_ESTABLISHED"


def test_an_unfinished_run_leaves_its_controls_open(tmp_path: Path) -> None:
    run = samples.write_run(tmp_path / "results", [("t.py::one", (CLOCK,), {}), ("t.py::two", (CLOCK,), {})])
    sorted((run / "tests").iterdir())[1].unlink()
    assert _verdicts(_build(tmp_path))[CLOCK] == "NOT_ESTABLISHED"


def test_a_second_bundle_of_the_same_moment_gets_its_own_name(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "results", [("t.py::test_clock", (CLOCK,), {})])
    first, second = _build(tmp_path), _build(tmp_path)
    assert first != second
    assert all(verify(folder, tmp_path / "keys" / signing.PUBLIC_NAME).ok for folder in (first, second))


def test_wrong_material_is_refused_before_a_bundle_exists(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="no such folder of test results"):
        _build(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "waivers.toml").write_text('[[waiver]]\ncontrol = "iso27001:A.9.99"\n', encoding="utf-8")
    with pytest.raises(ExceptionsError, match=r"waivers\.toml: entry 1: approver"):
        _build(tmp_path)
    assert not (tmp_path / "bundles").exists()
