"""Copies on disk, sealed: whole or not there, bound to what they are, and still there after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.copies.ingest import HEADER, foreign_headers, ingest_id, marked
from onedallmail.copies.record import CopyError, Label, decode_line, encode, from_record
from onedallmail.copies.seal import open_envelope, open_message, seal
from onedallmail.copies.store import Store, StoreError
from tests.unit.copies import ID, KEY, copy, envelope


def stored(directory: Path, writer: str = "copies") -> Store:
    return Store(directory, writer, min_free_bytes=0)


def test_a_copy_comes_back_as_it_was_and_goes(tmp_path: Path) -> None:
    store = stored(tmp_path)
    label, parts = copy("u@example.org", "v@example.org")
    store.put(label, parts)
    again = stored(tmp_path)
    assert again.identity == store.identity
    assert again.names() == {label.name}
    assert again.read(label.name) == (label, parts)
    assert again.label(label.name) == label
    sealed = again.envelope(label.name)[1]
    assert open_envelope(label, KEY, sealed) == envelope("u@example.org", "v@example.org")
    assert open_message(label, KEY, parts) == b"Subject: x\r\n\r\nbody\r\n"
    assert again.drop(label.name)
    assert not again.drop(label.name)
    assert store.names() == set()


def test_nothing_of_a_copy_can_be_read_by_others(tmp_path: Path) -> None:
    store = stored(tmp_path)
    label, parts = copy("secret@example.org")
    store.put(label, parts)
    path = tmp_path / ID[:1] / label.name
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    content = path.read_bytes()
    assert b"secret" not in content
    assert b"body" not in content


def test_one_message_that_came_in_twice_has_two_copies(tmp_path: Path) -> None:
    store = stored(tmp_path)
    first, second = copy(), copy(queue_id="4OTHER")
    store.put(*first)
    store.put(*second)
    store.put(*second)
    assert store.names() == {first[0].name, second[0].name}


def test_what_a_crash_left_goes_at_the_start_of_its_writer_only(tmp_path: Path) -> None:
    store = stored(tmp_path)
    label, parts = copy()
    store.put(label, parts)
    for writer in ("copies", "ingest"):
        (tmp_path / ID[:1] / f"{label.name}.1.{writer}.tmp").write_bytes(b"half")
    assert stored(tmp_path).names() == {label.name}
    assert [path.name for path in (tmp_path / ID[:1]).glob("*.tmp")] == [f"{label.name}.1.ingest.tmp"]


def test_a_full_disk_is_an_error_that_says_so(tmp_path: Path) -> None:
    label, parts = copy()
    with pytest.raises(StoreError, match="must stay free; make room"):
        Store(tmp_path, "copies", min_free_bytes=1 << 62).put(label, parts)
    assert not list((tmp_path / ID[:1]).iterdir())


def test_an_error_of_the_disk_leaves_nothing_and_names_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    store = stored(tmp_path)
    label, parts = copy()
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(StoreError, match=f"{label.name} is not kept: No space left"):
        store.put(label, parts)
    assert not list((tmp_path / ID[:1]).iterdir())


@pytest.mark.parametrize("name", ["../../etc/passwd", "", f"{ID}-4Q-a1/../x", f"{ID}-4Q-a1.tmp", f"{ID}-4Q-A1"])
def test_only_names_of_copies_lead_to_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(CopyError):
        stored(tmp_path).drop(name)


WRITING = """
import sys
from pathlib import Path
from onedallmail.copies.store import Store
from tests.unit.copies import copy
store = Store(Path(sys.argv[1]), "copies", min_free_bytes=0)
number = 0
while True:
    number += 1
    label, parts = copy(queue_id=f"4Q{number}", copy_id=f"{number:032x}")
    store.put(label, parts + bytes(200_000))
    print(label.name, flush=True)
"""


def test_after_a_kill_each_confirmed_copy_is_there_and_each_copy_is_whole(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    writing = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{root / 'scripts'}:{root}"},
    )
    assert writing.stdout is not None
    confirmed = {writing.stdout.readline().strip() for _ in range(5)}
    time.sleep(0.03)
    writing.send_signal(signal.SIGKILL)
    confirmed |= {line.strip() for line in writing.stdout if line.endswith("\n")}
    writing.wait()
    store = stored(tmp_path)
    assert confirmed <= store.names()
    assert len(store.names()) <= len(confirmed) + 1
    for name in store.names():
        _, parts = store.read(name)
        assert parts.endswith(bytes(200_000))
    assert not list(tmp_path.glob("*/*.tmp"))


def test_a_part_opens_only_as_what_it_is() -> None:
    label, parts = copy()
    for changed in (replace(label, queue_id="4X"), replace(label, origin="c1"), replace(label, copy_id="f" * 32)):
        with pytest.raises(CopyError, match="can't be opened"):
            open_message(changed, KEY, parts)
    with pytest.raises(CopyError, match="can't be opened"):
        open_envelope(label, bytes(32), parts)
    swapped = replace(label, envelope_bytes=len(parts) - label.envelope_bytes)
    message, sealed = parts[label.envelope_bytes :], parts[: label.envelope_bytes]
    with pytest.raises(CopyError, match="can't be opened"):
        open_envelope(swapped, KEY, message + sealed)
    for place in (0, 20, len(parts) - 1):
        broken = bytearray(parts)
        broken[place] ^= 1
        opened = open_envelope if place < label.envelope_bytes else open_message
        with pytest.raises(CopyError):
            opened(label, KEY, bytes(broken))


def test_another_holder_changes_nothing_of_what_is_sealed() -> None:
    label, parts = copy()
    assert open_message(label.held_by("c1"), KEY, parts)


def test_the_same_message_is_never_sealed_alike() -> None:
    label, parts = copy()
    assert seal(label, KEY, envelope("u@example.org"), b"Subject: x\r\n\r\nbody\r\n") != parts


def test_a_label_survives_its_line() -> None:
    label, parts = copy()
    line, rest = encode(label, parts).split(b"\n", 1)
    assert decode_line(line) == label
    assert rest == parts


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"id": "x"},
        {"origin": "../a"},
        {"queue_id": "4/Q"},
        {"at": "yesterday"},
        {"at": "2026-01-01T00:00:00"},
        {"key": {"arn": "x", "data": "no base64"}},
        {"key": 5},
        {"envelope": -1},
        {"holder": None},
    ],
)
def test_a_label_that_is_none_is_refused(change: dict[str, object]) -> None:
    label: Label = copy()[0]
    with pytest.raises(CopyError):
        from_record({**label.as_record(), **change})
    with pytest.raises(CopyError):
        decode_line(json.dumps({**label.as_record(), **change}).encode())


HEADERS = [(b"Received", b" from x"), (b"Message-ID", b" <1@x>"), (b"Subject", b" Hello\n world"), (b"To", b" u@x")]


def test_a_retry_at_another_server_has_the_same_id() -> None:
    other = [(b"Received", b" from y"), (b"X-Spam", b" no"), *HEADERS[1:3], (b"to", b"  u@x")]
    assert ingest_id(b"s@x", HEADERS, b"body") == ingest_id(b"s@x", other, b"body")


@pytest.mark.parametrize("place", range(1, len(HEADERS)))
def test_whatever_identifies_a_message_changes_its_id(place: int) -> None:
    changed = [*HEADERS[:place], (HEADERS[place][0], HEADERS[place][1] + b"!"), *HEADERS[place + 1 :]]
    ids = {
        ingest_id(b"s@x", HEADERS, b"body"),
        ingest_id(b"s@x", changed, b"body"),
        ingest_id(b"t@x", HEADERS, b"body"),
        ingest_id(b"s@x", HEADERS, b"body!"),
    }
    assert len(ids) == 4


def test_a_message_without_message_id_is_like_no_other() -> None:
    assert len({ingest_id(b"s@x", HEADERS[2:], b"body") for _ in range(10)}) == 10


@given(st.lists(st.tuples(st.sampled_from([b"From", b"To", b"Cc", b"Message-ID"]), st.binary(max_size=5)), min_size=1))
def test_fields_can_not_be_moved_into_each_other(headers: list[tuple[bytes, bytes]]) -> None:
    """Two messages have one id only if they have the same fields: sizes are part of what is hashed."""
    headers = [(b"Message-ID", b"x"), *headers]
    base = ingest_id(b"s", headers, b"b")
    assert ingest_id(b"s", [*headers, (b"Cc", b"")], b"b") != base
    assert ingest_id(b"", headers, b"sb") != base


def test_a_foreign_header_is_replaced_in_the_copy() -> None:
    headers = [(HEADER.lower().encode(), b" forged"), (b"Subject", b" a\n b"), (HEADER.encode(), b" forged")]
    assert foreign_headers(headers) == 2
    assert marked(headers, b"body\r\n", ID) == f"{HEADER}: {ID}\r\nSubject: a\r\n b\r\n\r\nbody\r\n".encode()
