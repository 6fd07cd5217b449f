"""Phase realise: the stack's instances and networks become servers and routers on this machine."""

import json

from onedallmail.cloud import emulator
from onedallmail.engine import run as engine
from onedallmail.lab import lab as machines
from onedallmail.lab.aws.names import zone_records
from onedallmail.outputs import read_outputs
from onedallmail.paths import state_dir
from onedallmail.stacksecrets import use_passphrase

from .phases import Step


def realise(stack: str, step: Step) -> str:
    """Boot what is missing, keep what runs, remove what the stack no longer has; export zones for the lab's DNS."""
    use_passphrase(stack)
    lab = machines.realise(stack, engine.export(stack), step)
    step("exporting the Route 53 zones")
    _export_zones(stack)
    return f"{len(lab.nodes)} nodes"


def _export_zones(stack: str) -> None:
    outputs = read_outputs(stack)
    route53 = emulator.client(stack, "route53", "us-east-1")
    zones = {
        domain: [
            {
                "name": record["Name"],
                "type": record["Type"],
                "ttl": record.get("TTL", 300),
                "values": [value["Value"] for value in record.get("ResourceRecords", [])],
            }
            for page in route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone["zoneId"])
            for record in page["ResourceRecordSets"]
        ]
        for domain, zone in outputs["zones"].items()
    }
    path = state_dir(stack) / "lab" / "zones.json"
    zones |= zone_records(outputs["regions"])
    path.write_text(json.dumps(zones, indent=1, sort_keys=True))
