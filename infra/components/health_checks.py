"""Route 53 health checks: one for each service of each region, or of each server that has its own address."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from onedallmail.platform.ports import Port
from onedallmail.platform.records import served_names
from onedallmail.platform.service_records import MAIL_CHECKS

from components.context import Context

INTERVAL_S = 10
"""The faster of the two that there are: names live for a minute, so a slower check would double the outage."""
FAILURES = 3


class HealthChecks(pulumi.ComponentResource):
    """Whether a TCP connection is accepted, as checkers around the world see it.

    `ids` is keyed by region or server and port. TCP suffices: checkers verify no certificate, and what a service says
    is watched by the platform itself.
    """

    ids: dict[tuple[str, Port], pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        mail: Mapping[str, pulumi.Input[str]],
        web: Mapping[str, pulumi.Input[str]],
        servers: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:dns:HealthChecks", name, None, opts)
        self._name, self._context = name, context
        self.ids = {}
        for region, host in mail.items():
            for port in MAIL_CHECKS:
                self.ids[region, port] = self._check(region, port, host=host)
        for region, host in web.items():
            self.ids[region, Port.HTTPS] = self._check(region, Port.HTTPS, host=host)
        for server, address in servers.items():
            for port in sorted(set(served_names(context.platform).values())):
                self.ids[server, port] = self._check(server, port, address=address)
        self.register_outputs({})

    def _check(
        self,
        where: str,
        port: Port,
        *,
        host: pulumi.Input[str] | None = None,
        address: pulumi.Input[str] | None = None,
    ) -> pulumi.Output[str]:
        return aws.route53.HealthCheck(
            f"{self._name}-{where}-{port.service}",
            type="TCP",
            fqdn=host,
            ip_address=address,
            port=port.value,
            request_interval=INTERVAL_S,
            failure_threshold=FAILURES,
            tags=self._context.tags(self._context.name(where, port.service)),
            opts=pulumi.ResourceOptions(parent=self),
        ).id
