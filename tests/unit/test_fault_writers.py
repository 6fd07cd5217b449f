"""The checker of the fault tests that finds two writers of one mailbox."""

import pytest

from tests.faults.writers import Write, judge, out_of_turn, writes_of

LOG = (
    "1764067770.123456 b1 dovecot[3092]: lmtp(carol@acme.example)<5761><QRgC>: sieve: msgid=<d@acme.example>:"
    " stored mail into mailbox 'INBOX'\n"
    "1764067771.000000 b1 dovecot[3092]: lmtp(5761): Disconnect from 127.0.0.1: Logged out (state=READY)\n"
    "1764067772.000000 b1 dovecot[3092]: lmtp(carol@acme.example)<5761><QRgD>: sieve: msgid=<e@acme.example>:"
    " marked message to be discarded if not explicitly delivered (discard action)\n"
)


def written(*servers: str) -> list[Write]:
    """Return writes one second after the other."""
    return [Write(float(second), server, "carol") for second, server in enumerate(servers)]


@pytest.mark.parametrize(
    ("homes", "servers"),
    [
        (["a1"], ["a1", "a1"]),
        (["a1", "b1"], ["a1", "b1", "b1"]),
        (["a1", "b1"], ["b1"]),
        (["a1", "b1", "a1"], ["a1", "a1"]),
        (["a1", "b1", "a1"], ["a1", "b1", "a1"]),
        (["a1", "b1"], []),
    ],
)
def test_writers_in_the_order_of_the_homes_are_right(homes: list[str], servers: list[str]) -> None:
    assert out_of_turn(homes, written(*servers)) is None


@pytest.mark.parametrize(
    ("homes", "servers", "second"),
    [
        (["a1"], ["a1", "b1"], 1.0),
        (["a1", "b1"], ["a1", "b1", "a1"], 2.0),
        (["a1", "b1", "a1"], ["b1", "a1", "b1"], 2.0),
        (["a1", "b1"], ["c1"], 0.0),
    ],
)
def test_who_writes_after_its_successor_is_found(homes: list[str], servers: list[str], second: float) -> None:
    found = out_of_turn(homes, list(reversed(written(*servers))))
    assert found is not None
    assert found.at == second


def test_only_deliveries_are_writes() -> None:
    assert writes_of("b1", LOG) == [Write(1764067770.123456, "b1", "carol@acme.example")]


def test_the_report_names_server_user_and_homes_and_keeps_users_apart() -> None:
    writes = [*written("a1", "b1"), Write(5.0, "b1", "alice")]
    (text,) = judge({"carol": ["a1"], "alice": ["b1"]}, writes)
    assert text == "b1 wrote to carol at 1.000, which was not its turn; homes were a1"
