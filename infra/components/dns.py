"""A mail domain's hosted zone and its records."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from onedallmail.platform.records import Record, address_records, mail_records, route53_values

from components.context import Context


class MailDns(pulumi.ComponentResource):
    """The zone of one domain with what senders, receivers and mail programs look up."""

    zone_id: pulumi.Output[str]
    name_servers: pulumi.Output[Sequence[str]]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        domain: str,
        public_addresses: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:dns:MailDns", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        zone = aws.route53.Zone(
            name, name=domain, comment="Mail domain", tags=context.tags(context.name(domain)), opts=self._child
        )
        self.zone_id, self.name_servers = zone.zone_id, zone.name_servers
        platform = context.platform
        for record in mail_records(platform, domain, context.dkim_public_keys.get(domain, "")):
            self._record(record, list(route53_values(record)))
        placeholder = {server: server for server in public_addresses}
        for record in address_records(platform, domain, placeholder):
            self._record(record, [public_addresses[server] for server in record.values])
        self.register_outputs({"zoneId": self.zone_id})

    def _record(self, record: Record, values: list[str] | list[pulumi.Output[str]]) -> None:
        aws.route53.Record(
            f"{record.name}-{record.type}",
            zone_id=self.zone_id,
            name=record.name,
            type=record.type,
            ttl=record.ttl_s,
            records=values,
            opts=self._child,
        )
