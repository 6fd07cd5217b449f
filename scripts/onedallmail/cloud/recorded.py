"""Outputs of resources that are recorded only: ids and ARNs as AWS forms them, plausible values for the rest."""

import collections.abc
import secrets
import typing
from typing import Any

from onedallmail.engine.values import UNKNOWN

from .addresses import AddressBook
from .computed import REFINERS
from .naming import PREFIXED_DIGITS, Names, drawn, filled, subnet_id, zone_letter
from .rules import rules_of
from .schema import inputs_of, outputs_of, plain_type

Values = dict[str, Any]
EIP = "aws:ec2/eip:Eip"
INSTANCE = "aws:ec2/instance:Instance"
SUBNET = "aws:ec2/subnet:Subnet"
BY_ALLOCATION = ("aws:ec2/natGateway:NatGateway", "aws:ec2/eipAssociation:EipAssociation")


def named(token: str, inputs: Values, seed: str) -> Values:
    """Return the inputs with the name that the AWS provider makes of a `namePrefix`."""
    auto = rules_of(token).autoname
    if auto is None or inputs.get(auto.property) or not isinstance(prefix := inputs.get(f"{auto.property}Prefix"), str):
        return inputs
    return {**inputs, auto.property: prefix + drawn("digits", PREFIXED_DIGITS, seed)}


def new_id(token: str, inputs: Values, region: str) -> str:
    """Return an id for a new resource: random where AWS draws one, its name where AWS uses that."""
    seed = secrets.token_hex(8)
    identifier: str = rules_of(token).id.format_map(Names(token, inputs, region, seed))
    return subnet_id(identifier, zone_letter(inputs)) if token == SUBNET else identifier


def complete(token: str, identifier: str, inputs: Values, region: str) -> Values:
    """Return all outputs of a resource: its inputs, and the computed properties that follow from its id."""
    rules = rules_of(token)
    names = Names(token, inputs, region, identifier)
    names["id"] = identifier
    names["arn"] = rules.arn.format_map(names)
    result = dict(inputs)
    optional = inputs_of(token)
    for name, hint in outputs_of(token).items():
        if result.get(name) is not None or (name in optional and name not in rules.outputs):
            continue
        template = rules.outputs.get(name)
        value = filled(template, names) if template is not None else _plausible(name, plain_type(hint), names)
        if value is not None:
            result[name] = value
    if "region" in outputs_of(token):
        result["region"] = names["region"]
    if "tagsAll" in outputs_of(token):
        result["tagsAll"] = inputs.get("tags") or {}
    return REFINERS[token](inputs, result, names) if token in REFINERS and identifier != UNKNOWN else result


def _plausible(name: str, hint: Any, names: Names) -> Any:
    if name == "arn":
        return names["arn"]
    if hint is str:
        return ""
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
    full = named(token, inputs, secrets.token_hex(8))
    identifier = new_id(token, full, region)
    outputs = complete(token, identifier, full, region)
    if token == EIP:
        outputs["publicIp"] = book.allocate(urn, identifier)
    return identifier, _refine(token, full, outputs, book)


def update(token: str, identifier: str, inputs: Values, old: Values, *, region: str, book: AddressBook) -> Values:
    """Return the outputs after a change in place."""
    auto = rules_of(token).autoname
    full = {auto.property: old[auto.property], **inputs} if auto and auto.property in old else inputs
    outputs = complete(token, identifier, full, region)
    if token == EIP:
        outputs["publicIp"] = old["publicIp"]
    return _refine(token, full, outputs, book)


def delete(token: str, identifier: str, book: AddressBook) -> None:
    """Free what a recorded resource held."""
    if token == EIP:
        book.release(identifier)


def _refine(token: str, inputs: Values, outputs: Values, book: AddressBook) -> Values:
    if token == EIP:
        dashed = outputs["publicIp"].replace(".", "-")
        outputs["publicDns"] = f"ec2-{dashed}.{outputs['region']}.compute.amazonaws.com"
    if token in BY_ALLOCATION and (address := book.address(inputs.get("allocationId", ""))):
        outputs["publicIp"] = address
    if token == INSTANCE:
        # Its public address is that of the Elastic IP associated later.
        host = f"ip-{str(inputs.get('privateIp', '')).replace('.', '-')}"
        outputs |= {"publicIp": "", "publicDns": "", "privateDns": f"{host}.{outputs['region']}.compute.internal"}
    return outputs
