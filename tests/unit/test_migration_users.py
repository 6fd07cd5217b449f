"""The users file and the passwords of a migration: what is wrong is named with its line."""

from pathlib import Path

import pytest

from onedallmail.migration.errors import MigrationError
from onedallmail.migration.users import Mover, parse_passwords, parse_users, read_passwords, without_password

DOMAINS = ("acme.example",)


def test_pairs_are_read_in_their_order_with_comments_and_a_mark_of_byte_order() -> None:
    """Spreadsheets write a byte order mark; people write comments."""
    text = "\ufeff# source, target\n\nBob,Alice@ACME.example\n b2 , berta@acme.example \n"
    assert parse_users(text, DOMAINS) == (Mover("Bob", "alice@acme.example"), Mover("b2", "berta@acme.example"))


def test_every_wrong_line_is_named() -> None:
    """Nobody mends a file of a thousand lines one error a run."""
    text = "a,alice@acme.example\nb\n"
    text += "c,alice@acme.example\nd,dora@elsewhere.example\na,anna@acme.example\nx:y,x@acme.example"
    with pytest.raises(MigrationError) as caught:
        parse_users(text, DOMAINS, "users.csv")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"users.csv, line {number}" for number in (2, 3, 4, 5, 6)]
    assert "target of a too" in lines[1]
    assert "moves already by line 1" in lines[3]


def test_an_empty_file_is_refused() -> None:
    """A migration of nobody is a wrong path, most likely."""
    with pytest.raises(MigrationError, match="names nobody"):
        parse_users("# nothing\n", DOMAINS)


def test_passwords_may_hold_colons_and_are_never_quoted() -> None:
    """A message with a password in it ends in a log."""
    assert parse_passwords("bob: a:b, c \n") == {"bob": " a:b, c "}
    with pytest.raises(MigrationError) as caught:
        parse_passwords("ok:fine\nhunter2\nok:again", "pw")
    assert "hunter2" not in str(caught.value)
    assert "pw, line 2" in str(caught.value)
    assert "pw, line 3" in str(caught.value)


def test_a_file_of_passwords_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """Its passwords are known then."""
    path = tmp_path / "pw"
    path.write_text("bob:secret\n")
    path.chmod(0o640)
    with pytest.raises(MigrationError, match="chmod 600"):
        read_passwords(str(path))
    path.chmod(0o600)
    assert read_passwords(str(path)) == {"bob": "secret"}


def test_a_master_user_stands_for_all() -> None:
    """Then only its password is needed."""
    movers = (Mover("a", "a@acme.example"), Mover("b", "b@acme.example"))
    assert without_password(movers, {"a": "x"}, None) == ["b"]
    assert without_password(movers, {"master": "x"}, "master") == []
