"""The lab that a deployment of the real program becomes: servers, links and rules follow the platform model."""

import copy
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onedallmail.cloud import emulator
from onedallmail.engine import run
from onedallmail.engine.workspace import Workspace
from onedallmail.lab import firewall, naming
from onedallmail.lab.aws.access import Call, may
from onedallmail.lab.aws.estate import CloudEstate, read_cloud
from onedallmail.lab.deployment import read_estate
from onedallmail.lab.errors import LabError
from onedallmail.lab.estate import Estate
from onedallmail.lab.topology import allocate_management, booting_nodes, build_topology
from onedallmail.paths import ROOT
from onedallmail.platform.firewall import Direction, host_rules
from onedallmail.platform.naming import COPIES_CONTEXT
from onedallmail.stackfile import load_platform
from onedallmail.stacksecrets import dkim_config

from .engine_stack import PASSPHRASE


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Provision the lab stack into a folder of its own and return the deployment."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
        patch.setenv(run.ENGINE_VARIABLE, "embedded")
        patch.setattr("onedallmail.keys.dkim.state_dir", lambda _: state)
        public, private = dkim_config("lab", ("acme.example",))
        work = Workspace(stack="lab", root=ROOT, state_dir=state)
        emulator.ensure("lab", state_dir=state)
        try:
            result = run.up("lab", config=public, secret_config=private, workspace=work)
            assert result.ok, result.errors
            yield run.export("lab", workspace=work)
        finally:
            emulator.stop("lab", state_dir=state)


@pytest.fixture(scope="module")
def estate(deployment: dict[str, Any]) -> Estate:
    return read_estate(deployment)


def test_every_server_of_the_model_becomes_a_node_at_its_address(estate: Estate) -> None:
    planned = {s.name: (str(s.private_ip), s.region, s.public) for s in load_platform("lab").servers}
    made = {i.name: (str(i.private_ip), i.region, i.public_ip is not None) for i in estate.instances}
    assert made == planned


def test_no_two_servers_share_a_link(estate: Estate) -> None:
    management = allocate_management(booting_nodes(estate), {})
    topology = build_topology(estate, "abcdef", management)
    servers = {naming.namespace("abcdef", i.name) for i in estate.instances}
    routers = {naming.namespace("abcdef", naming.router(r.name)) for r in estate.regions}
    for link in topology.links:
        ends = {link.one.namespace, link.two.namespace}
        assert len(ends & servers) <= 1
        if ends & servers:
            assert (ends - servers) <= routers | {naming.namespace("abcdef", naming.OPS)}


def test_management_addresses_are_kept_when_a_node_comes(estate: Estate) -> None:
    names = booting_nodes(estate)
    before = allocate_management(names, {})
    after = allocate_management([*names, "a0"], before)
    assert before.items() <= after.items()
    assert len(set(after.values())) == len(after)


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.22", basis="recorded")
def test_routers_permit_exactly_the_flows_of_the_intent_graph(estate: Estate) -> None:
    """A router's chain for a server holds one line for each network of each flow, and then drops."""
    platform = load_platform("lab")
    for server in platform.servers:
        text = firewall.render(estate, server.region)
        for direction, way in ((Direction.IN, "in"), (Direction.OUT, "out")):
            chain = re.search(rf"chain {way}_{server.name} {{\n(.*?)\n}}", text, re.DOTALL)
            assert chain
            lines = [line.strip() for line in chain[1].splitlines()]
            assert lines[-1].endswith("drop")
            permitted = {(int(m[1])) for line in lines if (m := re.search(r"dport (\d+)", line))}
            rules = [r for r in host_rules(platform, server) if r.direction is direction and r.peers]
            assert permitted == {r.flow.port.value for r in rules}


def test_rendered_rules_are_taken_by_nft(estate: Estate, tmp_path: Path) -> None:
    for region in estate.regions:
        path = tmp_path / f"{region.name}.nft"
        path.write_text(firewall.render(estate, region.name))
        command = ["unshare", "--net", "nft", "--check", "--file", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_in_the_lab_mail_servers_use_the_mail_key_and_the_witness_does_not(deployment: dict[str, Any]) -> None:
    cloud = read_cloud(deployment)
    assert CloudEstate.from_json(cloud.to_json()) == cloud
    outputs = next(r["outputs"] for r in deployment["deployment"]["resources"] if r["type"].endswith("pulumi:Stack"))
    servers, keys = outputs["servers"], [region["kmsKeyArn"] for region in outputs["regions"].values()]
    assert {g.id for g in cloud.guests} == {s["instanceId"] for s in servers.values()}
    for server in servers.values():
        guest = cloud.guest_at(server["region"], server["privateIp"])
        assert guest is not None
        assert (guest.id, guest.zone) == (server["instanceId"], server["zone"])
        for key in keys:
            for action in ("kms:GenerateDataKey", "kms:Decrypt"):
                assert may(cloud, guest, Call(action, key, COPIES_CONTEXT)) is (server["role"] == "mail")
                assert not may(cloud, guest, Call(action, key, {}))
            assert not may(cloud, guest, Call("kms:ScheduleKeyDeletion", key, COPIES_CONTEXT))


def test_an_instance_whose_role_is_unknown_is_refused(deployment: dict[str, Any]) -> None:
    broken = copy.deepcopy(deployment)
    resources = broken["deployment"]["resources"]
    profile = next(r for r in resources if r["type"].endswith(":InstanceProfile"))
    profile["inputs"]["role"] = profile["outputs"]["role"] = "nobody"
    with pytest.raises(LabError, match="nobody"):
        read_cloud(broken)


def test_a_rule_that_refers_to_an_unknown_group_is_refused(deployment: dict[str, Any]) -> None:
    broken = copy.deepcopy(deployment)
    resources = broken["deployment"]["resources"]
    rule = next(r for r in resources if r["type"].endswith(":SecurityGroupIngressRule"))
    rule["inputs"]["securityGroupId"] = rule["outputs"]["securityGroupId"] = "sg-0unknown"
    with pytest.raises(LabError, match="sg-0unknown"):
        read_estate(broken)


def test_what_the_lab_cannot_realise_is_refused_by_name(deployment: dict[str, Any]) -> None:
    broken = copy.deepcopy(deployment)
    resources = broken["deployment"]["resources"]
    extra = copy.deepcopy(next(r for r in resources if r["type"] == "aws:ec2/vpc:Vpc"))
    extra.update(type="aws:lb/loadBalancer:LoadBalancer", urn=extra["urn"] + "-lb", id="lb-1")
    resources.append(extra)
    with pytest.raises(LabError, match="load balancers"):
        read_estate(broken)
