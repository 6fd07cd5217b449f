"""The gate before the source: reading passes, everything else ends the connection."""

import pytest

from onedallmail.migration.gate import Gate, RefusedError

TOKEN = "5e" * 24


def opened() -> Gate:
    """Return a gate after its log-in."""
    gate = Gate(TOKEN, "IMAP4rev1 UIDPLUS")
    assert gate.feed(b"1 CAPABILITY\r\n") == (b"", b"* CAPABILITY IMAP4rev1\r\n1 OK done\r\n")
    source, client = gate.feed(f'2 LOGIN "migration" "{TOKEN}"\r\n'.encode())
    assert source == b""
    assert client == b"2 OK [CAPABILITY IMAP4rev1 UIDPLUS] logged in\r\n"
    return gate


@pytest.mark.parametrize("line", [b"2 LOGIN a b\r\n", b'2 LIST "" *\r\n', b'2 LOGIN a ""\r\n', b"x\r\n"])
def test_nobody_comes_in_without_the_token(line: bytes) -> None:
    """The port on loopback is open to every account of the server."""
    with pytest.raises(RefusedError):
        Gate(TOKEN, "IMAP4rev1").feed(line)


@pytest.mark.parametrize(
    "command",
    [
        "STORE 1 +FLAGS (\\Seen)",
        "UID STORE 1 FLAGS ()",
        "EXPUNGE",
        "UID EXPUNGE 1",
        "APPEND INBOX {5}",
        "CREATE x",
        "DELETE x",
        "RENAME x y",
        "COPY 1 x",
        "UID COPY 1 x",
        "UID MOVE 1 x",
        "SUBSCRIBE x",
        "SETMETADATA x",
        "X",
        "UID",
    ],
)
def test_what_changes_is_refused(command: str) -> None:
    """Nothing at the source is ever changed."""
    with pytest.raises(RefusedError, match="only reading"):
        opened().feed(f"3 {command}\r\n".encode())


@pytest.mark.parametrize(
    "command", ["EXAMINE INBOX", "UID FETCH 1:* (FLAGS)", 'list "" *', "STATUS x (MESSAGES)", "NOOP"]
)
def test_what_reads_passes_unchanged(command: str) -> None:
    """The source answers as if nobody stood between."""
    line = f"3 {command}\r\n".encode()
    assert opened().feed(line) == (line, b"")


def test_select_becomes_examine() -> None:
    """SELECT takes \\Recent away, and lets a FETCH set \\Seen."""
    assert opened().feed(b'3 SELECT "My Box" (CONDSTORE)\r\n') == (b'3 EXAMINE "My Box" (CONDSTORE)\r\n', b"")


def test_pieces_and_literals_are_one_command() -> None:
    """A network cuts where it likes; what stands in a literal is no command."""
    gate = opened()
    said = b"3 EXAMINE {9}\r\n4 EXPUNGE\r\n5 NOOP\r\n"
    passed = b"".join(gate.feed(bytes([byte]))[0] for byte in said)
    assert passed == said


def test_after_a_literal_commands_are_judged_again() -> None:
    """A literal must not open a way for what follows it."""
    with pytest.raises(RefusedError):
        opened().feed(b"3 EXAMINE {5+}\r\nINBOX\r\n4 EXPUNGE\r\n")
    with pytest.raises(RefusedError, match="without end"):
        opened().feed(b"x" * 70_000)
