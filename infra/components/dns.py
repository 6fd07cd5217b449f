"""A mail domain's hosted zone, and the records that depend on no balancer."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from onedallmail.platform.records import Record, address_records, mail_records, route53_values

from components.context import Context
from components.dnssec import ZoneSigning


class MailDns(pulumi.ComponentResource):
    """The zone of one domain with what senders, receivers and mail programs look up.

    Names behind balancers are `service_names.ServiceNames`: balancers need certificates, certificates need the zone.
    """

    zone_id: pulumi.Output[str]
    zone_arn: pulumi.Output[str]
    name_servers: pulumi.Output[Sequence[str]]
    ds_record: pulumi.Output[str] | None
    """What the registrar publishes; none for a zone that is not signed."""
    host_records: dict[str, aws.route53.Record]
    """Address records of servers with an Elastic IP, by server; the first domain's zone has them."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        domain: str,
        public_addresses: Mapping[str, pulumi.Output[str]],
        dnssec_key_arn: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:dns:MailDns", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        zone = aws.route53.Zone(
            name,
            name=domain,
            comment="Mail domain",
            tags=context.tags(context.name(domain)),
            # A zone that is made again gets other name servers: the domain is lost until its registrar knows them.
            opts=pulumi.ResourceOptions(parent=self, protect=context.lasting),
        )
        self.zone_id, self.zone_arn, self.name_servers = zone.zone_id, zone.arn, zone.name_servers
        self._static(context, domain, public_addresses)
        signing = (
            ZoneSigning(name, context=context, zone_id=self.zone_id, key_arn=dnssec_key_arn, opts=self._child)
            if dnssec_key_arn is not None
            else None
        )
        self.ds_record = signing.ds_record if signing else None
        self.register_outputs({"zoneId": self.zone_id})

    def _static(self, context: Context, domain: str, public_addresses: Mapping[str, pulumi.Output[str]]) -> None:
        platform = context.platform
        for record in mail_records(platform, domain, context.dkim_public_keys.get(domain, "")):
            self._record(record, list(route53_values(record)))
        placeholder = {server: server for server in public_addresses}
        made = {
            record.name: self._record(record, [public_addresses[server] for server in record.values])
            for record in address_records(platform, domain, placeholder)
        }
        self.host_records = {s.name: made[s.fqdn] for s in platform.servers if s.fqdn in made}

    def _record(self, record: Record, values: list[str] | list[pulumi.Output[str]]) -> aws.route53.Record:
        return aws.route53.Record(
            f"{record.name}-{record.type}",
            zone_id=self.zone_id,
            name=record.name,
            type=record.type,
            ttl=record.ttl_s,
            records=values,
            opts=self._child,
        )
