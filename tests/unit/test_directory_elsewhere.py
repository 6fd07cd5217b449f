"""Split delivery in the directory: what is refused says what to do, and is refused before anything is changed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from onedallmail.cli import domain as domain_command
from onedallmail.directory import elsewhere, other_system
from onedallmail.directory.elsewhere import OtherSystem, Unknown
from onedallmail.directory.errors import ConflictError, InputError, UnknownError
from onedallmail.directory.other_system import described, host_of, key_of, network
from onedallmail.directory.session import Answer
from onedallmail.stackfile import load_platform

OLD, OLD_ADDRESS = "mail.old.example", "203.0.113.25"
OTHER = OtherSystem(OLD, (f"{OLD_ADDRESS}/32",))
OWN = load_platform("lab").servers[0]


class Directory:
    """What the leader was asked for, and what it answers: to a question, and to a change."""

    def __init__(self) -> None:
        self.changes: list[Any] = []
        self.read: Any = {"shared": ["acme.example"], "mailboxes": [], "aliases": []}
        self.answer: Any = {"done": 1, "others": []}
        self.error: Exception | None = None

    def ask(self, _stack: str, _statement: str, _document: object = None) -> Answer:
        return Answer(self.read, None)

    def change(self, _stack: str, _statement: str, document: object) -> Answer:
        self.changes.append(document)
        if self.error:
            raise self.error
        return Answer(self.answer, None)


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Directory:
    """A directory of which one domain is shared."""
    played = Directory()
    monkeypatch.setattr(elsewhere, "read", played.ask)
    monkeypatch.setattr(elsewhere, "change", played.change)
    return played


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses that mail servers find for a name; names that are missing have none."""
    known = {OLD: [OLD_ADDRESS], OWN.fqdn: [str(OWN.private_ip)]}
    monkeypatch.setattr(other_system, "addresses_of", lambda _, asked: {name: known.get(name, []) for name in asked})
    return known


def certificate(path: Path, *, authority: bool = False) -> Path:
    """Write a certificate that another authority signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, OLD)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - the only use

    path.write_bytes(made.public_bytes(Encoding.PEM))
    return path


def test_a_system_sends_from_the_addresses_of_its_name_unless_told_otherwise(names: dict[str, list[str]]) -> None:
    assert described("lab", f"{OLD}:25", [], []) == OTHER
    names[OLD] = [OLD_ADDRESS, "203.0.113.26"]
    assert described("lab", "MAIL.old.example.", [], []).networks == ("203.0.113.25/32", "203.0.113.26/32")
    assert described("lab", OLD, ["198.51.100.16/28"], []).networks == ("198.51.100.16/28",)


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(
    ("to", "sources", "why"),
    [
        (OWN.fqdn, [], "one of this platform's own servers"),
        (str(OWN.private_ip), [], "no authority vouches"),
        ("mail.gone.example", [], "has no IPv4 address"),
        (OLD, [f"{OWN.private_ip}/32"], "one of this platform's own"),
        (OLD, ["203.0.0.0/16"], "everybody with an address there"),
        (OLD, ["203.0.113.1/24"], "host bits"),
        (f"{OLD}:587", [], "on port 25 only"),
        ("300.1.1.1", [], "no IPv4 address and no host name"),
        ("localhost", [], "no mail domain"),
        ("", [], "no mail domain"),
    ],
)
def test_what_can_be_no_other_system_is_refused(to: str, sources: list[str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        described("lab", to, sources, [])


def test_a_loop_to_this_very_machine_is_refused(names: dict[str, list[str]]) -> None:
    names[OLD] = ["127.0.0.1"]
    with pytest.raises(InputError, match="own servers"):
        described("lab", OLD, [], [])


def test_a_certificate_stands_for_its_key(tmp_path: Path, names: dict[str, list[str]]) -> None:
    found = described("lab", OLD_ADDRESS, [], [certificate(tmp_path / "a.pem"), certificate(tmp_path / "b.pem")])
    assert found.host == OLD_ADDRESS
    assert len(set(found.keys)) == 2
    assert all(len(key) == 95 and key.upper() == key and key.count(":") == 31 for key in found.keys)
    assert names[OLD], "the name was not asked for"


def test_what_is_no_certificate_of_a_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an authority's"):
        key_of(certificate(tmp_path / "ca.pem", authority=True))
    (tmp_path / "text.pem").write_text("no certificate")
    for path in (tmp_path / "text.pem", tmp_path / "missing.pem"):
        with pytest.raises(InputError, match="no certificate in PEM form"):
            key_of(path)


def test_hosts_and_networks_have_one_spelling() -> None:
    assert host_of(" Mail.Old.Example. ") == OLD
    assert str(network("198.51.100.0/28")) == "198.51.100.0/28"
    assert str(network("198.51.100.7")) == "198.51.100.7/32"


def test_a_domain_is_shared_with_one_system_at_a_time(directory: Directory) -> None:
    elsewhere.split("lab", "ACME.example", OTHER, None)
    assert directory.changes == [
        {"domain": "acme.example", "host": OLD, "networks": OTHER.networks, "keys": (), "unknown": None}
    ]
    directory.answer = {"done": 0, "others": ["second.example"]}
    with pytest.raises(ConflictError, match=r"domain split second.example --off"):
        elsewhere.split("lab", "acme.example", OTHER, Unknown.ELSEWHERE)


def test_a_domain_that_is_not_ours_is_not_shared(directory: Directory) -> None:
    for call in (
        lambda: elsewhere.split("lab", "foreign.example", OTHER, None),
        lambda: elsewhere.unsplit("lab", "foreign.example"),
        lambda: elsewhere.set_policy("lab", "foreign.example", Unknown.REFUSE),
        lambda: elsewhere.live_elsewhere("lab", ["x@foreign.example"]),
        lambda: elsewhere.come_home("lab", ["x@foreign.example"]),
    ):
        with pytest.raises(InputError, match=r"foreign.example"):
            call()
    assert directory.changes == []
    directory.error = ConflictError('insert or update violates foreign key constraint "splits_domain_fkey"')
    with pytest.raises(ConflictError, match=r"domain add acme.example"):
        elsewhere.split("lab", "acme.example", OTHER, None)


def test_a_policy_needs_a_shared_domain(directory: Directory) -> None:
    directory.answer = 0
    with pytest.raises(UnknownError, match="--to HOST"):
        elsewhere.set_policy("lab", "acme.example", Unknown.ELSEWHERE)


def test_sharing_ends_when_nobody_lives_there_any_more(directory: Directory) -> None:
    directory.answer = {"done": 0, "elsewhere": ["dave@acme.example"]}
    with pytest.raises(ConflictError, match=r"user add dave@acme.example.*user elsewhere --off dave@acme.example"):
        elsewhere.unsplit("lab", "acme.example")
    directory.answer = {"done": 0, "elsewhere": []}
    with pytest.raises(UnknownError, match="not shared"):
        elsewhere.unsplit("lab", "acme.example")
    directory.answer = {"done": 1, "elsewhere": []}
    elsewhere.unsplit("lab", "acme.example")


@pytest.mark.parametrize(
    ("known", "error", "why"),
    [
        ({"shared": []}, UnknownError, "domain split acme.example --to HOST"),
        ({"aliases": ["dave@acme.example"]}, ConflictError, "alias remove dave@acme.example"),
        ({"mailboxes": ["dave@acme.example"]}, ConflictError, r"user delete dave@acme.example.*--keep-mailbox"),
    ],
)
def test_an_address_with_another_meaning_does_not_live_elsewhere(
    directory: Directory, known: dict[str, list[str]], error: type[Exception], why: str
) -> None:
    directory.read = {**directory.read, **known}
    with pytest.raises(error, match=why):
        elsewhere.live_elsewhere("lab", ["Dave@acme.example"])
    assert directory.changes == []


def test_a_mailbox_may_stay_when_its_mail_goes_back(directory: Directory) -> None:
    directory.read["mailboxes"] = ["dave@acme.example"]
    directory.answer = ["dave@acme.example"]
    added = elsewhere.live_elsewhere("lab", ["dave@acme.example", "DAVE@acme.example"], keep_mailboxes=True)
    assert added == ["dave@acme.example"]
    assert directory.changes == [{"rows": [{"local_part": "dave", "domain": "acme.example"}]}]


def test_an_alias_does_not_lose_its_mail_when_an_address_ends(directory: Directory) -> None:
    directory.answer = {"done": [], "used": ["dave@acme.example"], "ours": []}
    with pytest.raises(ConflictError, match="user add"):
        elsewhere.come_home("lab", ["dave@acme.example"])
    directory.answer = {"done": ["dave@acme.example"], "used": [], "ours": []}
    assert elsewhere.come_home("lab", ["dave@acme.example"]) == (["dave@acme.example"], [])


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("acme.example", "--off", "--to", OLD), "--off ends the sharing"),
        (("--off",), "name the domain"),
        (("acme.example", "--from", OLD_ADDRESS), "--to HOST"),
        (("acme.example", "--unknown", "bounce"), "take one of refuse, elsewhere"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(words: tuple[str, ...], why: str) -> None:
    done = CliRunner().invoke(domain_command.app, ["split", *words])
    assert done.exit_code == 1
    assert why in " ".join((done.output + done.stderr).split())
