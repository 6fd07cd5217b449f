"""What a domain's zone holds, as the program registers it."""

import json
from collections import defaultdict

from .edge_recording import Registered, of_type, options, record_edge

TWO_DOMAINS = json.dumps({"domains": ["acme.example", "second.example"]})
NO_BALANCERS = options(balancers=False, accelerator=False, web=False)


def records(settings: str, name: str, kind: str = "A") -> list[Registered]:
    return [r for r in of_type(record_edge(settings), "Record") if (r.inputs["name"], r.inputs["type"]) == (name, kind)]


def test_the_exchanger_of_a_region_is_its_own_balancer_then_the_next_regions() -> None:
    found = records("{}", "mx.eu-central-1.acme.example")
    by_type = {r.inputs["failoverRoutingPolicies"][0]["type"]: r.inputs["aliases"][0]["name"] for r in found}
    assert by_type == {"PRIMARY": "edge-eu-central-1-mail.dns", "SECONDARY": "edge-eu-west-1-mail.dns"}


def test_records_behind_balancers_answer_only_while_balancer_and_check_pass() -> None:
    routed = [r for r in of_type(record_edge(), "Record") if r.inputs.get("setIdentifier")]
    assert routed
    for record in routed:
        assert record.inputs["aliases"][0]["evaluateTargetHealth"] is True, record.name
        assert record.inputs["healthCheckId"], record.name


def test_each_service_is_checked_where_it_answers() -> None:
    checks = {c.name: c.inputs for c in of_type(record_edge(), "HealthCheck")}
    found = records("{}", "mx.eu-west-1.acme.example")
    (primary,) = [r for r in found if r.inputs["setIdentifier"] == "primary-eu-west-1"]
    check = checks[primary.inputs["healthCheckId"].removesuffix("-id")]
    assert (check["type"], check["port"], check["fqdn"]) == ("TCP", 25, "edge-eu-west-1-mail.dns")
    web = records("{}", "webmail.acme.example")[0]
    assert checks[web.inputs["healthCheckId"].removesuffix("-id")]["port"] == 443


def test_clients_reach_the_accelerator_over_ipv4_and_the_nearest_region_over_ipv6() -> None:
    (v4,) = records("{}", "imap.acme.example")
    assert v4.inputs["aliases"][0]["name"] == "accelerator.dns"
    assert v4.inputs["aliases"][0]["zoneId"] == "Z2BJ6XQ5FK7U4H"
    v6 = records("{}", "imap.acme.example", "AAAA")
    assert {r.inputs["latencyRoutingPolicies"][0]["region"] for r in v6} == {"eu-central-1", "eu-west-1"}


def test_without_the_accelerator_clients_reach_the_nearest_region() -> None:
    found = records(options(accelerator=False), "smtp.acme.example")
    assert {r.inputs["aliases"][0]["name"] for r in found} == {"edge-eu-central-1-mail.dns", "edge-eu-west-1-mail.dns"}


def test_without_ipv6_no_name_has_an_ipv6_address() -> None:
    assert not [r for r in of_type(record_edge(options(ipv6=False)), "Record") if r.inputs["type"] == "AAAA"]


def test_a_second_domain_has_client_and_web_names_but_no_exchangers() -> None:
    assert records(TWO_DOMAINS, "imap.second.example")
    assert records(TWO_DOMAINS, "mta-sts.second.example")
    assert not records(TWO_DOMAINS, "mx.eu-west-1.second.example")
    (mx,) = records(TWO_DOMAINS, "second.example", "MX")
    assert all(v.endswith(".acme.example.") for v in mx.inputs["records"])


def test_servers_with_their_own_addresses_are_answers_while_they_pass() -> None:
    found = records(NO_BALANCERS, "imap.acme.example")
    assert {r.inputs["setIdentifier"] for r in found} == {"a1", "a2", "b1", "b2"}
    assert all(r.inputs["multivalueAnswerRoutingPolicy"] and r.inputs["healthCheckId"] for r in found)


def test_web_names_of_servers_with_their_own_addresses_are_checked_on_the_web_port() -> None:
    settings = options(balancers=False, accelerator=False)
    checks = {c.name: c.inputs for c in of_type(record_edge(settings), "HealthCheck")}
    found = records(settings, "mta-sts.acme.example")
    assert {r.inputs["setIdentifier"] for r in found} == {"a1", "a2", "b1", "b2"}
    assert {checks[r.inputs["healthCheckId"].removesuffix("-id")]["port"] for r in found} == {443}


def test_no_name_of_a_type_mixes_routing_policies_or_repeats_an_identifier() -> None:
    at_servers = options(balancers=False, accelerator=False)
    for settings in ("{}", TWO_DOMAINS, NO_BALANCERS, at_servers, options(accelerator=False)):
        sets = defaultdict(list)
        for record in of_type(record_edge(settings), "Record"):
            sets[record.inputs["name"], record.inputs["type"]].append(record.inputs)
        for name, found in sets.items():
            policies = {next((k for k in r if k.endswith(("Policies", "RoutingPolicy"))), None) for r in found}
            assert len(policies) == 1, f"Route 53 refuses {name} with {policies}"
            identifiers = [r.get("setIdentifier") for r in found]
            assert len(set(identifiers)) == len(found), f"Route 53 refuses {name} with {identifiers}"


def test_every_address_that_sends_has_a_reverse_name_that_leads_back_to_it() -> None:
    reverse = of_type(record_edge(), "EipDomainName")
    assert len(reverse) == 6
    for pointer in reverse:
        (forward,) = records("{}", pointer.inputs["domainName"])
        zone, region = pointer.inputs["allocationId"][-1], pointer.inputs["region"]
        assert forward.inputs["name"] == f"out-{zone}.{region}.acme.example"
    (egress,) = records("{}", "egress.acme.example")
    sending = {v for p in reverse for r in records("{}", p.inputs["domainName"]) for v in r.inputs["records"]}
    assert set(egress.inputs["records"]) == sending, "SPF allows exactly the addresses that send"


def test_servers_that_send_from_their_own_address_have_their_own_reverse_name() -> None:
    made = of_type(record_edge(NO_BALANCERS), "EipDomainName")
    assert {p.inputs["domainName"] for p in made} == {f"{s}.acme.example" for s in ("a1", "a2", "b1", "b2")}


def test_names_of_addresses_that_send_never_vanish_with_a_health_check() -> None:
    for settings in ("{}", NO_BALANCERS):
        for name in ("egress.acme.example", "out-a.eu-west-1.acme.example", "a1.acme.example"):
            assert not any(r.inputs.get("healthCheckId") for r in records(settings, name)), name


def test_every_zone_is_signed_where_the_stack_says_so() -> None:
    made = record_edge(TWO_DOMAINS)
    assert {k.inputs["hostedZoneId"] for k in of_type(made, "KeySigningKey")} == {
        z.inputs["hostedZoneId"] for z in of_type(made, "HostedZoneDnsSec")
    }
    assert len(of_type(made, "HostedZoneDnsSec")) == 2
    assert not of_type(record_edge(options(dnssec=False)), "HostedZoneDnsSec")


def test_queries_of_every_zone_are_logged_in_the_one_region_that_route_53_writes_to() -> None:
    made = record_edge(TWO_DOMAINS)
    groups = [g.inputs for g in of_type(made, "LogGroup") if g.inputs["name"].startswith("/aws/route53/")]
    assert {g["region"] for g in groups} == {"us-east-1"}
    assert len(of_type(made, "QueryLog")) == len(groups) == 2
    (policy,) = [p for p in of_type(made, "LogResourcePolicy") if p.name == "queries"]
    (statement,) = json.loads(policy.inputs["policyDocument"])["Statement"]
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    assert len(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == 2, "other zones of Route 53 must not write here"
