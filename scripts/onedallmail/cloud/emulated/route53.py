"""Route 53 hosted zones and record sets."""

import uuid
from typing import Any

from botocore.exceptions import ClientError

from .api import Api, Handler, RefusedError, Values, code, gone_tags, present, tag_list

SERVICE, REGION = "route53", "us-east-1"
FIXED_TYPES = ("NS", "SOA")
MAX_STRING = 255
"""Octets of one character-string (RFC 1035, section 3.3)."""


def _create_zone(api: Api, inputs: Values, claim: str) -> tuple[str, Values]:
    client = api(SERVICE, REGION)
    networks = [present(VPCId=v["vpcId"], VPCRegion=v.get("vpcRegion")) for v in inputs.get("vpcs") or []]
    settings = {"Comment": inputs.get("comment", "Managed by Pulumi"), "PrivateZone": bool(networks)}
    made = client.create_hosted_zone(
        Name=inputs["name"],
        CallerReference=f"{claim}-{uuid.uuid4()}",
        HostedZoneConfig=settings,
        **({"VPC": networks[0]} if networks else {}),
    )
    zone = made["HostedZone"]["Id"].rpartition("/")[2]
    for network in networks[1:]:
        client.associate_vpc_with_hosted_zone(HostedZoneId=zone, VPC=network)
    _tag_zone(client, zone, {}, inputs)
    servers = made.get("DelegationSet", {}).get("NameServers", [])
    outputs: Values = {"zoneId": zone, "nameServers": servers, "arn": f"arn:aws:route53:::hostedzone/{zone}"}
    return zone, {**outputs, "primaryNameServer": servers[0] if servers else ""}


def _tag_zone(client: Any, zone: str, old: Values, inputs: Values) -> None:
    added, gone = tag_list(inputs.get("tags")), gone_tags(old, inputs)
    if added or gone:
        client.change_tags_for_resource(
            ResourceType="hostedzone",
            ResourceId=zone,
            **({"AddTags": added} if added else {}),
            **({"RemoveTagKeys": gone} if gone else {}),
        )


def _update_zone(api: Api, zone: str, old: Values, inputs: Values) -> Values:
    client = api(SERVICE, REGION)
    if (old.get("vpcs") or []) != (inputs.get("vpcs") or []):
        msg = "vpcs: the lab's emulation does not change the networks of a zone: replace the zone"
        raise RefusedError(msg)
    if old.get("comment") != inputs.get("comment"):
        client.update_hosted_zone_comment(Id=zone, Comment=inputs.get("comment") or "")
    _tag_zone(client, zone, old, inputs)
    return {}


def _delete_zone(api: Api, zone: str, inputs: Values) -> None:
    client = api(SERVICE, REGION)
    if inputs.get("forceDestroy"):
        for record in _all_records(client, zone):
            if record["Type"] not in FIXED_TYPES:
                _change(client, zone, "DELETE", record)
    client.delete_hosted_zone(Id=zone)


def _probe_zone(api: Api, zone: str, _: Values) -> None:
    api(SERVICE, REGION).get_hosted_zone(Id=zone)


def _all_records(client: Any, zone: str) -> list[Values]:
    pages = client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
    return [record for page in pages for record in page["ResourceRecordSets"]]


def _change(client: Any, zone: str, action: str, record: Values) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def text_value(value: str) -> str:
    """Return a TXT value in quotes, as the AWS provider writes it, with its strings checked.

    Raises:
        RefusedError: a string is longer than DNS allows; write it as `first" "second`.
    """
    quoted = value if value.startswith('"') and value.endswith('"') else f'"{value}"'
    if any(len(part) > MAX_STRING for part in quoted[1:-1].split('" "')):
        msg = f"records: a TXT string has more than {MAX_STRING} characters: split it as 'first\" \"second'"
        raise RefusedError(msg)
    return quoted


def _record(client: Any, inputs: Values) -> Values:
    zone = client.get_hosted_zone(Id=inputs["zoneId"])["HostedZone"]["Name"].rstrip(".")
    name = inputs["name"].rstrip(".").lower()
    full = name if name == zone or name.endswith(f".{zone}") else f"{name}.{zone}" if name else zone
    record: Values = {"Name": full, "Type": inputs["type"]}
    record |= _routing(inputs)
    if aliases := inputs.get("aliases"):
        health = bool(aliases[0].get("evaluateTargetHealth"))
        target = {"HostedZoneId": aliases[0]["zoneId"], "DNSName": aliases[0]["name"]}
        return {**record, "AliasTarget": {**target, "EvaluateTargetHealth": health}}
    if not inputs.get("records") or inputs.get("ttl") is None:
        msg = "records: a record needs records and ttl, or aliases"
        raise RefusedError(msg)
    values = [text_value(v) if inputs["type"] in ("TXT", "SPF") else v for v in inputs["records"]]
    return {**record, "TTL": inputs["ttl"], "ResourceRecords": [{"Value": v} for v in values]}


def _routing(inputs: Values) -> Values:
    """Return which of several records of a name Route 53 answers with."""
    weighted, latency = _first(inputs, "weightedRoutingPolicies"), _first(inputs, "latencyRoutingPolicies")
    failover, place = _first(inputs, "failoverRoutingPolicies"), _first(inputs, "geolocationRoutingPolicies")
    location = present(
        ContinentCode=place.get("continent"),
        CountryCode=place.get("country"),
        SubdivisionCode=place.get("subdivision"),
    )
    return present(
        SetIdentifier=inputs.get("setIdentifier"),
        HealthCheckId=inputs.get("healthCheckId"),
        Weight=weighted.get("weight"),
        Region=latency.get("region"),
        Failover=failover.get("type"),
        GeoLocation=location or None,
        MultiValueAnswer=inputs.get("multivalueAnswerRoutingPolicy"),
    )


def _first(inputs: Values, name: str) -> Values:
    found: Values = next(iter(inputs.get(name) or ()), {})
    return found


def _find(client: Any, zone: str, wanted: Values) -> Values | None:
    def key(record: Values) -> tuple[str, str, str]:
        return record["Name"].rstrip(".").lower(), record["Type"], record.get("SetIdentifier", "")

    return next((r for r in _all_records(client, zone) if key(r) == key(wanted)), None)


def _create_record(api: Api, inputs: Values, _: str) -> tuple[str, Values]:
    client = api(SERVICE, REGION)
    zone, record = inputs["zoneId"], _record(client, inputs)
    try:
        _change(client, zone, "UPSERT" if inputs.get("allowOverwrite") else "CREATE", record)
    except ClientError:
        found = _find(client, zone, record)
        # A run that was killed may have made exactly this one.
        same = found is not None and found.get("ResourceRecords") == record.get("ResourceRecords")
        if not same:
            raise
    parts = [zone, record["Name"], record["Type"], *([record["SetIdentifier"]] if "SetIdentifier" in record else [])]
    return "_".join(parts), {"fqdn": record["Name"]}


def _update_record(api: Api, _id: str, old: Values, inputs: Values) -> Values:
    client = api(SERVICE, REGION)
    record, before = _record(client, inputs), _record(client, old) if old else {}
    moved = before and any(before.get(name) != record.get(name) for name in ("Type", "SetIdentifier"))
    if moved and (found := _find(client, inputs["zoneId"], before)):
        _change(client, inputs["zoneId"], "DELETE", found)
    _change(client, inputs["zoneId"], "UPSERT", record)
    return {"fqdn": record["Name"]}


def _delete_record(api: Api, _: str, inputs: Values) -> None:
    client = api(SERVICE, REGION)
    if found := _find(client, inputs["zoneId"], _record(client, inputs)):
        try:
            _change(client, inputs["zoneId"], "DELETE", found)
        except ClientError as error:
            if code(error) != "InvalidChangeBatch":  # it went in the meantime
                raise


def _probe_record(api: Api, identifier: str, known: Values) -> None:
    client = api(SERVICE, REGION)
    if _find(client, known["zoneId"], _record(client, known)) is None:
        missing = {"Error": {"Code": "NotFoundException", "Message": identifier}}
        raise ClientError(missing, "ListResourceRecordSets")  # type: ignore[arg-type, unused-ignore]


RECORD_INPUTS = frozenset(
    {
        "zoneId",
        "name",
        "type",
        "ttl",
        "records",
        "aliases",
        "setIdentifier",
        "allowOverwrite",
        "healthCheckId",
        "weightedRoutingPolicies",
        "latencyRoutingPolicies",
        "failoverRoutingPolicies",
        "geolocationRoutingPolicies",
        "multivalueAnswerRoutingPolicy",
    }
)

HANDLERS = {
    "aws:route53/zone:Zone": Handler(
        create=_create_zone,
        update=_update_zone,
        delete=_delete_zone,
        probe=_probe_zone,
        inputs=frozenset({"name", "comment", "forceDestroy", "vpcs"}),
    ),
    "aws:route53/record:Record": Handler(
        create=_create_record,
        update=_update_record,
        delete=_delete_record,
        probe=_probe_record,
        inputs=RECORD_INPUTS,
    ),
}
