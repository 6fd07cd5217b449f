"""The platform's networks: mail and inspection VPCs, the ways between them, endpoints and resolvers."""

from collections.abc import Mapping
from dataclasses import dataclass

from onedallmail.platform.naming import DataClass

from components.context import Context
from components.endpoints import Endpoints
from components.inspection import InspectionVpc
from components.keys import Keys
from components.log_store import LogStore
from components.network import Egress, MailVpc
from components.peering import PeeringMesh
from components.resolver import ResolverGuard
from components.transit import TransitHub, TransitMesh


@dataclass(frozen=True)
class Networks:
    """Mail networks by region, and the fixed addresses from which private subnets call out, by region and zone."""

    mail: Mapping[str, MailVpc]
    egress: Mapping[tuple[str, str], Egress]


def make_networks(context: Context, keys: Keys, logs: Mapping[str, LogStore]) -> Networks:
    """Register every region's networks."""
    options, regions = context.platform.options, context.platform.config.regions
    mail = {r.name: MailVpc(f"network-{r.name}", context=context, region=r, logs=logs[r.name]) for r in regions}
    ways_out: dict[str, Mapping[str, Egress]] = {name: network.egress for name, network in mail.items()}
    inspection = _inspect(context, keys, logs, mail) if options.inspection else {}
    ways_out |= {name: found.egress for name, found in inspection.items()}
    if not options.inspection:
        PeeringMesh("peering", context=context, networks=mail)
    for name, network in mail.items():
        if options.endpoints:
            Endpoints(f"endpoints-{name}", context=context, region=name, network=network)
        if options.dns_firewall:
            ResolverGuard(
                f"resolver-{name}",
                context=context,
                region=name,
                network=network,
                logs=logs[name],
                inspection=inspection.get(name),
            )
    return Networks(mail, {(name, zone): e for name, found in ways_out.items() for zone, e in found.items()})


def _inspect(
    context: Context, keys: Keys, logs: Mapping[str, LogStore], mail: Mapping[str, MailVpc]
) -> dict[str, InspectionVpc]:
    hubs = {
        name: TransitHub(f"transit-{name}", context=context, region=name, network=network)
        for name, network in mail.items()
    }
    TransitMesh("transit", context=context, hubs=hubs)
    return {
        name: InspectionVpc(
            f"inspection-{name}",
            context=context,
            region=name,
            hub=hub,
            logs=logs[name],
            key_arn=keys.arn(DataClass.LOGS, name),
        )
        for name, hub in hubs.items()
    }
