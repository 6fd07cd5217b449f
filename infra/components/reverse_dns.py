"""Names of the addresses from which mail leaves: address records, what SPF refers to, and reverse names that agree."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from onedallmail.platform.records import EGRESS_NAME, egress_name

from components.context import Context

TTL_S = 300


@dataclass(frozen=True)
class EgressAddress:
    """A fixed address: a NAT gateway's or a server's own."""

    allocation_id: pulumi.Output[str]
    public_ip: pulumi.Output[str]


class EgressNames(pulumi.ComponentResource):
    """The names of NAT gateways, keyed by region and zone: forward, together as SPF asks for them, and reverse.

    None of them has a health check: receivers ask for them about mail that already left.
    """

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        zone_id: pulumi.Output[str],
        addresses: Mapping[tuple[str, str], EgressAddress],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:dns:EgressNames", name, None, opts)
        platform = context.platform

        def record(dns_name: str, values: list[pulumi.Output[str]]) -> aws.route53.Record:
            return aws.route53.Record(
                f"{dns_name}-A",
                zone_id=zone_id,
                name=dns_name,
                type="A",
                ttl=TTL_S,
                records=values,
                opts=pulumi.ResourceOptions(parent=self),
            )

        record(f"{EGRESS_NAME}.{platform.domain}", [a.public_ip for a in addresses.values()])
        for (region, zone), address in addresses.items():
            dns_name = egress_name(platform, region, zone)
            _reverse(dns_name, region, address.allocation_id, record(dns_name, [address.public_ip]), self)
        self.register_outputs({})


class ServerReverseNames(pulumi.ComponentResource):
    """The reverse names of servers with an Elastic IP; `forward` has their address records, by server."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        allocation_ids: Mapping[str, pulumi.Output[str]],
        forward: Mapping[str, aws.route53.Record],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:dns:ServerReverseNames", name, None, opts)
        for server, allocation_id in allocation_ids.items():
            found = context.platform.server(server)
            _reverse(found.fqdn, found.region, allocation_id, forward[server], self)
        self.register_outputs({})


def _reverse(
    dns_name: str,
    region: str,
    allocation_id: pulumi.Output[str],
    forward: aws.route53.Record,
    parent: pulumi.Resource,
) -> None:
    """Register the PTR record of an Elastic IP.

    The name is the record's output: AWS refuses a name that does not lead to the address yet.
    """
    aws.ec2.EipDomainName(
        f"{dns_name}-PTR",
        region=region,
        allocation_id=allocation_id,
        domain_name=forward.fqdn,
        opts=pulumi.ResourceOptions(parent=parent),
    )
