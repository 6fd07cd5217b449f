"""Phase evidence: a signed bundle from the tests' records and from what the platform is made of."""

import shutil
import subprocess
from collections import Counter
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from onedallmail.cloud import realisation
from onedallmail.engine import run as engine
from onedallmail.evidence import bundle, context
from onedallmail.outputs import read_outputs
from onedallmail.paths import ROOT, state_dir
from onedallmail.stacksecrets import use_passphrase

from .phases import Step, load_times

REALISED = {
    "aws:ec2/instance:Instance",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    "aws:ec2/eip:Eip",
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/internetGateway:InternetGateway",
    "aws:ec2/route:Route",
    "aws:ec2/routeTable:RouteTable",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ec2/vpcPeeringConnection:VpcPeeringConnection",
}
"""Types that the lab makes real: containers, links, routes, address translation and nftables."""

LIMITS = (
    "The lab runs on one machine: distance between regions, loss of power and AWS's own services are not established.",
    "KMS, S3, Secrets Manager and Route 53 answer from an emulator; their durability and isolation are AWS's.",
    "Resources that are only recorded (IAM roles and profiles among them) prove intent, not effect.",
    "Kernel settings and the audit daemon belong to the machine, not to the containers: not established in the lab.",
    "Mailboxes have one copy in this version: a lost home server delays its users' mail until it is back.",
)


def build_evidence(stack: str, step: Step) -> str:
    """Write the context of the bundle, build it, and return where the report is."""
    step("counting resources")
    context.save(platform_context(stack), bundle.evidence_dir(stack) / "context.json")
    step("signing the bundle")
    home = bundle.evidence_dir(stack)
    folder = bundle.build(stack, [home / "results"], context.load(home / "context.json"))
    return folder.name


def platform_context(stack: str) -> context.BundleContext:
    """Return what the report tells of the platform beside the evidence."""
    outputs = read_outputs(stack)
    return context.BundleContext(
        domain=outputs["domain"],
        target=outputs["target"],
        servers=tuple(
            context.CoveredServer(name=s["name"], fqdn=s["fqdn"], role=s["role"], region=s["region"])
            for s in outputs["servers"].values()
        ),
        resources=_resources(stack),
        phases=tuple(
            context.Phase(name=t.name, started=datetime.fromisoformat(t.started), duration_s=t.duration_s, note=t.note)
            for t in load_times(state_dir(stack))
        ),
        git_revision=_revision(),
        tool_versions={name: version(name) for name in ("pulumi", "pulumi-aws", "ansible-core", "pytest", "moto")},
        limits=LIMITS,
    )


def _resources(stack: str) -> tuple[context.ResourceCount, ...]:
    use_passphrase(stack)
    state = engine.export(stack)["deployment"]["resources"]
    types = Counter(r["type"] for r in state if r["type"].startswith("aws:"))
    return tuple(
        context.ResourceCount(
            type=token,
            realised=count if token in REALISED else 0,
            emulated=count if token not in REALISED and realisation(token) == "emulated" else 0,
            recorded=count if token not in REALISED and realisation(token) == "recorded" else 0,
        )
        for token, count in sorted(types.items())
    )


def _revision() -> str:
    git = shutil.which("git")
    if git is None or not Path(ROOT / ".git").exists():
        return "unknown"
    done = subprocess.run(
        [git, "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
