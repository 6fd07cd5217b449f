"""The names of a domain that lead to balancers, to the accelerator, or to servers that pass their check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi
import pulumi_aws as aws

from onedallmail.platform.ports import Port
from onedallmail.platform.service_records import (
    Balancer,
    CheckedAddress,
    Routing,
    ServiceRecord,
    checked_addresses,
    service_records,
)

from components.context import Context

CHECKED_TTL_S = 60


class AliasTarget(Protocol):
    """What an alias record may lead to: a load balancer or the accelerator."""

    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]


@dataclass(frozen=True)
class ServiceEdge:
    """What stands behind a domain's names: balancers by region, the accelerator, and checks by place and port."""

    mail: Mapping[str, AliasTarget] = field(default_factory=dict)
    web: Mapping[str, AliasTarget] = field(default_factory=dict)
    accelerator: AliasTarget | None = None
    checks: Mapping[tuple[str, Port], pulumi.Output[str]] = field(default_factory=dict)

    def target(self, record: ServiceRecord) -> AliasTarget:
        """Return what a record leads to.

        Raises:
            KeyError: the stack has no such balancer.
        """
        if record.balancer is Balancer.ACCELERATOR and self.accelerator:
            return self.accelerator
        found = (self.mail if record.balancer is Balancer.MAIL else self.web).get(record.region or "")
        if found is None:
            msg = f"{record.name} leads to the {record.balancer} balancer of {record.region}, which was not given"
            raise KeyError(msg)
        return found


class ServiceNames(pulumi.ComponentResource):
    """A domain's exchangers (below the first domain), client names and web names."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        domain: str,
        zone_id: pulumi.Output[str],
        edge: ServiceEdge,
        public_addresses: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:dns:ServiceNames", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._zone_id, self._edge = zone_id, edge
        for record in service_records(context.platform, domain):
            self._alias(record)
        for checked in checked_addresses(context.platform, domain):
            self._checked(checked, public_addresses[checked.server])
        self.register_outputs({})

    def _alias(self, record: ServiceRecord) -> None:
        target = self._edge.target(record)
        identity = f"-{record.set_identifier}" if record.set_identifier else ""
        aws.route53.Record(
            f"{record.name}-{record.type}{identity}",
            zone_id=self._zone_id,
            name=record.name,
            type=record.type,
            aliases=[
                {
                    "name": target.dns_name,
                    "zone_id": target.zone_id,
                    # The accelerator leaves an unhealthy region by itself and is a name's only answer.
                    "evaluate_target_health": record.balancer is not Balancer.ACCELERATOR,
                }
            ],
            set_identifier=record.set_identifier,
            health_check_id=self._edge.checks.get((record.region or "", record.port)),
            opts=self._child,
            **_routing(record),
        )

    def _checked(self, checked: CheckedAddress, address: pulumi.Output[str]) -> None:
        aws.route53.Record(
            f"{checked.name}-A-{checked.server}",
            zone_id=self._zone_id,
            name=checked.name,
            type="A",
            ttl=CHECKED_TTL_S,
            records=[address],
            set_identifier=checked.server,
            multivalue_answer_routing_policy=True,
            health_check_id=self._edge.checks[checked.server, checked.port],
            opts=self._child,
        )


def _routing(record: ServiceRecord) -> dict[str, Any]:
    match record.routing:
        case Routing.LATENCY:
            return {"latency_routing_policies": [{"region": record.region}]}
        case Routing.PRIMARY | Routing.SECONDARY:
            return {"failover_routing_policies": [{"type": record.routing.upper()}]}
        case Routing.SIMPLE:
            return {}
