"""Runs the network components of a platform under mocks, in a process of its own, and returns what they register.

Computed values are well formed, so that routes can be followed from resource to resource (see routing.py).
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from onedallmail.paths import ROOT
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.regions import AWS_REGIONS, TWO_ZONES, zone_name
from onedallmail.platform.stack import parse_stack

ALL_OFF = {
    "inspection": False,
    "balancers": False,
    "web": False,
    "accelerator": False,
    "endpoints": False,
    "ipv6": False,
    "cloudHsm": False,
}
"""What the lab turns off."""

COMPONENTS = ("context", "endpoints", "inspection", "network", "peering", "resolver", "security_groups", "transit")

KEY = "arn:aws:kms:eu-central-1:123456789012:key/mrk-1"


@dataclass(frozen=True)
class Made:
    """One resource as the engine was asked for it."""

    name: str
    type: str
    id: str
    inputs: dict[str, Any]
    protect: bool
    aliases: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The type's last word: `Subnet`."""
        return self.type.split(":")[-1]


def settings(options: Mapping[str, bool], count: int = 3, target: str = "aws") -> dict[str, Any]:
    """Return a stack file: `count` regions, two mail servers in each but the last, which holds the witness."""
    names = ["eu-central-1", "eu-west-1", "eu-north-1"]
    names += sorted(AWS_REGIONS - TWO_ZONES - set(names))[: count - len(names)]
    regions: list[dict[str, Any]] = []
    for number, name in enumerate(names[:count]):
        voters = number in (0, 1)
        servers = [{"name": f"m{number}{zone}", "zone": zone, "voter": voters} for zone in ("a", "b")]
        regions.append({"name": name, "cidr": f"10.{number + 10}.0.0/16", "servers": servers})
    regions[-1]["servers"] = [{"name": "w1", "zone": "a", "role": "witness"}]
    return {
        "target": target,
        "owner": "platform-team",
        "domains": ["acme.example"],
        "regions": regions,
        "options": {**options, **({"healthChecks": False} if target == "lab" else {})},
    }


def platform_of(options: Mapping[str, bool], count: int = 3, target: str = "aws") -> Platform:
    """Return the platform of that stack file."""
    return build_platform(parse_stack("test", settings(options, count, target)))


def network(options: Mapping[str, bool] | None = None, count: int = 3, target: str = "aws") -> Sequence[Made]:
    """Return every resource of the network components of a platform with these options."""
    return _network(json.dumps(settings(options or {}, count, target)))


@cache
def _network(stack: str) -> tuple[Made, ...]:
    paths = os.pathsep.join((str(ROOT / "scripts"), str(ROOT / "infra"), str(ROOT)))
    argv = [sys.executable, "-m", "tests.infra.network_stack"]
    done = subprocess.run(
        argv,
        input=stack,
        env={**os.environ, "PYTHONPATH": paths},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tuple(Made(**{**r, "aliases": tuple(r["aliases"])}) for r in json.loads(done.stdout))


def _token(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:17]


class _Cloud(Mocks):
    """Answers as AWS would where a component computes with the answer."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        kind, found = args.typ.split(":")[-1], dict(args.inputs)
        found["arn"] = f"arn:aws:mock:{args.inputs.get('region')}:123456789012:{kind}/{args.name}"
        if kind == "Vpc" and args.inputs.get("assignGeneratedIpv6CidrBlock"):
            found["ipv6CidrBlock"] = f"2a05:d014:{_token(args.name)[:4]}:700::/56"
        if kind == "Firewall":
            found["firewallStatuses"] = [{"syncStates": [_sync(args, m) for m in args.inputs["subnetMappings"]]}]
        return f"{kind}/{args.name}", found

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        return dict(args.args), []


def _sync(args: MockResourceArgs, mapping: Mapping[str, str]) -> dict[str, Any]:
    subnet = mapping["subnetId"]
    attachment = {"subnetId": subnet, "endpointId": f"vpce/{subnet}"}
    return {"availabilityZone": zone_name(args.inputs["region"], subnet[-1]), "attachments": [attachment]}


class _Monitor(MockMonitor):
    """Keeps what the mocks do not see: protection and aliases."""

    made: list[Made]

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        reply = super().RegisterResource(request)  # type: ignore[no-untyped-call] # the SDK's mocks have no types
        self.made.append(
            Made(
                name=request.name,
                type=request.type,
                id=reply.id,
                inputs=json_format.MessageToDict(request.object),
                protect=request.protect,
                aliases=(*(a.spec.name for a in request.aliases if a.HasField("spec")), *request.aliasURNs),
            )
        )
        return reply


def _program(stack: Mapping[str, Any]) -> None:
    component = {name: import_module(f"components.{name}") for name in COMPONENTS}
    config = parse_stack("test", stack)
    scope = {**vars(component["context"].Scope.of(config)), "stated_account": "123456789012"}
    context = component["context"].Context(
        **scope,
        platform=build_platform(config),
        dkim_public_keys={},
        dkim_private_keys=pulumi.Output.from_input({}),
    )
    logs: Any = SimpleNamespace(
        bucket_name=pulumi.Output.from_input("logs"),
        bucket_arn=pulumi.Output.from_input("arn:aws:s3:::logs"),
        ready=[],
    )
    mail_vpc, transit = component["network"].MailVpc, component["transit"]
    networks = {r.name: mail_vpc(f"network-{r.name}", context=context, region=r, logs=logs) for r in config.regions}
    for region, role in {(r.name, s.role) for r in config.regions for s in r.servers}:
        component["security_groups"].RoleSecurityGroup(
            f"{region}-{role}", context=context, region=region, role=role, network=networks[region]
        )
    for name, net in networks.items():
        if config.options.endpoints:
            component["endpoints"].Endpoints(f"endpoints-{name}", context=context, region=name, network=net)
    if not config.options.inspection:
        component["peering"].PeeringMesh("peering", context=context, networks=networks)
    hubs = {
        name: transit.TransitHub(f"transit-{name}", context=context, region=name, network=net)
        for name, net in networks.items()
        if config.options.inspection
    }
    inspected = {
        name: component["inspection"].InspectionVpc(
            f"inspection-{name}", context=context, region=name, hub=hub, logs=logs, key_arn=KEY
        )
        for name, hub in hubs.items()
    }
    transit.TransitMesh("transit", context=context, hubs=hubs)
    for name, net in networks.items():
        component["resolver"].ResolverGuard(
            f"resolver-{name}",
            context=context,
            region=name,
            network=net,
            inspection=inspected.get(name),
            logs=logs,
        )


def _main() -> None:
    stack = json.load(sys.stdin)
    monitor = _Monitor(_Cloud())
    monitor.made = []
    pulumi.runtime.set_mocks(_Cloud(), project="onedallmail", stack="test", preview=False, monitor=monitor)

    @pulumi.runtime.test  # type: ignore[untyped-decorator] # the SDK's decorator has no types
    def program() -> None:
        _program(stack)

    program()
    json.dump([asdict(m) for m in monitor.made], sys.stdout)


if __name__ == "__main__":
    _main()
