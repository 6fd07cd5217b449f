"""DNS records of a domain: complete, and in a form that name servers take."""

import base64
from typing import Any

import pytest
from hypothesis import given

from onedallmail.platform.model import build_platform
from onedallmail.platform.records import TXT_CHUNK, Record, address_records, mail_records, route53_values
from onedallmail.platform.service_records import Balancer, Routing, checked_addresses, service_records
from onedallmail.platform.short_names import short_name
from onedallmail.platform.stack import parse_stack

from .stacks import small, stacks

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


def balanced(**options: Any) -> dict[str, Any]:
    settings = small()
    settings |= {
        "target": "aws",
        "options": {**settings["options"], "balancers": True, "healthChecks": True, **options},
    }
    return settings


@given(stacks())
def test_every_exchanger_that_mx_names_has_an_address(settings: dict[str, Any]) -> None:
    platform = build_platform(parse_stack("example", settings))
    public = {s.name: "198.51.100.1" for s in platform.servers if s.public}
    known = {r.name for r in service_records(platform, platform.domain)}
    known |= {r.name for r in address_records(platform, platform.domain, public)}
    (mx,) = [r for r in mail_records(platform, platform.domain, KEY) if r.type == "MX"]
    assert {value.split()[1].rstrip(".") for value in mx.values} <= known


@given(stacks())
def test_records_of_a_name_and_type_share_a_policy_and_differ_in_identifier(settings: dict[str, Any]) -> None:
    platform = build_platform(parse_stack("example", settings))
    found = service_records(platform, platform.domain)
    for name, kind in {(r.name, r.type) for r in found}:
        same = [r for r in found if (r.name, r.type) == (name, kind)]
        kinds = {r.routing if r.routing in (Routing.SIMPLE, Routing.LATENCY) else "failover" for r in same}
        assert len(kinds) == 1
        assert len({r.set_identifier for r in same}) == len(same)


@given(stacks())
def test_a_name_that_clients_use_is_published_one_way_only(settings: dict[str, Any]) -> None:
    platform = build_platform(parse_stack("example", settings))
    public = {s.name: "198.51.100.1" for s in platform.servers if s.public}
    aliases = {r.name for r in service_records(platform, platform.domain)}
    checked = {r.name for r in checked_addresses(platform, platform.domain)}
    plain = {r.name for r in address_records(platform, platform.domain, public)}
    assert len(aliases | checked | plain) == len(aliases) + len(checked) + len(plain)
    assert f"imap.{platform.domain}" in aliases | checked | plain


def test_an_exchanger_fails_over_to_another_region() -> None:
    platform = build_platform(parse_stack("example", balanced()))
    found = [r for r in service_records(platform, "acme.example") if r.name.startswith("mx.eu-west-1.")]
    assert [(r.routing, r.region) for r in found] == [
        (Routing.PRIMARY, "eu-west-1"),
        (Routing.SECONDARY, "eu-central-1"),
    ]


def test_the_accelerator_answers_over_ipv4_only() -> None:
    platform = build_platform(parse_stack("example", balanced(accelerator=True, ipv6=True)))
    found = {(r.type, r.balancer) for r in service_records(platform, "acme.example") if r.name == "imap.acme.example"}
    assert found == {("A", Balancer.ACCELERATOR), ("AAAA", Balancer.MAIL)}


@pytest.mark.parametrize(("web", "issuers"), [(True, ("letsencrypt.org", "amazon.com")), (False, ("letsencrypt.org",))])
def test_aws_may_issue_certificates_where_a_web_balancer_needs_them(web: bool, issuers: tuple[str, ...]) -> None:
    settings = balanced(web=web) | {"certificateIssuers": ["letsencrypt.org"]}
    platform = build_platform(parse_stack("example", settings))
    (caa,) = [r for r in mail_records(platform, "acme.example", KEY) if r.type == "CAA"]
    assert caa.values == tuple(f'0 issue "{i}"' for i in issuers)


@pytest.mark.parametrize("stack", ["example", "x" * 100, "a.very_long.stack-name-that-has-many-parts"])
def test_short_names_fit_load_balancers_and_stay_apart(stack: str) -> None:
    one, two = short_name(stack, "mail"), short_name(stack, "mail-acc")
    assert one != two
    for name in (one, two):
        assert len(name) <= 32
        assert name.replace("-", "").isalnum()
        assert name == name.strip("-")
