"""What AWS would answer where the program computes with the answer; recorders of the program give it."""

from typing import Any

from onedallmail.cloud.rules import rules_of
from onedallmail.cloud.schema import inputs_of, known, outputs_of, plain_type
from onedallmail.platform.naming import KEY_CLASSES, DataClass
from onedallmail.platform.regions import AWS_REGIONS, zone_name

ACCOUNT = "123456789012"


def outputs(token: str, name: str, inputs: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the outputs of the resource that is made as the `number`-th: its inputs, and what AWS would add."""
    computed = {"arn": f"arn:aws:mock:::{name}", "publicIp": f"198.51.100.{number % 250}"}
    return {**_texts(token, name), **inputs, **computed, **_structures(token, name, inputs)}


def _texts(token: str, name: str) -> dict[str, str]:
    """Return a text for each output that the cloud would add as one, so that resources refer to each other as there."""
    if not known(token):
        return {}
    auto = rules_of(token).autoname
    left_out = set(inputs_of(token)) - ({auto.property} if auto else set())
    return {p: f"{name}-{p}" for p, hint in outputs_of(token).items() if plain_type(hint) is str and p not in left_out}


def _structures(token: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    match token:
        case "pulumi:pulumi:StackReference":
            found = {"outputs": {"keyArns": {c.value: {r: _key(r, c) for r in AWS_REGIONS} for c in KEY_CLASSES}}}
        case "aws:organizations/organization:Organization":
            found = {"roots": [{"id": "r-ab12", "arn": "", "name": "Root", "policyTypes": []}]}
        case "aws:acm/certificate:Certificate":
            names = [inputs["domainName"], *inputs.get("subjectAlternativeNames", [])]
            found = {"domainValidationOptions": [_validation(n) for n in names]}
        case "aws:ec2/vpc:Vpc" if inputs.get("assignGeneratedIpv6CidrBlock"):
            found = {"ipv6CidrBlock": f"2a05:d014:{sum(name.encode()) % 0xFFFF:x}:700::/56"}
        case "aws:cloudhsmv2/cluster:Cluster":
            found = {"clusterId": f"{name}-id"}
        case "aws:cloudhsmv2/hsm:Hsm":
            found = {"availabilityZone": f"{inputs['region']}{inputs['subnetId'].removesuffix('-id')[-1]}"}
        case "aws:networkfirewall/firewall:Firewall":
            states = [_sync(inputs, mapping["subnetId"]) for mapping in inputs.get("subnetMappings", [])]
            found = {"firewallStatuses": [{"syncStates": states}]}
    return found


def _key(region: str, data_class: DataClass) -> str:
    return f"arn:aws:kms:{region}:{ACCOUNT}:key/mrk-{data_class}"


def _validation(name: str) -> dict[str, str]:
    return {
        "domainName": name,
        "resourceRecordName": f"_proof.{name}",
        "resourceRecordType": "CNAME",
        "resourceRecordValue": f"_{name}.acm-validations.aws",
    }


def _sync(inputs: dict[str, Any], subnet: str) -> dict[str, Any]:
    zone = subnet.removesuffix("-id")[-1]
    attachment = {"subnetId": subnet, "endpointId": f"vpce-{subnet}"}
    return {"availabilityZone": zone_name(inputs["region"], zone), "attachments": [attachment]}
