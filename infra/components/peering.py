"""Peering between the networks of all regions, with routes both ways."""

from collections.abc import Mapping
from itertools import combinations

import pulumi
import pulumi_aws as aws

from components.context import Context
from components.network import MailVpc


class PeeringMesh(pulumi.ComponentResource):
    """One peering connection for each pair of regions, for stacks without transit gateways."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        networks: Mapping[str, MailVpc],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:PeeringMesh", name, None, opts)
        self._context, self._networks = context, networks
        for one, two in combinations(networks, 2):
            connection = self._connect(one, two)
            self._route(one, two, connection)
            self._route(two, one, connection)
        self.register_outputs({})

    def _connect(self, one: str, two: str) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        tags = self._context.tags(self._context.name("peering", one, two))
        asked = aws.ec2.VpcPeeringConnection(
            f"{one}-{two}",
            region=one,
            vpc_id=self._networks[one].vpc_id,
            peer_vpc_id=self._networks[two].vpc_id,
            peer_region=two,
            tags=tags,
            opts=child,
        )
        accepted = aws.ec2.VpcPeeringConnectionAccepter(
            f"{one}-{two}", region=two, vpc_peering_connection_id=asked.id, auto_accept=True, tags=tags, opts=child
        )
        return accepted.vpc_peering_connection_id

    def _route(self, source: str, target: str, connection: pulumi.Output[str]) -> None:
        """Send what a region's servers address to another region over the connection between the two."""
        network = self._networks[source]
        for table, table_id in network.crossing_tables.items():
            aws.ec2.Route(
                f"{source}-{target}-{table.label}",
                region=source,
                route_table_id=table_id,
                destination_cidr_block=self._networks[target].cidr,
                vpc_peering_connection_id=connection,
                opts=pulumi.ResourceOptions(
                    parent=self, aliases=network.unzoned(table.zone, f"{source}-{target}-{table.tier}")
                ),
            )
