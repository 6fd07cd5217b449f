"""Computed properties that templates can't express: one function a type, from inputs and the templates' result."""

import hashlib
from collections.abc import Callable
from typing import Any

from .facts import balancer_zone
from .naming import Names, drawn, uuid_of, zone_id, zone_letter, zone_of_subnet

Values = dict[str, Any]
Refiner = Callable[[Values, Values, Names], Values]

DOCUMENTATION_NET = "2001:db8"
"""IPv6 addresses of examples (RFC 3849): a recorded network is never a real one."""


def _vpc(inputs: Values, outputs: Values, names: Names) -> Values:
    if inputs.get("assignGeneratedIpv6CidrBlock"):
        digits = drawn("hex", 6, f"ipv6 {names['id']}")
        block = f"{DOCUMENTATION_NET}:{digits[:4]}:{digits[4:]}00::/56".replace(":0", ":").replace("::00", "::")
        outputs["ipv6CidrBlock"] = block
        outputs["ipv6AssociationId"] = f"vpc-cidr-assoc-0{drawn('hex', 16, names['id'])}"
        outputs["ipv6CidrBlockNetworkBorderGroup"] = names["region"]
    return outputs


def _subnet(inputs: Values, outputs: Values, names: Names) -> Values:
    zone = zone_of_subnet(names["id"], names["region"])
    if inputs.get("availabilityZone") is None:
        outputs["availabilityZone"] = zone
    if inputs.get("availabilityZoneId") is None:
        outputs["availabilityZoneId"] = zone_id(names["region"], zone_letter({"availabilityZone": zone}))
    if inputs.get("ipv6CidrBlock"):
        outputs["ipv6CidrBlockAssociationId"] = f"subnet-cidr-assoc-0{drawn('hex', 16, names['id'])}"
    return outputs


def _firewall(inputs: Values, outputs: Values, names: Names) -> Values:
    """Give the firewall an endpoint for each subnet that it is mapped to."""
    states = [
        {
            "availabilityZone": zone_of_subnet(mapping["subnetId"], names["region"]),
            "attachments": [
                {
                    "endpointId": f"vpce-0{drawn('hex', 16, names['id'] + mapping['subnetId'])}",
                    "subnetId": mapping["subnetId"],
                }
            ],
        }
        for mapping in inputs.get("subnetMappings") or []
    ]
    outputs["firewallStatuses"] = [{"syncStates": states, "transitGatewayAttachmentSyncStates": []}]
    return outputs


def _certificate(inputs: Values, outputs: Values, names: Names) -> Values:
    """Give the records that prove each name; they are the same in every region of an account, as in ACM."""
    wanted = dict.fromkeys([inputs["domainName"], *(inputs.get("subjectAlternativeNames") or [])])
    outputs["domainValidationOptions"] = [_proof(name, names["account"]) for name in wanted]
    return outputs


def _proof(name: str, account: str) -> Values:
    base = name.removeprefix("*.")
    left, right = (drawn("hex", 32, f"{side} {account} {base}") for side in ("name", "value"))
    return {
        "domainName": name,
        "resourceRecordName": f"_{left}.{base}.",
        "resourceRecordType": "CNAME",
        "resourceRecordValue": f"_{right}.{drawn('alnum', 10, base)}.acm-validations.aws.",
    }


def _balancer(inputs: Values, outputs: Values, names: Names) -> Values:
    kind = names["lbKind"]
    digits = names["id"].rpartition("/")[2]
    public = "" if not inputs.get("internal") else "internal-"
    place = f"elb.{names['region']}" if kind == "net" else f"{names['region']}.elb"
    outputs["dnsName"] = f"{public}{names['name']}-{digits}.{place}.amazonaws.com"
    outputs["zoneId"] = balancer_zone(kind, names["region"])
    outputs["arnSuffix"] = f"{kind}/{names['name']}/{digits}"
    mappings = inputs.get("subnetMappings") or [{"subnetId": subnet} for subnet in inputs.get("subnets") or []]
    outputs["subnetMappings"] = [{"outpostId": "", **mapping} for mapping in mappings]
    outputs["subnets"] = [mapping["subnetId"] for mapping in mappings]
    outputs["vpcId"] = f"vpc-0{drawn('hex', 16, names['id'])}"
    return outputs


def _endpoint(inputs: Values, outputs: Values, names: Names) -> Values:
    """Give an interface endpoint its names and a network interface in each subnet."""
    if inputs.get("vpcEndpointType") != "Interface":
        outputs["prefixListId"] = f"pl-{hashlib.sha256(str(inputs.get('serviceName')).encode()).hexdigest()[:8]}"
        outputs["cidrBlocks"] = [] if not str(inputs.get("serviceName")).endswith(".s3") else ["203.0.113.0/24"]
        return outputs
    service = str(inputs.get("serviceName", "")).split(".", 3)[-1]
    zone = f"Z{drawn('ALNUM', 13, names['region'] + service)}"
    label = f"{names['id']}-{drawn('alnum', 8, names['id'])}"
    outputs["dnsEntries"] = [
        {"dnsName": f"{label}.{service}.{names['region']}.vpce.amazonaws.com", "hostedZoneId": zone},
        {"dnsName": f"{service}.{names['region']}.amazonaws.com", "hostedZoneId": f"Z{drawn('ALNUM', 20, label)}"},
    ]
    outputs["networkInterfaceIds"] = [
        f"eni-0{drawn('hex', 16, names['id'] + subnet)}" for subnet in inputs.get("subnetIds") or []
    ]
    return outputs


def _resolver_endpoint(inputs: Values, outputs: Values, names: Names) -> Values:
    outputs["ipAddresses"] = [
        {**address, "ipId": f"rni-{drawn('hex', 17, names['id'] + str(index))}"}
        for index, address in enumerate(inputs.get("ipAddresses") or [])
    ]
    return outputs


def _plan(inputs: Values, outputs: Values, names: Names) -> Values:
    outputs["version"] = uuid_of(f"{names['id']} {hashlib.sha256(repr(inputs).encode()).hexdigest()}")
    return outputs


def _organization(inputs: Values, outputs: Values, names: Names) -> Values:
    account, root = names["account"], f"r-{drawn('alnum', 4, names['id'])}"
    master = f"arn:aws:organizations::{account}:account/{names['id']}/{account}"
    types = [{"type": kind, "status": "ENABLED"} for kind in inputs.get("enabledPolicyTypes") or []]
    arn = f"arn:aws:organizations::{account}:root/{names['id']}/{root}"
    outputs |= {
        "roots": [{"id": root, "arn": arn, "name": "Root", "policyTypes": types}],
        "masterAccountArn": master,
        "masterAccountEmail": "management@example.com",
        "masterAccountName": "management",
        "masterAccountId": account,
        "accounts": [
            {"id": account, "arn": master, "email": "management@example.com", "name": "management", "status": "ACTIVE"}
        ],
        "nonMasterAccounts": [],
    }
    return outputs


REFINERS: dict[str, Refiner] = {
    "aws:ec2/vpc:Vpc": _vpc,
    "aws:ec2/subnet:Subnet": _subnet,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:networkfirewall/firewall:Firewall": _firewall,
    "aws:acm/certificate:Certificate": _certificate,
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    "aws:route53/resolverEndpoint:ResolverEndpoint": _resolver_endpoint,
    "aws:backup/plan:Plan": _plan,
    "aws:organizations/organization:Organization": _organization,
}
"""By type; each gets inputs, the outputs so far, and the names of templates (`id` among them)."""
