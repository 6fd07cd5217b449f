"""The lab's network and firewall from an estate: every way that exists is the stack's, and no other does."""

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.lab import firewall, naming
from onedallmail.lab.deployment import read_estate
from onedallmail.lab.errors import LabError
from onedallmail.lab.network import Namespace, Topology
from onedallmail.lab.topology import allocate_management, booting_nodes, build_topology
from onedallmail.platform.regions import AWS_REGIONS

from .lab_estates import ONE, TWO, deployment, instance, route

LAB = "abc123"


def topology(*, accepted: bool = True) -> Topology:
    estate = read_estate(deployment(accepted=accepted))
    return build_topology(estate, LAB, allocate_management(booting_nodes(estate), {}))


def space(found: Topology, node: str) -> Namespace:
    return next(n for n in found.namespaces if n.name == naming.namespace(LAB, node))


def chain(text: str, name: str) -> list[str]:
    body = re.search(rf"chain {name} {{\n(.*?)\n}}", text, re.DOTALL)
    assert body, name
    return [line.strip() for line in body[1].splitlines()]


def test_only_the_side_whose_route_table_says_so_leads_to_the_other_region() -> None:
    found = topology()
    leads = {
        region: {r.destination for r in space(found, naming.router(region)).routes if (r.device or "").startswith("p-")}
        for region in (ONE, TWO)
    }
    assert leads == {ONE: {"10.30.0.0/16"}, TWO: set()}


def test_without_an_accepted_peering_there_is_neither_link_nor_route() -> None:
    found = topology(accepted=False)
    assert not [link for link in found.links if link.one.interface.startswith("p-")]
    routes = space(found, naming.router(ONE)).routes
    assert "10.30.0.0/16" not in {r.destination for r in routes}


def test_no_interface_name_is_too_long_and_none_comes_twice() -> None:
    ends = [(e.namespace, e.interface) for link in topology().links for e in (link.one, link.two)]
    assert len(ends) == len(set(ends))
    assert max(len(interface) for _, interface in ends) <= naming.MAX_INTERFACE


def test_management_ports_are_isolated_from_each_other() -> None:
    ports = [link.one for link in topology().links if link.two.interface == "mgmt0"]
    assert ports
    assert all(port.isolated_in == "mgmt" for port in ports)


def test_only_routers_and_the_internet_forward_packets() -> None:
    forwarding = {n.name for n in topology().namespaces if n.forwards}
    routers = {naming.namespace(LAB, naming.router(region)) for region in (ONE, TWO)}
    assert forwarding == routers | {naming.namespace(LAB, naming.INET)}


def test_a_private_address_is_not_routed_on_the_internet() -> None:
    assert not [r for r in space(topology(), naming.INET).routes if r.destination.startswith("10.")]


@pytest.mark.parametrize("name", ["dns", "ops", "inet", "r-euc1"])
def test_a_server_with_a_name_of_the_labs_own_is_refused(name: str) -> None:
    found = deployment()
    found["deployment"]["resources"].append(instance(name, "one", ONE, "10.10.0.20"))
    estate = read_estate(found)
    with pytest.raises(LabError, match=name):
        build_topology(estate, LAB, {})


def test_too_many_nodes_are_refused_with_a_sentence() -> None:
    with pytest.raises(LabError, match="addresses for 244 nodes, not for 245"):
        allocate_management([f"n{i}" for i in range(245)], {})


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), min_size=1, max_size=6))
def test_a_node_keeps_its_management_address_through_any_changes(steps: list[set[str]]) -> None:
    before: dict[str, str] = {}
    for names in steps:
        after = allocate_management(names, before)
        assert set(after) == names
        assert len(set(after.values())) == len(after)
        assert all(after[n] == before[n] for n in names & set(before))
        before = after


def test_every_region_has_a_short_name_of_its_own() -> None:
    assert len({naming.region_short(r) for r in AWS_REGIONS}) == len(AWS_REGIONS)


def test_a_group_in_a_rule_stands_for_the_addresses_of_its_servers() -> None:
    lines = chain(firewall.render(read_estate(deployment()), ONE), "in_m1")
    assert lines == [
        "ip saddr { 10.10.0.10, 10.10.0.11 } tcp dport 10025 return",
        "tcp dport 25 return",
        'counter name "dropped_in_m1" drop',
    ]


def test_a_group_with_no_rule_lets_nothing_pass() -> None:
    text = firewall.render(read_estate(deployment()), TWO)
    assert chain(text, "in_w1") == ['counter name "dropped_in_w1" drop']
    assert chain(text, "out_w1") == ['counter name "dropped_out_w1" drop']


def test_the_last_word_of_a_router_is_drop() -> None:
    for region in (ONE, TWO):
        lines = chain(firewall.render(read_estate(deployment()), region), "forward")
        assert lines[0].endswith("policy drop;")
        assert lines[-1].endswith("drop")


def test_addresses_are_translated_as_the_ways_out_say() -> None:
    one, two = (firewall.render(read_estate(deployment()), region) for region in (ONE, TWO))
    assert 'iifname "inet" ip daddr 198.51.100.7 dnat to 10.10.0.10' in chain(one, "prerouting")
    assert 'oifname "inet" ip saddr 10.10.0.10 ip daddr 0.0.0.0/0 snat to 198.51.100.7' in chain(one, "postrouting")
    assert 'oifname "inet" ip saddr 10.30.0.10 ip daddr 0.0.0.0/0 snat to 198.51.100.9' in chain(two, "postrouting")


def test_a_server_without_any_public_address_does_not_get_out() -> None:
    text = firewall.render(read_estate(deployment()), ONE)
    refused = 'oifname "inet" ip saddr 10.10.0.11 ip daddr 0.0.0.0/0 counter name "dropped_out_m2" drop'
    assert refused in chain(text, "unaddressed")
    assert "10.10.0.11" not in " ".join(chain(text, "postrouting"))


def test_a_narrower_way_out_is_not_closed_by_a_wider_one() -> None:
    found = deployment()
    found["deployment"]["resources"].append(route(TWO, "two", "203.0.113.0/24", gatewayId="igw-two"))
    lines = chain(firewall.render(read_estate(found), TWO), "unaddressed")
    assert "203.0.113.0/24 counter" in lines[1]
    assert lines[2].endswith("ip daddr 0.0.0.0/0 accept")


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed: run ./scripts/up")
def test_nft_takes_every_kind_of_rule() -> None:
    found = deployment()
    text = "".join(firewall.render(read_estate(found), region) for region in (ONE, TWO))
    command = ["unshare", "--net", "nft", "--check", "--file", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_router_offers_its_own_servers_their_metadata_and_nothing_else() -> None:
    assert space(topology(), naming.router(ONE)).loopback == ("169.254.169.254/32",)
    rules = chain(firewall.render(read_estate(deployment()), ONE), "input")
    service = "ip daddr 169.254.169.254 tcp dport 80 accept"
    assert rules == [
        "type filter hook input priority filter; policy drop;",
        f'iifname "i-m1" ip saddr 10.10.0.10 {service}',
        f'iifname "i-m2" ip saddr 10.10.0.11 {service}',
    ]


def test_only_routers_have_addresses_of_their_own_on_the_loopback() -> None:
    found = topology()
    routers = {naming.namespace(LAB, naming.router(region)) for region in (ONE, TWO)}
    assert {n.name for n in found.namespaces if n.loopback} == routers
    (end,) = [e for e in found.ends(min(routers)) if e.interface == "lo"]
    assert end.addresses == ("127.0.0.1/8", "169.254.169.254/32")
