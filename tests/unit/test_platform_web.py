"""The web side: one policy for the file and for DNS, names that lead to who serves them, one port and health path."""

from typing import Any

import pytest
from hypothesis import given

from onedallmail.platform.flows import Party
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.options import Options, PolicyMode
from onedallmail.platform.ports import Port
from onedallmail.platform.records import (
    WEB_NAMES,
    address_records,
    exchangers,
    mail_records,
    sender_policy,
    served_names,
)
from onedallmail.platform.sender_policy import ID_LENGTH, MAX_AGE_S, policy_id, policy_text
from onedallmail.platform.service_records import checked_addresses, service_records
from onedallmail.platform.stack import StackError, parse_stack
from onedallmail.platform.web import mail_services, web_facts

from .stacks import small, stacks

ONE_YEAR_S = 31557600


def platform(**changes: Any) -> Platform:
    settings = small()
    settings["options"]["web"] = True
    settings["options"] |= changes.pop("options", {})
    return build_platform(parse_stack("lab", settings | changes))


def announced(of: Platform, domain: str = "acme.example") -> str:
    (record,) = [r for r in mail_records(of, domain, "") if r.name == f"_mta-sts.{domain}"]
    return record.values[0]


def fields(policy: str) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (line.partition(": ") for line in policy.splitlines())]


@given(stacks())
def test_the_policy_names_the_exchangers_that_mx_records_name(settings: dict[str, Any]) -> None:
    of = build_platform(parse_stack("example", settings))
    (mx,) = [r for r in mail_records(of, of.domain, "") if r.type == "MX"]
    named = [value for key, value in fields(sender_policy(of)) if key == "mx"]
    assert [f"10 {name}." for name in named] == list(mx.values)


def test_the_policy_has_the_fields_of_rfc_8461_in_their_order() -> None:
    found = fields(sender_policy(platform()))
    assert found[:2] == [("version", "STSv1"), ("mode", "enforce")]
    assert found[-1] == ("max_age", str(MAX_AGE_S))
    assert 7 * 86400 <= MAX_AGE_S <= ONE_YEAR_S, "weeks or more, and no more than the RFC allows"
    assert {key for key, _ in found[2:-1]} == {"mx"}


def test_dns_announces_the_id_of_the_text_that_is_served() -> None:
    of = platform(domains=["acme.example", "second.example"])
    served = web_facts(of)["policy"]
    assert announced(of) == announced(of, "second.example") == f"v=STSv1; id={policy_id(served)}"
    assert policy_id(served).isalnum()
    assert len(policy_id(served)) <= ID_LENGTH == 32


def test_the_id_changes_with_everything_that_the_policy_says() -> None:
    of = platform()
    texts = {
        policy_text(of, exchangers(of)),
        policy_text(of, exchangers(of)[1:]),
        *(policy_text(platform(mtaStsMode=mode), exchangers(of)) for mode in (PolicyMode.TESTING, PolicyMode.NONE)),
    }
    assert len({policy_id(text) for text in texts}) == len(texts) == 4


def test_a_policy_that_is_taken_back_names_nobody() -> None:
    assert [key for key, _ in fields(sender_policy(platform(mtaStsMode="none")))] == ["version", "mode", "max_age"]


def test_another_mode_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(StackError, match=r"mtaStsMode.*'enforce', 'testing' or 'none'"):
        platform(mtaStsMode="strict")


def test_a_stack_without_the_web_announces_no_policy_and_no_names() -> None:
    of = platform(options={"web": False})
    assert not [r for r in mail_records(of, of.domain, "") if r.name.startswith("_mta-sts")]
    assert not set(WEB_NAMES) & set(served_names(of))
    assert web_facts(of)["served"] is False
    assert web_facts(of)["certificate_names"] == []


@given(stacks())
def test_web_names_lead_to_balancers_or_to_every_server_and_the_graph_agrees(settings: dict[str, Any]) -> None:
    of = build_platform(parse_stack("example", settings))
    public = {s.name: "198.51.100.1" for s in of.servers if s.public}
    aliases = {r.name for r in service_records(of, of.domain)}
    direct = {r.name for r in address_records(of, of.domain, public)}
    direct |= {r.name for r in checked_addresses(of, of.domain)}
    web = {f"{name}.{of.domain}" for name in WEB_NAMES}
    flows = {(f.source, f.destination) for f in of.flows if f.port is Port.HTTPS}
    assert web & aliases == (web if of.options.web_balancers else set())
    assert web & direct == (web if of.options.web and not of.options.balancers else set())
    assert ((Party.WEB, Party.MAIL) in flows) == of.options.web_balancers
    assert ((Party.INTERNET, Party.MAIL) in flows) == (of.options.web and not of.options.balancers)
    assert set(web_facts(of)["certificate_names"]) == web & direct


def test_every_direct_name_has_an_address_of_each_server_behind_it() -> None:
    of = platform()
    public = {s.name: f"198.51.100.{n}" for n, s in enumerate(of.mail_servers, start=1)}
    found = {r.name: r.values for r in address_records(of, of.domain, public)}
    assert set(found["mta-sts.acme.example"]) == set(public.values())


def test_mail_programs_are_told_of_the_services_that_srv_records_name() -> None:
    of = platform()
    srv = {tuple(r.values[0].split()[2:]) for r in mail_records(of, of.domain, "") if r.type == "SRV"}
    told = {(str(s.port), f"{s.name}.{of.domain}.") for s in mail_services()}
    assert told == {(port, name) for port, name in srv if int(port) != Port.SIEVE}
    assert [s.port for s in mail_services() if s.starttls] == [Port.SUBMISSION]


def test_the_web_needs_no_balancers_any_more() -> None:
    assert Options(web=True, balancers=False, accelerator=False).web_balancers is False
    assert Options(web=True).web_balancers is True
