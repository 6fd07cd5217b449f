"""The reachability proof: it holds for every shape of platform, and any one rule made wider is caught."""

from dataclasses import replace
from ipaddress import IPv4Network
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onedallmail.platform.excess import wider_than_intent
from onedallmail.platform.firewall import ANYWHERE, Direction
from onedallmail.platform.flows import Party
from onedallmail.platform.layers import EVERYWHERE, Fabric, Filter, Layer, Transport, build_fabric, group_of_servers
from onedallmail.platform.model import Platform
from onedallmail.platform.packets import spans
from onedallmail.platform.ports import Port
from onedallmail.platform.reachability import prove, prove_fabric
from onedallmail.platform.roles import ServerRole
from onedallmail.platform.trial import Trial

from .fabrics import EXAMPLES, LAST_PORT, example, lets_more, platforms, small_on_aws, widened

NETWORK = ("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.1", "soc2:CC6.6")


@pytest.mark.control(*NETWORK, basis="recorded")
@pytest.mark.parametrize("stack", EXAMPLES)
def test_every_declared_flow_works_and_nothing_else_passes(stack: str) -> None:
    proof = prove(example(stack))
    assert [f.flow.name for f in proof.flows if not f.holds] == []
    assert [str(p) for p in proof.undeclared] == []
    assert [str(e) for e in proof.excess] == []
    assert proof.holds


@pytest.mark.control(*NETWORK, basis="recorded")
@settings(max_examples=15)
@given(platforms())
def test_the_proof_holds_for_two_to_twelve_mail_regions_and_any_options(platform: Platform) -> None:
    proof = prove(platform)
    assert [f.flow.name for f in proof.flows if f.blocked] == []
    assert (proof.undeclared, proof.excess, proof.open_refusals) == ((), (), ())


@pytest.mark.control(*NETWORK, basis="recorded")
def test_the_internet_reaches_no_database_and_users_no_key_service_whatever_one_layer_does() -> None:
    refusals = {r.name: r for r in prove(example("example")).refusals}
    for name in ("internet to PostgreSQL", "internet to SSH", "user network to key service (HSM)"):
        assert refusals[name].tried
        assert refusals[name].holds
        assert refusals[name].depth > 1, f"{name}: one wrong rule would open it"
    mail = refusals["mail server to mail server outside its ports"]
    assert mail.holds
    assert mail.tried > LAST_PORT


@pytest.mark.control(*NETWORK, basis="recorded")
@pytest.mark.parametrize("stack", EXAMPLES)
def test_any_one_rule_made_wider_is_caught_in_its_own_layer(stack: str) -> None:
    fabric = build_fabric(example(stack))
    missed, tried = [], 0
    for rule in fabric.filters:
        for wider in widened(rule):
            if wider != rule and lets_more(fabric, rule, wider):
                tried += 1
                if wider_than_intent(fabric.platform, wider) is None:
                    missed.append(f"{rule} became {wider}")
    assert missed == []
    assert tried > 4 * len(fabric.filters)


@settings(max_examples=15)
@given(platforms(), st.data())
def test_a_wider_rule_of_any_platform_breaks_its_proof(platform: Platform, data: st.DataObject) -> None:
    fabric = build_fabric(platform)
    rule = data.draw(st.sampled_from(fabric.filters))
    wider = data.draw(st.sampled_from(list(widened(rule))))
    mutant = Fabric(platform, tuple(wider if f is rule else f for f in fabric.filters))
    assert prove_fabric(mutant).holds is not (wider != rule and lets_more(fabric, rule, wider))


def needed_by_a_flow(fabric: Fabric, rule: Filter) -> bool:
    less = Trial(Fabric(fabric.platform, tuple(f for f in fabric.filters if f is not rule)))
    return not all(less.flow(flow).holds for flow in fabric.platform.flows)


def test_every_rule_of_the_lab_is_needed_by_a_flow() -> None:
    fabric = build_fabric(example("lab"))
    assert [str(rule) for rule in fabric.filters if not needed_by_a_flow(fabric, rule)] == []


@settings(max_examples=20)
@given(st.data())
def test_every_rule_in_the_cloud_is_needed_by_a_flow(data: st.DataObject) -> None:
    fabric = build_fabric(example("example"))
    within_https = "platform-https-endpoint-tcp"  # the flow to all of the internet has the same port
    rule = data.draw(st.sampled_from([f for f in fabric.filters if f.name != within_https]))
    assert needed_by_a_flow(fabric, rule), str(rule)


def opened(platform: Platform, port: int, *layers: Layer) -> Fabric:
    """Return the filters with one port of server a1 opened to everybody in these layers."""
    holders = {
        Layer.HOST: "a1",
        Layer.GROUP: group_of_servers(platform.home, ServerRole.MAIL),
        Layer.ACL: f"{platform.home} mail",
    }
    new = tuple(
        Filter(layer, holders[layer], Direction.IN, Transport.TCP, port, port, (ANYWHERE,), EVERYWHERE, "opened")
        for layer in layers
    )
    return Fabric(platform, build_fabric(platform).filters + new)


def test_a_database_opened_at_group_and_host_is_a_path_from_the_internet_where_servers_face_it() -> None:
    proof = prove_fabric(opened(example("lab"), Port.POSTGRES, Layer.HOST, Layer.GROUP))
    assert "internet to a1, tcp 5432" in [str(p) for p in proof.undeclared]
    assert "internet to PostgreSQL" in [r.name for r in proof.open_refusals]


def test_a_database_opened_in_one_layer_is_no_path_but_still_a_finding() -> None:
    proof = prove_fabric(opened(example("lab"), Port.POSTGRES, Layer.GROUP))
    assert proof.undeclared == ()
    assert [e.rule.name for e in proof.excess] == ["opened"]
    assert not proof.holds


def test_behind_load_balancers_no_route_leads_from_the_internet_even_if_all_filters_are_open() -> None:
    proof = prove_fabric(opened(example("example"), Port.POSTGRES, Layer.HOST, Layer.GROUP, Layer.ACL))
    assert not [p for p in proof.undeclared if p.source == "internet"]
    assert not proof.holds


def test_a_port_that_nobody_thought_of_is_tried_as_well() -> None:
    proof = prove_fabric(opened(example("lab"), 47_321, Layer.HOST, Layer.GROUP))
    assert "internet to a1, tcp 47321" in [str(p) for p in proof.undeclared]


def test_spans_are_all_ports_without_gap_or_overlap() -> None:
    found = spans(build_fabric(example("example")))
    assert (found[0].first, found[-1].last) == (0, LAST_PORT)
    assert all(one.last + 1 == two.first for one, two in pairwise(found))


@pytest.mark.parametrize("layer", [Layer.HOST, Layer.GROUP, Layer.ACL, Layer.FIREWALL])
def test_a_layer_without_rules_blocks_flows_and_the_proof_says_which(layer: Layer) -> None:
    fabric = build_fabric(example("example"))
    less = Fabric(fabric.platform, tuple(f for f in fabric.filters if f.layer is not layer))
    broken = {f.flow.name: f.blocked for f in prove_fabric(less).flows if not f.holds}
    assert any(str(layer) in text for text in broken["mail-handover-mail-tcp"])


def test_an_answer_that_no_list_lets_back_blocks_its_flow() -> None:
    fabric = build_fabric(example("example"))
    deaf = tuple(f for f in fabric.filters if not (f.layer is Layer.ACL and f.last_port - f.first_port > 100))
    assert not all(f.holds for f in prove_fabric(Fabric(fabric.platform, deaf)).flows)


def test_a_path_names_its_rules_from_the_senders_host_to_the_receivers() -> None:
    proof = prove(example("example"))
    handover = next(f for f in proof.flows if f.flow.name == "mail-handover-mail-tcp")
    path = next(p for p in handover.paths if p.relation == "between regions")
    layers = [f.layer for f in path.filters]
    assert layers[:2] == [Layer.HOST, Layer.GROUP]
    assert layers[-2:] == [Layer.GROUP, Layer.HOST]
    assert layers.count(Layer.FIREWALL) == 2
    assert all(f.first_port <= Port.HANDOVER <= f.last_port for f in path.filters if f.layer is not Layer.ACL)


def test_management_passes_no_port_of_the_networks() -> None:
    for platform in (example("lab"), small_on_aws(endpoints=False)):
        flow = next(f for f in prove(platform).flows if f.flow.source is Party.MANAGEMENT)
        assert flow.holds
        assert flow.paths == ()


def test_a_rule_with_one_server_too_many_is_an_excess() -> None:
    platform = small_on_aws()
    rule = next(f for f in build_fabric(platform).filters if str(f).startswith("host firewall a1 out: tcp 10025"))
    assert wider_than_intent(platform, rule) is None
    wider = replace(rule, destinations=(*rule.destinations, IPv4Network("10.10.64.99/32")))
    assert wider_than_intent(platform, wider) == "no flow has tcp 10025 with 10.10.64.99/32"
