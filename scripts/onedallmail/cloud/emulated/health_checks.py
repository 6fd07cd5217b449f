"""Route 53 health checks. The emulator answers for them; nothing probes their targets."""

from typing import Any

from .api import Api, Handler, Values, gone_tags, present, tag_list

SERVICE, REGION = "route53", "us-east-1"


def _settings(inputs: Values) -> Values:
    """Return what may change in place, as the API names it."""
    return present(
        IPAddress=inputs.get("ipAddress"),
        Port=inputs.get("port"),
        ResourcePath=inputs.get("resourcePath"),
        FullyQualifiedDomainName=inputs.get("fqdn"),
        SearchString=inputs.get("searchString"),
        FailureThreshold=inputs.get("failureThreshold"),
        Inverted=inputs.get("invertHealthcheck"),
        Disabled=inputs.get("disabled"),
        HealthThreshold=inputs.get("childHealthThreshold"),
        ChildHealthChecks=inputs.get("childHealthchecks"),
        EnableSNI=inputs.get("enableSni"),
        Regions=inputs.get("regions"),
    )


def _create(api: Api, inputs: Values, claim: str) -> tuple[str, Values]:
    client = api(SERVICE, REGION)
    fixed = present(
        Type=inputs["type"],
        RequestInterval=inputs.get("requestInterval"),
        MeasureLatency=inputs.get("measureLatency"),
    )
    made = client.create_health_check(
        CallerReference=inputs.get("referenceName") or claim, HealthCheckConfig={**fixed, **_settings(inputs)}
    )["HealthCheck"]
    _tag(client, made["Id"], {}, inputs)
    return made["Id"], {"arn": f"arn:aws:route53:::healthcheck/{made['Id']}"}


def _tag(client: Any, check: str, old: Values, inputs: Values) -> None:
    added, gone = tag_list(inputs.get("tags")), gone_tags(old, inputs)
    if added or gone:
        client.change_tags_for_resource(
            ResourceType="healthcheck",
            ResourceId=check,
            **({"AddTags": added} if added else {}),
            **({"RemoveTagKeys": gone} if gone else {}),
        )


def _update(api: Api, check: str, old: Values, inputs: Values) -> Values:
    client = api(SERVICE, REGION)
    client.update_health_check(HealthCheckId=check, **_settings(inputs))
    _tag(client, check, old, inputs)
    return {}


def _delete(api: Api, check: str, _: Values) -> None:
    api(SERVICE, REGION).delete_health_check(HealthCheckId=check)


def _probe(api: Api, check: str, _: Values) -> None:
    api(SERVICE, REGION).get_health_check(HealthCheckId=check)


INPUTS = frozenset(
    {
        "type",
        "ipAddress",
        "port",
        "resourcePath",
        "fqdn",
        "searchString",
        "requestInterval",
        "failureThreshold",
        "measureLatency",
        "invertHealthcheck",
        "disabled",
        "childHealthThreshold",
        "childHealthchecks",
        "enableSni",
        "regions",
        "referenceName",
    }
)

HANDLERS = {
    "aws:route53/healthCheck:HealthCheck": Handler(
        create=_create, update=_update, delete=_delete, probe=_probe, inputs=INPUTS
    )
}
