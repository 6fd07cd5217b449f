"""Addresses have one spelling, and what is no address is refused with a reason."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.directory.address import Address, any_address, domain_name, normal, own_address
from onedallmail.directory.errors import InputError

DOMAINS = ("acme.example", "other.example")


@pytest.mark.parametrize(
    ("typed", "spelling"),
    [
        ("alice@acme.example", "alice@acme.example"),
        ("  Alice@ACME.Example. ", "alice@acme.example"),
        ("o'neil_x-y.z@other.example", "o'neil_x-y.z@other.example"),
        ("JU\u0308RGEN@acme.example", "j\u00fcrgen@acme.example"),
        ("\u0394\u03bf\u03ba\u03b9\u03bc\u03ae@acme.example", "\u03b4\u03bf\u03ba\u03b9\u03bc\u03ae@acme.example"),
    ],
)
def test_an_address_has_one_spelling(typed: str, spelling: str) -> None:
    assert str(own_address(typed, DOMAINS)) == spelling


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("alice", "NAME@DOMAIN"),
        ("@acme.example", "NAME@DOMAIN"),
        ("alice@", "NAME@DOMAIN"),
        ("alice@localhost", "two or more labels"),
        ("alice@partner.example", "no domain of this stack"),
        ("alice+tag@acme.example", r"before the @: \+"),
        ("a/b@acme.example", "before the @: /"),
        ("a b@acme.example", r"U\+0020"),
        ("a\x00b@acme.example", r"U\+0000"),
        ('"a"@acme.example', 'before the @: "'),
        ("a@b@acme.example", "before the @: @"),
        (".alice@acme.example", "a dot may only"),
        ("al..ice@acme.example", "a dot may only"),
        ("alice.@acme.example", "a dot may only"),
        ("-rf@acme.example", "hyphen"),
        ("gr\u00f6\u00dfe@acme.example", "gr\u00f6sse"),
        ("\u00fc" * 33 + "@acme.example", "66 octets"),
        ("a" * 65 + "@acme.example", "65 octets"),
        ("a\u200bb@acme.example", r"U\+200B"),
        ("a\ud800@acme.example", r"before the @: U\+D800"),
    ],
)
def test_what_is_no_own_address_is_refused_with_the_reason(typed: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        own_address(typed, DOMAINS)


def test_a_destination_elsewhere_may_hold_every_character_of_a_dot_atom() -> None:
    assert str(any_address("a+b/c!d%e@partner.example")) == "a+b/c!d%e@partner.example"


def test_an_address_of_254_octets_is_the_longest() -> None:
    domain = ".".join(["d" * 63] * 3)
    fits = 254 - len(domain) - 1
    assert len(str(any_address("a" * fits + "@" + domain))) == 254
    with pytest.raises(InputError, match="255 octets"):
        any_address("a" * (fits + 1) + "@" + domain)


@pytest.mark.parametrize(
    ("typed", "name"),
    [("B\u00fccher.example", "xn--bcher-kva.example"), ("EXAMPLE.com.", "example.com"), ("a-b.c1", "a-b.c1")],
)
def test_a_domain_becomes_lower_case_a_labels(typed: str, name: str) -> None:
    assert domain_name(typed) == name


@pytest.mark.parametrize("typed", ["", "com", "a..b", "-a.example", "a-.example", "a.1", "10.0.0.1", "a_b.example"])
def test_what_is_no_domain_is_refused(typed: str) -> None:
    with pytest.raises(InputError, match="is no mail domain"):
        domain_name(typed)


def test_a_domain_of_254_characters_is_refused() -> None:
    with pytest.raises(InputError, match="is no mail domain"):
        domain_name(".".join(["d" * 62] * 4) + ".ab")


@given(st.text(max_size=80))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@given(st.text(max_size=80))
def test_every_text_is_an_address_within_the_rules_or_refused(local: str) -> None:
    try:
        address = own_address(f"{local}@acme.example", DOMAINS)
    except InputError:
        return
    assert own_address(str(address), DOMAINS) == address, "its spelling is not stable"
    assert 1 <= len(address.local.encode()) <= 64
    assert address.local == address.local.lower() == unicodedata.normalize("NFC", address.local)
    assert not set(address.local) & set(' /+@"(),:;<>[]\\\t\r\n\0')


@given(st.from_regex(r"[a-z0-9]{1,20}([._'&=~-][a-z0-9]{1,10}){0,3}", fullmatch=True))
def test_plain_names_are_accepted_however_they_are_capitalised(local: str) -> None:
    assert own_address(f"{local.upper()}@Acme.Example", DOMAINS) == Address(local, "acme.example")
