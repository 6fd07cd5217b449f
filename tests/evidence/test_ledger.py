"""The ledger: what is in it stays, and whatever was done to it shows."""

import stat
from pathlib import Path
from typing import Any

import pytest

from onedallmail.evidence import canonical, signing
from onedallmail.evidence.ledger import HEAD_NAME, LEDGER_NAME, Ledger, LedgerError
from tests.evidence.samples import NOW


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


@pytest.fixture
def ledger(home: Path) -> Ledger:
    ledger = Ledger(home, signing.ensure_keys(home / "keys"))
    ledger.append([{"type": "file", "path": f"results/r/{number}"} for number in range(4)], time=NOW)
    return ledger


def _lines(home: Path) -> list[bytes]:
    return (home / LEDGER_NAME).read_bytes().splitlines(keepends=True)


def test_entries_follow_from_each_other_over_several_openings(ledger: Ledger, home: Path) -> None:
    Ledger(home, signing.ensure_keys(home / "keys")).append([{"type": "note"}], time=NOW)
    entries = ledger.entries()
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.previous for entry in entries[1:]] == [entry.hash for entry in entries[:-1]]


def test_the_private_key_is_for_its_owner_only(ledger: Ledger, home: Path) -> None:
    key = home / "keys" / signing.PRIVATE_NAME
    assert ledger.entries()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o640)
    with pytest.raises(signing.KeyFileError, match="others can read"):
        signing.ensure_keys(home / "keys")


@pytest.mark.parametrize("cut", [1, 40, -1])
def test_a_torn_last_line_is_kept_aside_and_noted(
    ledger: Ledger, home: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    *whole, last = _lines(home)
    torn = last[:cut]
    (home / LEDGER_NAME).write_bytes(b"".join(whole) + last + torn)
    entries = ledger.entries()
    assert len(entries) == 5
    note = entries[-1].payload
    assert note["type"] == "torn-line"
    assert (home / note["file"]).read_bytes() == torn
    assert "torn" in caplog.text
    assert ledger.append([{"type": "after"}])[0].sequence == 6


def _moved(lines: list[bytes]) -> list[bytes]:
    return [lines[1], lines[0], *lines[2:]]


def _removed(lines: list[bytes]) -> list[bytes]:
    return [lines[0], *lines[2:]]


def _cut_off(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _repeated(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[-1]]


def _edited(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"results/r/0", b"results/r/9"), *lines[1:]]


def _rehashed(lines: list[bytes]) -> list[bytes]:
    document: dict[str, Any] = canonical.decode(lines[0])
    document["payload"] = {"type": "forged"}
    body = {name: document[name] for name in ("sequence", "time", "previous", "payload")}
    document["hash"] = canonical.sha256(canonical.encode(body))
    return [canonical.encode(document) + b"\n", *lines[1:]]


def _spaced(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b'":', b'": ', 1), *lines[1:]]


@pytest.mark.parametrize("change", [_moved, _removed, _cut_off, _repeated, _edited, _rehashed, _spaced])
def test_a_changed_ledger_is_refused_and_left_alone(ledger: Ledger, home: Path, change: Any) -> None:
    changed = b"".join(change(_lines(home)))
    (home / LEDGER_NAME).write_bytes(changed)
    with pytest.raises(LedgerError):
        ledger.append([{"type": "more"}])
    assert (home / LEDGER_NAME).read_bytes() == changed


def test_a_missing_head_is_no_excuse_for_a_broken_chain(ledger: Ledger, home: Path) -> None:
    (home / HEAD_NAME).unlink()
    assert len(ledger.entries()) == 4
    (home / LEDGER_NAME).write_bytes(b"".join(_removed(_lines(home))))
    with pytest.raises(LedgerError, match="missing or moved"):
        ledger.entries()


def test_another_key_does_not_continue_the_chain(ledger: Ledger, home: Path, tmp_path: Path) -> None:
    assert ledger.entries()
    with pytest.raises(LedgerError, match="not of this key"):
        Ledger(home, signing.ensure_keys(tmp_path / "other")).append([{"type": "intruder"}])
