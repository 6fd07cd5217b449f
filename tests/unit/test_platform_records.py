"""DNS records of a domain: complete, and in a form that name servers take."""

import base64

from onedallmail.platform.model import build_platform
from onedallmail.platform.records import TXT_CHUNK, Record, address_records, mail_records, route53_values
from onedallmail.platform.stack import parse_stack

from .stacks import small

KEY = base64.b64encode(bytes(294)).decode()


def records(domain: str = "acme.example") -> dict[tuple[str, str], Record]:
    settings = small()
    settings["domains"] = ["acme.example", "second.example"]
    platform = build_platform(parse_stack("lab", settings))
    public = {s.name: f"198.51.100.{n}" for n, s in enumerate(platform.mail_servers, start=1)}
    found = mail_records(platform, domain, KEY) + address_records(platform, domain, public)
    return {(r.name, r.type): r for r in found}


def test_every_mail_server_is_an_exchanger_with_an_address() -> None:
    found = records()
    exchangers = [v.split()[1].rstrip(".") for v in found["acme.example", "MX"].values]
    assert exchangers == ["a1.acme.example", "a2.acme.example", "b1.acme.example", "b2.acme.example"]
    assert all((name, "A") in found for name in exchangers)


def test_a_second_domain_uses_the_servers_of_the_first_and_has_no_host_records() -> None:
    found = records("second.example")
    assert all(v.endswith(".acme.example.") for v in found["second.example", "MX"].values)
    assert ("a1.acme.example", "A") not in found
    assert ("imap.second.example", "A") in found


def test_senders_are_authenticated_and_unaligned_mail_is_to_be_rejected() -> None:
    found = records()
    assert found["acme.example", "TXT"].values == ("v=spf1 a:egress.acme.example -all",)
    assert "p=reject" in found["_dmarc.acme.example", "TXT"].values[0]
    assert KEY in found["odm1._domainkey.acme.example", "TXT"].values[0]


def test_long_text_comes_in_chunks_that_join_to_the_whole() -> None:
    record = records()["odm1._domainkey.acme.example", "TXT"]
    (value,) = route53_values(record)
    chunks = value.split('" "')
    assert all(len(c) <= TXT_CHUNK for c in chunks)
    assert "".join(chunks) == record.values[0]
