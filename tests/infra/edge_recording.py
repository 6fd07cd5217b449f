"""Records edge and names of a platform over stand-in networks, in a process of its own (see recording.py)."""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import pulumi
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks

from onedallmail.paths import ROOT
from onedallmail.platform.addresses import ZONES, Tier
from onedallmail.platform.records import mail_regions

SETTINGS: dict[str, Any] = {
    "target": "aws",
    "owner": "platform-team",
    "accountId": "123456789012",
    "domains": ["acme.example"],
    "regions": [
        {"name": "eu-central-1", "cidr": "10.10.0.0/16", "servers": [{"name": "a1"}, {"name": "a2", "zone": "b"}]},
        {"name": "eu-west-1", "cidr": "10.20.0.0/16", "servers": [{"name": "b1"}, {"name": "b2", "zone": "b"}]},
        {"name": "eu-north-1", "cidr": "10.30.0.0/16", "servers": [{"name": "c1", "role": "witness"}]},
    ],
}


@dataclass(frozen=True)
class Registered:
    """One resource as the components registered it."""

    name: str
    type: str
    inputs: dict[str, Any]


class RecordingError(Exception):
    """The components ended with an error; the message is their standard error."""


class _Recorder(Mocks):
    def __init__(self) -> None:
        self.resources: list[dict[str, Any]] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.resources.append({"name": args.name, "type": args.typ, "inputs": args.inputs})
        computed = {
            "arn": f"arn:{args.name}",
            "publicIp": f"198.51.100.{len(self.resources) % 250}",
            "dnsName": f"{args.name}.dns",
            "hostedZoneId": "Z2BJ6XQ5FK7U4H",
            "dsRecord": "12345 13 2 ABCD",
            "fqdn": args.inputs.get("name"),
            "zoneId": args.inputs.get("zoneId", f"{args.name}-zone"),
        }
        if args.typ == "aws:acm/certificate:Certificate":
            names = [args.inputs["domainName"], *args.inputs["subjectAlternativeNames"]]
            computed["domainValidationOptions"] = [
                {
                    "domainName": name,
                    "resourceRecordName": f"_proof.{name}",
                    "resourceRecordType": "CNAME",
                    "resourceRecordValue": f"_{name}.acm-validations.aws",
                }
                for name in reversed(names)
            ]
        return f"{args.name}-id", {**args.inputs, **computed}

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        msg = f"the edge asks the cloud nothing, yet {args.token} was called"
        raise AssertionError(msg)


@cache
def record_edge(changes: str = "{}") -> tuple[Registered, ...]:
    """Return what a platform with these settings (JSON) registers for edge and names.

    Raises:
        RecordingError: with the program's own words.
    """
    settings = {**SETTINGS, **json.loads(changes)}
    keys = {"dkimPublicKeys": dict.fromkeys(settings["domains"], "QUJD"), "dkimPrivateKeys": {}}
    flat = {f"onedallmail:{k}": v if isinstance(v, str) else json.dumps(v) for k, v in {**settings, **keys}.items()}
    flat["aws:allowedAccountIds"] = json.dumps([settings["accountId"]])
    env = {**os.environ, "PULUMI_CONFIG": json.dumps(flat)}
    env["PYTHONPATH"] = os.pathsep.join((str(ROOT / "scripts"), str(ROOT / "infra"), str(ROOT)))
    argv = [sys.executable, "-m", "tests.infra.edge_recording"]
    done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RecordingError(done.stderr)
    return tuple(Registered(**r) for r in json.loads(done.stdout))


def options(**changes: bool) -> str:
    """Return settings with these options changed, as `record_edge` takes them."""
    return json.dumps({"options": changes})


def of_type(resources: tuple[Registered, ...], kind: str) -> list[Registered]:
    """Return the resources of a type by the last part of its token, such as `TargetGroup`."""
    return [r for r in resources if r.type.startswith("aws:") and r.type.endswith(f":{kind}")]


def _network(region: str) -> Any:
    known = pulumi.Output.from_input
    subnets = {(Tier.EDGE, zone): known(f"subnet-{region}-{zone}") for zone in ZONES}
    return SimpleNamespace(vpc_id=known(f"vpc-{region}"), subnet_ids=subnets)


def _component(module: str, name: str) -> Any:
    """Return a component's class; infra/ is on the path of the recorded process only."""
    return getattr(importlib.import_module(f"components.{module}"), name)


class _Edge:
    """One platform's edge and names, each component of them once."""

    def __init__(self, context: Any) -> None:
        self.context, self.platform, self.chosen = context, context.platform, context.platform.options
        self.regions = {r.name: r for r in self.platform.config.regions if r.name in mail_regions(self.platform)}
        public = [s.name for s in self.platform.servers if s.public]
        self.public = {s: pulumi.Output.from_input(f"198.51.100.{n}") for n, s in enumerate(public, start=1)}

    def _shared(self, region: str) -> dict[str, Any]:
        targets = {s.name: str(s.private_ip) for s in self.platform.mail_servers if s.region == region}
        return {
            "context": self.context,
            "region": self.regions[region],
            "network": _network(region),
            "group_id": f"group-{region}",
            "targets": targets,
        }

    def register(self) -> None:
        """Register everything, in the order in which a platform does."""
        edge, accelerator = _component("edge", "MailEdge"), _component("accelerator", "MailAccelerator")
        mail = {r: edge(f"edge-{r}", **self._shared(r)) for r in self.regions if self.chosen.balancers}
        inner = {r: e.accelerated for r, e in mail.items() if e.accelerated}
        fast = accelerator("accelerator", context=self.context, balancers=inner) if inner else None
        self._zones()
        web = self._web() if self.chosen.web_balancers else {}
        self._names({r: e.public for r, e in mail.items()}, web, fast)
        self._reverse_names()
        if self.chosen.shield_advanced:
            shield = _component("shield", "ShieldProtections")
            arns = {f"mail-{r}-{z}": arn for r, e in mail.items() for z, arn in e.public.address_arns.items()}
            shield("shield", context=self.context, arns={**arns, **{f"web-{r}": w.arn for r, w in web.items()}})

    def _zones(self) -> None:
        zone = _component("dns", "MailDns")
        key = "arn:aws:kms:us-east-1:123456789012:key/k" if self.chosen.dnssec else None
        shared = {"context": self.context, "public_addresses": self.public, "dnssec_key_arn": key}
        self.zones = {d: zone(f"dns-{d}", domain=d, **shared) for d in self.platform.domains}
        self.zone_ids = {d: z.zone_id for d, z in self.zones.items()}
        _component("query_logs", "QueryLogs")("queries", context=self.context, zone_ids=self.zone_ids)

    def _web(self) -> dict[str, Any]:
        web, acl = _component("web", "WebBalancer"), _component("waf", "WebAcl")
        made = _component("certificates", "WebCertificates")(
            "web-certificates", context=self.context, regions=list(self.regions), zone_ids=self.zone_ids
        )
        logs = SimpleNamespace(access_bucket_name=pulumi.Output.from_input("logs"), ready=[])
        found = {}
        for r in self.regions:
            shown = {d: made.arns[r, d] for d in self.platform.domains}
            found[r] = web(f"web-{r}", logs=logs, certificates=shown, **self._shared(r))
            acl(f"waf-{r}", context=self.context, region=r, balancer_arn=found[r].arn)
        return found

    def _names(self, mail: dict[str, Any], web: dict[str, Any], fast: Any) -> None:
        checks: dict[Any, Any] = {}
        if self.chosen.health_checks:
            hosts = {kind: {r: b.dns_name for r, b in of.items()} for kind, of in (("mail", mail), ("web", web))}
            health = _component("health_checks", "HealthChecks")
            checks = health("health", context=self.context, servers=self.public, **hosts).ids
        behind = _component("service_names", "ServiceEdge")(mail, web, fast, checks)
        for d, zone_id in self.zone_ids.items():
            _component("service_names", "ServiceNames")(
                f"names-{d}",
                context=self.context,
                domain=d,
                zone_id=zone_id,
                edge=behind,
                public_addresses=self.public,
            )

    def _reverse_names(self) -> None:
        known, home = pulumi.Output.from_input, self.zones[self.platform.domain]
        if self.chosen.balancers:
            address = _component("reverse_dns", "EgressAddress")
            addresses = {
                (r, z): address(known(f"eipalloc-{r}-{z}"), known(f"203.0.113.{n}{i}"))
                for n, r in enumerate(self.regions)
                for i, z in enumerate(ZONES)
            }
            names = _component("reverse_dns", "EgressNames")
            names("egress", context=self.context, zone_id=home.zone_id, addresses=addresses)
        else:
            allocations = {s: known(f"eipalloc-{s}") for s in self.public}
            names = _component("reverse_dns", "ServerReverseNames")
            names("reverse", context=self.context, allocation_ids=allocations, forward=home.host_records)


def _program() -> None:
    config = _component("context", "stack_config")()
    _Edge(_component("context", "Context").from_config(config, pulumi.Config("onedallmail"))).register()


def _main() -> None:
    recorder = _Recorder()
    pulumi.runtime.set_all_config(json.loads(os.environ["PULUMI_CONFIG"]), ["onedallmail:dkimPrivateKeys"])
    pulumi.runtime.set_mocks(recorder, project="onedallmail", stack="example", preview=False)
    pulumi.runtime.test(_program)()  # type: ignore[no-untyped-call] # the SDK's decorator has no types
    json.dump(recorder.resources, sys.stdout, default=str)


if __name__ == "__main__":
    _main()
