"""Digests, differences, removals, names and stages of a migration."""

from pathlib import Path

import pytest

from onedallmail.migration import state
from onedallmail.migration.errors import MigrationError
from onedallmail.migration.listing import Entry, compare, content_key, digest, lasting
from onedallmail.migration.names import Folder, folder_of
from onedallmail.migration.stages import Both, came_and_went
from onedallmail.migration.state import Book, Migration, Progress, Stage, advanced, planned
from onedallmail.migration.users import Mover

A, B = Entry("<a@x>", ("\\seen",), 10), Entry("<b@x>", (), 20)


def test_a_digest_depends_on_messages_and_flags_and_not_on_order_or_size() -> None:
    """Servers number and order as they like."""
    assert digest([A, B]) == digest([B, A])
    assert digest([A, B]) != digest([A])
    assert digest([A]) != digest([Entry(A.key, (), 10)])
    assert digest([A]) == digest([Entry(A.key, A.flags, 11)])
    assert digest([A, A]) != digest([A])


def test_flags_have_one_spelling_and_recent_is_none() -> None:
    """\\Recent belongs to a session."""
    assert lasting(["\\Seen", "\\Recent", "$Label1"]) == lasting(["$label1", "\\SEEN"])


def test_content_is_the_same_with_other_line_ends() -> None:
    """A message without Message-ID is known by what it holds."""
    assert content_key(b"a: b\r\n\r\nc\r\n") == content_key(b"a: b\n\nc\n\n")
    assert content_key(b"a: b\n\nc") != content_key(b"a: b\n\nd")


def test_equal_sides_have_no_differences_and_our_own_empty_folders_are_none() -> None:
    """Every mailbox here is made with some folders."""
    found = compare({"INBOX": [A, B], "Empty": []}, {"INBOX": [B, A], "Empty": [], "Junk": []})
    assert found["equal"]
    assert set(found["folders"]) == {"INBOX", "Empty"}


def test_each_kind_of_difference_is_named() -> None:
    """An operator decides by them whether the old system may go."""
    twin = Entry("<c@x>", (), 5)
    source = {"INBOX": [A, B, twin, twin], "Gone": []}
    target = {"INBOX": [Entry(A.key, (), 10), Entry(B.key, (), 21), twin], "More": [A]}
    found = compare(source, target)
    kinds = {name: {d["kind"]: d["count"] for d in f["differences"]} for name, f in found["folders"].items()}
    assert not found["equal"]
    assert kinds == {
        "INBOX": {"only at the source": 1, "other flags": 1, "other size": 1},
        "Gone": {"folder is missing at the target": 1},
        "More": {"only at the target": 1},
    }


def test_only_what_a_copy_brought_is_removed_again() -> None:
    """What arrived at the target itself stays, also when its twin was removed at the source."""
    own, twice = Entry("<own@x>", (), 1), Entry("<t@x>", (), 1)
    seen = Both(
        {"INBOX": [A, twice]},
        {"INBOX": [A, B, own, twice]},
        {("INBOX", A): [1], ("INBOX", B): [2], ("INBOX", own): [3], ("INBOX", twice): [4, 5]},
    )
    seen.target["INBOX"].append(twice)
    assert came_and_went({"INBOX": ["<a@x>", "<b@x>", "<t@x>"]}, seen) == {"INBOX": [2, 4]}
    assert came_and_went({}, seen) == {}


@pytest.mark.parametrize(
    ("row", "prefix", "folder"),
    [
        (b'(\\HasNoChildren) "/" INBOX', "", Folder("INBOX", "INBOX")),
        (b'() "." "INBOX.Entw&APw-rfe"', "INBOX.", Folder("INBOX.Entw&APw-rfe", "Entwürfe")),
        (b'() "." Work.2025', "", Folder("Work.2025", "Work/2025")),
        (b'() "/" "A &- \\"B\\""', "", Folder('A &- "B"', 'A & "B"')),
        ((b'() "/" {4}', b'a"b/'), "", Folder('a"b/', 'a"b/', "'' is an empty level: rename it at the source")),
        (b"() NIL Lonely", "", Folder("Lonely", "Lonely")),
    ],
)
def test_names_are_mapped(row: bytes | tuple[bytes, bytes], prefix: str, folder: Folder) -> None:
    """From the source's separator, prefix and modified UTF-7."""
    assert folder_of(row, prefix) == folder


@pytest.mark.parametrize(
    "row", [b'() "." a/b', b'() "/" ~x', b'() "/" a/../b', b'() "/" "&!!-"', b'() "/" ' + b"x" * 300]
)
def test_names_that_cannot_be_mapped_say_why(row: bytes) -> None:
    """The plan lists them before anything is copied."""
    found = folder_of(row)
    assert found is not None
    assert found.problem


def test_a_folder_that_holds_no_messages_is_left_out() -> None:
    """It comes with its children."""
    assert folder_of(b'(\\Noselect \\HasChildren) "/" Work') is None


def test_no_stage_is_skipped() -> None:
    """A mailbox that was never copied can't be finished."""
    fresh = Progress("bob", "alice@acme.example")
    with pytest.raises(MigrationError, match="copy it first"):
        advanced(fresh, Stage.FINISHING)
    for stage in (Stage.COPYING, Stage.COPYING, Stage.COPIED, Stage.COPYING, Stage.COPIED, Stage.FINISHING):
        fresh = advanced(fresh, stage)
    assert advanced(advanced(fresh, Stage.FINISHED), Stage.FINISHING).stage is Stage.FINISHING


def test_a_plan_that_is_made_again_keeps_what_is_known() -> None:
    """Users are added while others are copied already."""
    before = Migration({}, {"a@acme.example": Progress("a", "a@acme.example", Stage.COPIED, runs=2)})
    found = planned({}, (Mover("a", "a@acme.example"), Mover("b", "b@acme.example")), before)
    assert [m.stage for m in found.movers.values()] == [Stage.COPIED, Stage.PLANNED]
    assert planned({}, (Mover("other", "a@acme.example"),), before).movers["a@acme.example"].stage is Stage.PLANNED


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    """A migration's notes in a folder of the test."""
    monkeypatch.setattr(state, "state_dir", lambda _: tmp_path)
    return Book("lab", "move")


def test_notes_are_read_as_they_were_written_and_only_by_their_owner(book: Book) -> None:
    """They name everybody who moves."""
    migration = planned({"host": "mail.old.example"}, (Mover("a", "a@acme.example"),), None)
    book.write(migration)
    assert book.path.stat().st_mode & 0o777 == 0o600
    assert book.read() == migration
    book.advance("a@acme.example", Stage.COPYING, folders=("INBOX",))
    assert book.read().movers["a@acme.example"].folders == ("INBOX",)
    book.path.write_text("{")
    with pytest.raises(MigrationError, match="plan anew"):
        book.read()


def test_one_command_at_a_time(book: Book) -> None:
    """Two would remove what the other has not noted yet."""
    with book.held(), pytest.raises(MigrationError, match="another command"), Book("lab", "move").held():
        pass
    with book.held():
        pass


def test_a_name_can_not_leave_its_folder() -> None:
    """It becomes a folder's name."""
    for name in ("../x", "", "A", "a/b"):
        with pytest.raises(MigrationError):
            Book("lab", name)
