"""Outputs of resources that are recorded only: ids and ARNs as AWS forms them, plausible values for the rest."""

import collections.abc
import hashlib
import secrets
import typing
from collections import defaultdict
from typing import Any

from onedallmail.engine.values import UNKNOWN

from .addresses import AddressBook
from .rules import rules_of
from .schema import inputs_of, outputs_of, plain_type

ACCOUNT = "123456789012"
"""Account of the emulator, so that recorded ARNs and emulated ones agree."""

Values = dict[str, Any]
EIP = "aws:ec2/eip:Eip"
INSTANCE = "aws:ec2/instance:Instance"
BY_ALLOCATION = ("aws:ec2/natGateway:NatGateway", "aws:ec2/eipAssociation:EipAssociation")


def context(token: str, inputs: Values, region: str, seed: str) -> defaultdict[str, str]:
    """Return what templates of rules.yaml may name: text inputs, account, region, service, type, random digits."""
    digest = hashlib.sha256(f"{token} {seed}".encode()).hexdigest()
    names: defaultdict[str, str] = defaultdict(str, {k: v for k, v in inputs.items() if isinstance(v, str)})
    names |= {
        "hex17": "0" + digest[:16],
        "HEX16": digest[:16].upper(),
        "account": ACCOUNT,
        "region": inputs.get("region") or region,
        "service": token.split(":")[1].split("/", maxsplit=1)[0],
        "type": token.rsplit(":", 1)[-1].lower(),
    }
    return names


def new_id(token: str, inputs: Values, region: str) -> str:
    """Return an id for a new resource: random where AWS draws one, its name where AWS uses that."""
    return rules_of(token).id.format_map(context(token, inputs, region, secrets.token_hex(8)))


def complete(token: str, identifier: str, inputs: Values, region: str) -> Values:
    """Return all outputs of a resource: its inputs, and the computed properties that follow from its id."""
    rules = rules_of(token)
    names = context(token, inputs, region, identifier)
    names["id"] = identifier
    names["arn"] = rules.arn.format_map(names)
    result = dict(inputs)
    optional = inputs_of(token)
    for name, hint in outputs_of(token).items():
        if name in result or (name in optional and name not in rules.outputs):
            continue
        template = rules.outputs.get(name)
        value = template.format_map(names) if template is not None else _plausible(name, plain_type(hint), names)
        if value is not None:
            result[name] = value
    if "region" in outputs_of(token):
        result["region"] = names["region"]
    if "tagsAll" in outputs_of(token):
        result["tagsAll"] = inputs.get("tags") or {}
    return result


def _plausible(name: str, hint: Any, names: defaultdict[str, str]) -> Any:
    if name == "arn":
        return names["arn"]
    if hint is str:
        return f"{names['type']}-{name}-{names['hex17'][:9]}"
    if hint is bool:
        return False
    if hint in (int, float):
        return 0
    origin = typing.get_origin(hint)
    if origin in (collections.abc.Sequence, list):
        return []
    return {} if origin in (collections.abc.Mapping, dict) else None


def planned(token: str, inputs: Values, region: str) -> Values:
    """Return the outputs of a resource that a preview would create: what is not an input is unknown."""
    known = {"region", "tagsAll", *inputs}
    outputs = complete(token, UNKNOWN, inputs, region)
    return {k: v if k in known else UNKNOWN for k, v in outputs.items()}


def create(token: str, urn: str, inputs: Values, region: str, book: AddressBook) -> tuple[str, Values]:
    """Return id and outputs of a new recorded resource."""
    identifier = new_id(token, inputs, region)
    outputs = complete(token, identifier, inputs, region)
    if token == EIP:
        outputs["publicIp"] = book.allocate(urn, identifier)
    return identifier, _refine(token, inputs, outputs, book)


def update(token: str, identifier: str, inputs: Values, old: Values, *, region: str, book: AddressBook) -> Values:
    """Return the outputs after a change in place."""
    outputs = complete(token, identifier, inputs, region)
    if token == EIP:
        outputs["publicIp"] = old["publicIp"]
    return _refine(token, inputs, outputs, book)


def delete(token: str, identifier: str, book: AddressBook) -> None:
    """Free what a recorded resource held."""
    if token == EIP:
        book.release(identifier)


def _refine(token: str, inputs: Values, outputs: Values, book: AddressBook) -> Values:
    if token in BY_ALLOCATION and (address := book.address(inputs.get("allocationId", ""))):
        outputs["publicIp"] = address
    if token == INSTANCE:
        # Its public address is that of the Elastic IP associated later.
        host = f"ip-{str(inputs.get('privateIp', '')).replace('.', '-')}"
        outputs |= {"publicIp": "", "publicDns": "", "privateDns": f"{host}.{outputs['region']}.compute.internal"}
    return outputs
