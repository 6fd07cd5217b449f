"""What the edge registers: balancers, accelerator, web side and its firewall."""

import json

import pytest
from infra.components.waf_rules import BODY_LABELS, LOGINS_PER_WINDOW, REQUESTS_PER_WINDOW, web_rules

from onedallmail.platform.flows import PUBLIC_MAIL
from onedallmail.platform.ports import Port
from onedallmail.platform.web import HEALTH_PATH

from .edge_recording import of_type, options, record_edge

PORTS = {port.value for port, _ in PUBLIC_MAIL}
REGIONS = {"eu-central-1", "eu-west-1"}
TWO_DOMAINS = json.dumps({"domains": ["acme.example", "second.example"]})


def test_every_regional_resource_of_the_edge_names_its_region() -> None:
    glob = ("aws:route53/", "aws:globalaccelerator/", "pulumi:", "onedallmail:")
    bare = [r.name for r in record_edge() if not r.type.startswith(glob) and not r.inputs.get("region")]
    assert not bare, f"resources without a region would land in the provider's default region: {bare}"


def test_every_mail_port_of_every_mail_region_passes_tcp_through_and_names_the_client() -> None:
    groups = [g for g in of_type(record_edge(), "TargetGroup") if g.inputs["protocol"] == "TCP"]
    assert {(g.inputs["region"], g.inputs["port"]) for g in groups} == {(r, p) for r in REGIONS for p in PORTS}
    for group in groups:
        assert group.inputs["proxyProtocolV2"] is True, f"{group.name}: servers would refuse bare connections"
        assert group.inputs["preserveClientIp"] == "false", f"{group.name}: servers open their ports to balancers only"
        assert group.inputs["healthCheck"]["protocol"] == "TCP"


def test_targets_are_the_mail_servers_of_the_balancers_own_region() -> None:
    for target in of_type(record_edge(), "TargetGroupAttachment"):
        network = {"eu-central-1": "10.10.", "eu-west-1": "10.20."}[target.inputs["region"]]
        assert target.inputs["targetId"].startswith(network), target.name


def test_the_public_balancer_has_fixed_addresses_and_the_accelerators_is_private_and_ipv4() -> None:
    balancers = {b.name: b.inputs for b in of_type(record_edge(), "LoadBalancer")}
    public, private = balancers["edge-eu-west-1-mail"], balancers["edge-eu-west-1-mail-acc"]
    assert (public["internal"], public["ipAddressType"]) == (False, "dualstack")
    assert len({m["allocationId"] for m in public["subnetMappings"]}) == 3
    assert (private["internal"], private["ipAddressType"]) == (True, "ipv4")
    assert not any(m.get("allocationId") for m in private["subnetMappings"])


def test_all_balancers_refuse_deletion_and_have_a_security_group() -> None:
    balancers = of_type(record_edge(), "LoadBalancer")
    assert len(balancers) == 3 * len(REGIONS)
    for balancer in balancers:
        assert balancer.inputs["enableDeletionProtection"] is True, balancer.name
        assert balancer.inputs["securityGroups"], balancer.name


def test_an_idle_imap_session_outlives_the_29_minutes_that_clients_wait() -> None:
    listeners = [x for x in of_type(record_edge(), "Listener") if x.inputs.get("port") == 993]
    assert listeners
    assert all(x.inputs["tcpIdleTimeoutSeconds"] > 29 * 60 for x in listeners)


def test_the_accelerator_opens_exactly_the_mail_ports_and_keeps_client_addresses() -> None:
    (listener,) = [r for r in record_edge() if r.type == "aws:globalaccelerator/listener:Listener"]
    assert {p["fromPort"] for p in listener.inputs["portRanges"]} == PORTS
    groups = of_type(record_edge(), "EndpointGroup")
    assert {g.inputs["endpointGroupRegion"] for g in groups} == REGIONS
    for group in groups:
        (endpoint,) = group.inputs["endpointConfigurations"]
        assert endpoint["endpointId"].endswith("-mail-acc"), "other traffic must not share an accelerated endpoint"
        assert endpoint["clientIpPreservationEnabled"] is True


def test_without_the_accelerator_a_region_has_one_mail_balancer() -> None:
    made = record_edge(options(accelerator=False))
    assert not [r for r in made if r.type.startswith("aws:globalaccelerator/")]
    assert len([b for b in of_type(made, "LoadBalancer") if b.inputs["loadBalancerType"] == "network"]) == 2


def test_without_balancers_and_web_nothing_stands_in_front_of_the_servers() -> None:
    made = record_edge(options(balancers=False, accelerator=False, web=False))
    assert not [r for r in made if r.type.startswith(("aws:lb/", "aws:wafv2/", "aws:acm/"))]


def test_a_web_side_without_balancers_is_the_servers_own() -> None:
    made = record_edge(options(balancers=False, accelerator=False))
    assert not [r for r in made if r.type.startswith(("aws:lb/", "aws:wafv2/", "aws:acm/"))]


def test_the_balancer_asks_where_the_role_answers() -> None:
    groups = [g for g in of_type(record_edge(), "TargetGroup") if g.inputs["protocol"] == "HTTPS"]
    assert {g.inputs["region"] for g in groups} == REGIONS
    for group in groups:
        assert (group.inputs["port"], group.inputs["healthCheck"]["path"]) == (Port.HTTPS, HEALTH_PATH)


def test_the_web_side_speaks_tls_1_3_with_post_quantum_keys_only() -> None:
    listeners = [x for x in of_type(record_edge(), "Listener") if x.inputs.get("protocol") in ("HTTP", "HTTPS")]
    assert len(listeners) == len(REGIONS)
    for listener in listeners:
        assert (listener.inputs["port"], listener.inputs["sslPolicy"]) == (
            443,
            "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
        )


def test_names_that_are_not_the_platforms_are_answered_with_404() -> None:
    made = record_edge(TWO_DOMAINS)
    (default,) = {
        x.inputs["defaultActions"][0]["fixedResponse"]["statusCode"]
        for x in of_type(made, "Listener")
        if x.inputs.get("protocol") == "HTTPS"
    }
    assert default == "404"
    hosts = [c["hostHeader"]["values"] for r in of_type(made, "ListenerRule") for c in r.inputs["conditions"]]
    assert {h.split(".", 1)[1] for values in hosts for h in values} == {"acme.example", "second.example"}
    assert all(len(values) <= 5 for values in hosts), "a listener rule takes at most five values"


def test_each_domain_has_a_certificate_in_each_region_and_one_proof_a_name() -> None:
    made = record_edge(TWO_DOMAINS)
    certificates = of_type(made, "Certificate")
    assert len(certificates) == 2 * len(REGIONS)
    proofs = [r for r in of_type(made, "Record") if r.inputs["name"].startswith("_proof.")]
    assert len(proofs) == len({p.inputs["name"] for p in proofs}) == 8
    for proof in proofs:
        name = proof.inputs["name"].removeprefix("_proof.")
        assert proof.inputs["records"] == [f"_{name}.acm-validations.aws"]
        assert proof.inputs["zoneId"].endswith(f"{name.split('.', 1)[1]}-zone"), (
            "a proof stands in its own domain's zone"
        )


def test_the_firewall_has_the_managed_groups_and_stands_before_every_web_balancer() -> None:
    acls = of_type(record_edge(), "WebAcl")
    assert {a.inputs["region"] for a in acls} == REGIONS
    names = {r["name"] for r in acls[0].inputs["rules"]}
    assert {f"AWSManagedRules{n}" for n in (
        "CommonRuleSet",
        "KnownBadInputsRuleSet",
        "SQLiRuleSet",
        "AmazonIpReputationList",
        "AnonymousIpList",
    )} <= names  # fmt: skip
    fronted = {a.inputs["resourceArn"] for a in of_type(record_edge(), "WebAclAssociation")}
    assert fronted == {f"arn:web-{region}" for region in REGIONS}


def test_the_firewalls_log_keeps_no_credentials() -> None:
    for log in of_type(record_edge(), "WebAclLoggingConfiguration"):
        assert {f["singleHeader"]["name"] for f in log.inputs["redactedFields"]} == {"authorization", "cookie"}
    groups = {g.inputs["name"] for g in of_type(record_edge(), "LogGroup") if "waf" in g.name}
    assert len(groups) == len(REGIONS)
    assert all(g.startswith("aws-waf-logs-") for g in groups), "AWS WAF writes to no other group"


def rules(*countries: str) -> dict[str, dict[str, object]]:
    return {rule["name"]: rule for rule in web_rules(countries)}


def test_no_two_rules_of_the_firewall_share_a_priority() -> None:
    found = [rule["priority"] for rule in web_rules(("KP",))]
    assert found == list(range(len(found)))


def test_countries_are_refused_only_where_the_stack_names_them() -> None:
    assert "blocked-countries" not in rules()
    assert '"country_codes": ["KP", "IR"]' in json.dumps(rules("KP", "IR")["blocked-countries"])


@pytest.mark.parametrize(
    "name", ["blocked-countries", "AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesAnonymousIpList"]
)
def test_rules_about_origin_leave_the_mta_sts_policy_to_every_mail_server(name: str) -> None:
    text = json.dumps(rules("KP")[name]["statement"])
    assert '"not_statement"' in text
    assert '"search_string": "mta-sts."' in text


def test_messages_and_outlooks_questions_pass_rules_about_bodies_at_their_own_paths_only() -> None:
    text = json.dumps(rules()["marked-bodies"]["statement"])
    assert "autodiscover/autodiscover" in text
    assert all(label in text for label in BODY_LABELS)
    assert "compose" in text
    marking = json.dumps([rules()[g] for g in ("AWSManagedRulesCommonRuleSet", "AWSManagedRulesSQLiRuleSet")])
    assert marking.count('{"count": {}}') == len(BODY_LABELS), "a counted rule without its label would block nothing"


def test_log_in_paths_have_a_lower_limit_a_size_and_methods_of_their_own() -> None:
    assert {"login-rate", "login-methods", "login-body-size"} <= rules().keys()
    assert LOGINS_PER_WINDOW < REQUESTS_PER_WINDOW
    assert all(rules()[name]["action"] != {"count": {}} for name in ("login-rate", "login-methods", "login-body-size"))


def test_shield_advanced_is_bought_only_where_the_stack_says_so() -> None:
    assert not [r for r in record_edge() if r.type.startswith("aws:shield/")]
    made = record_edge(options(shieldAdvanced=True))
    protected = {p.inputs["resourceArn"] for p in of_type(made, "Protection")}
    assert {f"arn:web-{region}" for region in REGIONS} < protected
    addresses = protected - {f"arn:web-{region}" for region in REGIONS}
    assert len(addresses) == 3 * len(REGIONS)
    assert all(":123456789012:eip-allocation/" in a for a in addresses), "Shield refuses the ARN that EC2 gives"
    assert len(of_type(made, "ProtectionGroup")) == 1
