"""The Ansible inventory: places and addresses from the stack's outputs, flows and ports from the platform model."""

from collections.abc import Iterable
from typing import Any

from onedallmail.fleets import pins_of
from onedallmail.outputs import read_outputs
from onedallmail.placement.fleet import pin_record
from onedallmail.platform.firewall import Rule, host_rules
from onedallmail.platform.flows import Party
from onedallmail.platform.model import Platform
from onedallmail.platform.naming import COPIES_CONTEXT
from onedallmail.platform.ports import Port
from onedallmail.platform.records import exchanger, helo_name, mail_regions
from onedallmail.platform.roles import ServerRole
from onedallmail.platform.web import web_facts
from onedallmail.stackfile import load_platform


def inventory(stack: str) -> dict[str, Any]:
    """Return the inventory document that `--list` answers with.

    Raises:
        OutputsError: the stack has not been provisioned.
        StackError: the stack file is wrong.
    """
    platform, outputs = load_platform(stack), read_outputs(stack)
    servers = {name: _server(platform, facts) for name, facts in outputs["servers"].items()}
    hosts: dict[str, dict[str, Any]] = {name: _host(platform, outputs, facts) for name, facts in servers.items()}
    groups: dict[str, list[str]] = {"platform": list(servers), "directory": list(servers)}
    for name, facts in servers.items():
        groups.setdefault(facts["role"], []).append(name)
        groups.setdefault("region_" + facts["region"].replace("-", "_"), []).append(name)
        if facts["voter"]:
            groups.setdefault("etcd", []).append(name)
    if outputs["target"] == "lab":
        _join_lab(stack, hosts, groups)
    else:
        _join_aws(hosts, groups)
    return {
        "_meta": {"hostvars": hosts},
        "all": {"vars": _common(platform, outputs, servers), "children": sorted(groups)},
        **{name: {"hosts": members} for name, members in groups.items()},
    }


def _server(platform: Platform, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": facts["name"],
        "fqdn": facts["fqdn"],
        "role": facts["role"],
        "region": facts["region"],
        "zone": facts["zone"],
        "instance_id": facts["instanceId"],
        "private_ip": facts["privateIp"],
        "public_ip": facts["publicIp"] or "",
        "voter": facts["voter"],
        "weight": platform.server(facts["name"]).weight,
    }


def _host(platform: Platform, outputs: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    rules = host_rules(platform, platform.server(facts["name"]))
    balanced = platform.options.balancers
    balancers = platform.networks(Party.EDGE, facts["region"]) if balanced else ()
    return {
        "onedallmail_server": {
            **facts,
            "helo_name": helo_name(platform, facts["name"]),
            "mail_key_arns": _mail_keys(outputs, facts),
            "mail_key_context": COPIES_CONTEXT,
        },
        "onedallmail_host_rules": list(_plain(rules)),
        "onedallmail_balancer_networks": [str(network) for network in balancers],
    }


def _mail_keys(outputs: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    """Return the mail key's ARN of each region, the server's own one first; none for a server that may not use it."""
    if facts["role"] != ServerRole.MAIL.value:
        return []
    regions = sorted(outputs["regions"], key=lambda region: (region != facts["region"], region))
    return [outputs["regions"][region]["kmsKeyArn"] for region in regions]


SESSION = (
    "aws ssm start-session --region {region} --target %h --document-name AWS-StartSSHSession --parameters portNumber=%p"
)
"""SSH inside a session: no port of a server is open to operators, and IAM decides who may begin one."""


def _join_aws(hosts: dict[str, dict[str, Any]], groups: dict[str, list[str]]) -> None:
    """Add how servers in AWS are reached: by instance id, through Session Manager."""
    for host in hosts.values():
        facts = host["onedallmail_server"]
        proxy = SESSION.format(region=facts["region"])
        host.update(
            ansible_host=facts["instance_id"],
            ansible_ssh_common_args=f"-o StrictHostKeyChecking=accept-new -o ProxyCommand='{proxy}'",
        )
    groups["aws"] = sorted(hosts)


def _plain(rules: Iterable[Rule]) -> Iterable[dict[str, Any]]:
    for rule in rules:
        yield {
            "flow": rule.flow.name,
            "direction": rule.direction.value,
            "protocol": rule.flow.protocol.value,
            "port": rule.flow.port.value,
            "addresses": [str(peer) for peer in rule.peers],
        }


def _common(platform: Platform, outputs: dict[str, Any], servers: dict[str, Any]) -> dict[str, Any]:
    return {
        "onedallmail_placement_groups": platform.config.placement_groups,
        "onedallmail_placement_pins": [pin_record(pin) for pin in pins_of(platform)],
        "onedallmail_copies_without_second_place": platform.config.copies.without_second_place,
        "onedallmail_platform": {
            "stack": platform.stack,
            "target": outputs["target"],
            "domain": platform.domain,
            "domains": list(platform.domains),
            "servers": servers,
            # A region's name leads to the next region's servers while its own are down.
            "exchangers": [exchanger(platform, r) for r in mail_regions(platform) if platform.options.balancers],
            "web": web_facts(platform),
            "ports": {port.service: port.value for port in Port},
            "tls": {
                "minimum": platform.tls.minimum,
                "groups": list(platform.tls.groups),
                "ciphersuites": list(platform.tls.ciphersuites),
            },
            "dkim_secret_arns": outputs["dkimSecretArns"],
            "evidence_bucket": outputs["evidenceBucket"],
            "home_region": platform.config.regions[0].name,
        },
    }


def _join_lab(stack: str, hosts: dict[str, dict[str, Any]], groups: dict[str, list[str]]) -> None:
    """Add what only the lab has: the outside nodes, and the management address of every node."""
    from onedallmail.lab.lab import load  # noqa: PLC0415 - needs a Linux host; other stacks must not import it

    lab = load(stack)
    for node in lab.nodes:
        if node.kind == "outside":
            hosts[node.name] = {}
            groups.setdefault(f"lab_{node.name}", []).append(node.name)
        hosts[node.name].update(
            ansible_host=node.address, ansible_user="root", ansible_ssh_common_args=f"-F {lab.ssh_config_path}"
        )
    groups["lab"] = sorted(hosts)
