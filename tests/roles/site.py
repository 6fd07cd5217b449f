"""The real inventory of a stack, made from outputs that a provisioning would leave, without a lab or a cloud."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from onedallmail import inventory
from onedallmail.platform.model import Platform
from onedallmail.platform.records import address_records, mail_records
from onedallmail.stackfile import load_platform

from .tree import ANSIBLE

STACK = "lab"
OUTSIDE = ("dns", "peer")
MAIL_KEY = "arn:aws:kms:{region}:000000000000:key/mrk-mail"
ANCHOR = ". DS 20326 13 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"


def outputs(platform: Platform) -> dict[str, Any]:
    """Return the outputs of a stack as the Pulumi program exports them."""
    public = public_addresses(platform)
    servers = {
        s.name: {
            "name": s.name,
            "fqdn": s.fqdn,
            "role": s.role.value,
            "region": s.region,
            "zone": s.zone,
            "instanceId": f"i-{s.name}",
            "privateIp": str(s.private_ip),
            "publicIp": public.get(s.name),
            "voter": s.voter,
        }
        for s in platform.servers
    }
    arn = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:dkim"
    return {
        "stack": platform.stack,
        "target": platform.config.target,
        "domain": platform.domain,
        "domains": list(platform.domains),
        "servers": servers,
        "regions": {r.name: {"kmsKeyArn": MAIL_KEY.format(region=r.name)} for r in platform.config.regions},
        "evidenceBucket": "evidence",
        "dkimSecretArns": {domain: f"{arn}-{domain}" for domain in platform.domains},
    }


def public_addresses(platform: Platform) -> dict[str, str]:
    """Return an Elastic IP for each server that has one."""
    return {s.name: f"198.51.100.{n}" for n, s in enumerate(platform.servers, start=10) if s.public}


def write_site(folder: Path, patch: pytest.MonkeyPatch, stack: str = STACK) -> Path:
    """Write inventory, group variables and state files below `folder`; return the inventory's path."""
    platform = load_platform(stack)
    patch.setattr(inventory, "read_outputs", lambda _: outputs(platform))
    patch.setitem(sys.modules, "onedallmail.lab.lab", _running_lab(platform))
    document = folder / "inventory.json"
    document.write_text(json.dumps(inventory.inventory(stack)))
    script = folder / "inventory.sh"
    script.write_text(f'#!/bin/sh\n[ "$1" = --host ] && echo "{{}}" || cat {document}\n')
    script.chmod(0o755)
    (folder / "group_vars").symlink_to(ANSIBLE / "group_vars")
    state = folder / "state" / "lab"
    state.mkdir(parents=True)
    (state / "zones.json").write_text(json.dumps(_zones(platform)))
    (state / "root.ds").write_text(f"{ANCHOR}\n")
    return script


def _running_lab(platform: Platform) -> ModuleType:
    """Return what onedallmail.lab.lab tells the inventory of a running lab: nodes and their management addresses."""
    names = [(s.name, "server") for s in platform.servers] + [(name, "outside") for name in OUTSIDE]
    nodes = [
        SimpleNamespace(name=name, kind=kind, address=f"100.64.0.{n}") for n, (name, kind) in enumerate(names, start=2)
    ]
    module = ModuleType("onedallmail.lab.lab")
    vars(module)["load"] = lambda _: SimpleNamespace(nodes=nodes, ssh_config_path=Path("/nonexistent/ssh_config"))
    return module


def _zones(platform: Platform) -> dict[str, list[dict[str, Any]]]:
    public = public_addresses(platform)
    zones = {}
    for domain in platform.domains:
        records = (*address_records(platform, domain, public), *mail_records(platform, domain, "QUJD"))
        zones[domain] = [
            {
                "name": record.name,
                "type": record.type,
                "ttl": record.ttl_s,
                "values": [f'"{v}"' for v in record.values] if record.type == "TXT" else list(record.values),
            }
            for record in records
        ]
    return zones
