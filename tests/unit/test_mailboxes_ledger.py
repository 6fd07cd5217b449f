"""Dovecot's ledger of deliveries: merged without loss, under Dovecot's own lock."""

import logging
import os
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.mailboxes import ledger
from onedallmail.mailboxes.dotlock import LockedError, dotlock
from onedallmail.mailboxes.ledger import Key, Ledger, LedgerError

SOON = int(time.time()) + 6 * 86400
SAMPLE = (
    "020000008b960e6b100000000a000000b7bcd94a0c4506395f8c98d2b12f3e8c75334065782e746573748b960e6b10000000"
    "0a000000ead2f4c20157c51e69dac6f4f184a96e75334065782e746573748b960e6b100000000a0000007c86f3d91ab36b85"
    "c9aec99005acf0ba75334065782e74657374"
)
"""A file of Dovecot 2.4.1 after three deliveries to u3@ex.test."""
KEYS = st.tuples(st.binary(min_size=1, max_size=20), st.sampled_from([b"u1@acme.example", b"u2@acme.example"]))
LEDGERS = st.dictionaries(KEYS, st.integers(0, 2**32 - 1), max_size=12)


def key(ingest_id: str) -> Key:
    return ledger.ingest_key(ingest_id, "u1@acme.example")


def records(*ids: str) -> Ledger:
    return {key(name): SOON for name in ids}


def test_keys_are_those_that_dovecot_2_4_1_wrote() -> None:
    written = bytes.fromhex(SAMPLE)
    found = ledger.parse(written)
    assert set(found) == {ledger.ingest_key(name, "u3@EX.test") for name in ("first00", "badinbox", "badscript")}
    assert ledger.parse(ledger.dump(found)) == found


@given(LEDGERS)
def test_what_is_written_is_read(content: Ledger) -> None:
    assert ledger.parse(ledger.dump(content)) == content


@given(LEDGERS, LEDGERS)
def test_a_merge_is_the_union_with_the_newest_stamps(one: Ledger, other: Ledger) -> None:
    merged = ledger.merge(one, other)
    assert merged == ledger.merge(other, one)
    assert merged.keys() == one.keys() | other.keys()
    assert all(stamp == max(one.get(k, 0), other.get(k, 0)) for k, stamp in merged.items())
    assert ledger.merge(merged, one) == merged


@given(LEDGERS.filter(bool), st.data())
def test_of_a_truncated_file_the_whole_records_are_read(content: Ledger, data: st.DataObject) -> None:
    written = ledger.dump(content)
    cut = data.draw(st.integers(1, len(written) - 1))
    try:
        found = ledger.parse(written[:cut])
    except LedgerError as error:
        found = error.read
    assert found.items() <= content.items()
    assert len(found) < len(content) or cut == len(written)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x02", "no header"),
        (struct.pack("<I", 3), "version 3 is unknown"),
        (struct.pack("<IIII", 2, SOON, 0, 1) + b"x", "0 bytes of id"),
        (struct.pack("<IIII", 2, SOON, 5000, 1), "5000 bytes of id"),
    ],
)
def test_what_is_no_ledger_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(LedgerError, match=reason):
        ledger.parse(content)


def test_a_key_is_of_a_user_in_any_case_and_of_an_id() -> None:
    assert ledger.ingest_key("x", "A@b.example") == ledger.ingest_key("x", "a@B.example")
    assert ledger.ingest_key("x", "a@b.example") != ledger.ingest_key("y", "a@b.example")
    assert ledger.ingest_key("x", "a@b.example") != ledger.ingest_key("x", "c@b.example")


def test_records_that_expired_are_neither_read_nor_written(tmp_path: Path) -> None:
    path = tmp_path / ledger.NAME
    ledger.merge_into(path, {key("old"): int(time.time()) - 1, **records("new")})
    assert ledger.parse(path.read_bytes()) == records("new") == ledger.read(path)


def test_a_merge_tells_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / ledger.NAME
    ledger.merge_into(path, records("a"))
    merged = ledger.merge_into(path, records("b"))
    assert (merged.before, merged.after) == (records("a"), records("a", "b"))


def test_nothing_new_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / ledger.NAME
    ledger.merge_into(path, records("a", "b"))
    inode = path.stat().st_ino
    ledger.merge_into(path, records("a"))
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("damage", [b"", b"\x09\x00\x00\x00junk"])
def test_a_damaged_file_loses_neither_its_readable_part_nor_what_is_merged(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / ledger.NAME
    whole = ledger.dump(records("mine"))
    path.write_bytes(damage or whole + b"\x01\x02")
    with caplog.at_level(logging.ERROR):
        ledger.merge_into(path, records("theirs"))
    assert ledger.read(path) == (records("theirs") if damage else records("mine", "theirs"))
    assert path.with_name(path.name + ledger.BROKEN).read_bytes() == (damage or whole + b"\x01\x02")
    assert str(path) in caplog.text


def test_merges_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / ledger.NAME
    names = [f"id{n}" for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: ledger.merge_into(path, records(name)), names))
    assert ledger.read(path) == records(*names)
    assert [entry.name for entry in tmp_path.iterdir()] == [ledger.NAME]


def test_a_lock_of_somebody_else_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / ledger.NAME
    lock = tmp_path / f"{ledger.NAME}.lock"
    lock.touch()
    threading.Timer(0.3, lock.unlink).start()
    with dotlock(path, timeout_s=5):
        assert lock.exists()
    assert not lock.exists()


def test_a_lock_that_changes_is_never_taken_over(tmp_path: Path) -> None:
    path = tmp_path / ledger.NAME
    lock = tmp_path / f"{ledger.NAME}.lock"
    lock.touch()
    end = threading.Event()

    def touch() -> None:
        while not end.wait(0.05):
            os.utime(lock)

    toucher = threading.Thread(target=touch)
    toucher.start()
    try:
        with pytest.raises(LockedError, match="kept by others"), dotlock(path, timeout_s=1, stale_s=0.4):
            pass
    finally:
        end.set()
        toucher.join()
    assert lock.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == [lock.name]


def test_a_forgotten_lock_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / ledger.NAME
    (tmp_path / f"{ledger.NAME}.lock").touch()
    with dotlock(path, timeout_s=5, stale_s=0.3) as lock:
        lock.replace(ledger.dump(records("a")))
    assert ledger.read(path) == records("a")


def test_a_lock_that_was_taken_over_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / ledger.NAME
    other = tmp_path / f"{ledger.NAME}.lock"
    with dotlock(path) as lock:
        other.unlink()
        other.touch()
        with pytest.raises(LockedError, match="taken over"):
            lock.replace(b"x")
    assert not path.exists()
    assert other.exists()
