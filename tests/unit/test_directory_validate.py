"""Limits of a mailbox: password, placement group, quota, name; and the hash that is stored."""

import re
from itertools import pairwise

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.directory import password
from onedallmail.directory.address import Address
from onedallmail.directory.aliases import circle_through
from onedallmail.directory.errors import DirectoryError, InputError
from onedallmail.directory.seed import lowest_groups, missing
from onedallmail.directory.session import literal
from onedallmail.directory.validate import (
    checked_password,
    display_name,
    quota_bytes,
    quota_text,
)
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.stack import parse_stack

from .stacks import small

ALICE = Address("alice", "acme.example")
STORED = re.compile(r"\{ARGON2ID\}\$argon2id\$v=19\$m=47104,t=1,p=1\$[A-Za-z0-9+/]{22,}\$[A-Za-z0-9+/]{43,}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("elevenchars", "11 characters"),
        ("x" * 60 + "\u00fc" * 40, "128 octets"),
        ("with a\ttabulator", "control character"),
        ("my-Alice-9271-x", "contains 'alice'"),
        ("abababababab", "different characters"),
        ("password1234", "commonest"),
        ("Password2024!", "commonest"),
        ("P@ssw0rdP@ssw0rd", "commonest"),
        ("qwertyuiop123", "commonest"),
        ("123456789012", "commonest"),
        ("abcdefghijklmn", "commonest"),
        ("Welcome2026!!", "commonest"),
        ("iloveyou1234", "commonest"),
        ("letmein-letmein", "commonest"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        checked_password(text, ALICE)
    assert text not in str(error.value), "a refusal must not repeat the password"


@pytest.mark.parametrize(
    "text", ["correct horse battery", "tr0ub4dor&3-xyz", "zq8Lw2vKx0Pb", "k\u00e4sebrot mit senf", "8c1f-77aa-03de"]
)
def test_a_good_password_is_accepted(text: str) -> None:
    assert checked_password(text, ALICE) == text


def test_a_short_name_does_not_forbid_its_letters() -> None:
    assert checked_password("correct horse battery", Address("co", "acme.example"))


def test_generated_passwords_are_accepted_and_never_repeat() -> None:
    made = [password.generate() for _ in range(200)]
    assert len(set(made)) == 200
    assert all(checked_password(p, ALICE) == p for p in made)


def test_a_hash_has_the_stored_form_and_is_that_of_the_password() -> None:
    one, other = password.hashed("correct horse"), password.hashed("correct horse")
    assert STORED.fullmatch(one)
    assert one != other, "a salt was used twice"
    assert argon2.PasswordHasher().verify(one.removeprefix("{ARGON2ID}"), "correct horse")
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        argon2.PasswordHasher().verify(one.removeprefix("{ARGON2ID}"), "another horse")


@pytest.mark.parametrize(
    ("text", "size"), [("5G", 5 << 30), ("1M", 1 << 20), ("2 gib", 2 << 30), ("1p", 1 << 50), ("300MB", 300 << 20)]
)
def test_a_quota_has_a_unit(text: str, size: int) -> None:
    assert quota_bytes(text) == size


@pytest.mark.parametrize("text", ["", "5", "0G", "-1G", "1.5G", "5K", "2P", "5 G B", "\u0665G", "99999999G"])
def test_a_wrong_quota_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="quota"):
        quota_bytes(text)


@given(st.integers(1, 9_999_999), st.sampled_from("MGTP"))
def test_a_quota_survives_being_written_and_read(number: int, unit: str) -> None:
    try:
        size = quota_bytes(f"{number}{unit}")
    except InputError:
        return
    assert quota_bytes(quota_text(size)) == size


def test_a_name_is_trimmed_and_may_not_hold_controls() -> None:
    assert display_name("  Ju\u0308rgen M. ") == "J\u00fcrgen M."
    for bad in ("a\nb", "x" * 129, "a\x1b[31m"):
        with pytest.raises(InputError, match="128 characters"):
            display_name(bad)


@given(st.text())
def test_a_literal_holds_its_text_and_ends_only_at_its_end(text: str) -> None:
    quoted = literal(text)
    tag = quoted[: quoted.index("$", 1) + 1]
    assert quoted == f"{tag}{text}{tag}"
    assert quoted.count(tag) == 2


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefg"), max_size=3)))
def test_a_circle_is_one_when_found(edges: dict[str, list[str]]) -> None:
    wanted = edges.get("a", [])
    circle = circle_through(edges, "a", wanted)
    reached, todo = set[str](), list(wanted)
    while todo:
        step = todo.pop()
        if step not in reached:
            reached.add(step)
            todo += edges.get(step, [])
    assert bool(circle) == ("a" in reached)
    if circle:
        assert circle[0] == circle[-1] == "a"
        assert all(later in edges[earlier] for earlier, later in pairwise(circle))


def test_an_empty_directory_lacks_two_accounts_a_mail_server_and_the_required_aliases() -> None:
    lacking = missing(_platform(), {"domains": [], "mailboxes": [], "aliases": []}, lambda _: False)
    assert lacking.domains == ("acme.example",)
    assert [(who.local, home) for who, home in lacking.people] == [
        ("alice", "a1"), ("anna", "a1"), ("bruno", "a2"), ("berta", "a2"),
        ("carol", "b1"), ("chris", "b1"), ("dora", "b2"), ("david", "b2"),
    ]  # fmt: skip
    assert [(str(a).partition("@")[0], to.partition("@")[0]) for a, to in lacking.aliases] == [
        ("postmaster", "alice"), ("abuse", "alice"), ("sales", "alice"), ("sales", "dora"),
    ]  # fmt: skip
    assert not lacking.strangers


def test_a_seeded_directory_lacks_nothing_unless_a_password_is_not_kept() -> None:
    platform = _platform()
    empty = missing(platform, {"domains": [], "mailboxes": [], "aliases": []}, lambda _: True)
    full = {
        "domains": list(empty.domains),
        "mailboxes": [str(who) for who, _ in empty.people],
        "aliases": [[str(a), to] for a, to in empty.aliases],
    }
    assert not missing(platform, full, lambda _: True)
    lost = missing(platform, full, lambda address: not address.startswith("dora@"))
    assert lost.strangers == (Address("dora", "acme.example"),)


def test_groups_of_a_server_come_lowest_first_and_a_server_without_one_is_told() -> None:
    assert lowest_groups({10: "a1", 2: "a1", 3: "b1"}, "a1") == [2, 10]
    with pytest.raises(DirectoryError, match="b2"):
        lowest_groups({1: "a1"}, "b2")


def _platform() -> Platform:
    return build_platform(parse_stack("lab", small()))
