"""The platform's edge: names, load balancers, web firewall, accelerator, health checks."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from onedallmail.platform.flows import Party
from onedallmail.platform.naming import DataClass
from onedallmail.platform.records import mail_regions
from onedallmail.platform.regions import GLOBAL_REGION
from onedallmail.platform.stack import RegionConfig
from stacks.platform_network import Networks

from components.accelerator import MailAccelerator
from components.certificates import WebCertificates
from components.context import Context
from components.dns import MailDns
from components.edge import MailEdge
from components.health_checks import HealthChecks
from components.keys import Keys
from components.log_store import LogStore
from components.query_logs import QueryLogs
from components.reverse_dns import EgressAddress, EgressNames, ServerReverseNames
from components.security_groups import PartySecurityGroup
from components.servers import RegionServers
from components.service_names import ServiceEdge, ServiceNames
from components.shield import ShieldProtections
from components.waf import WebAcl
from components.web import WebBalancer


@dataclass(frozen=True)
class Foundations:
    """What the edge stands on."""

    context: Context
    keys: Keys
    dnssec_key_arn: pulumi.Output[str] | None
    logs: Mapping[str, LogStore]
    networks: Networks
    servers: Mapping[str, RegionServers]

    @property
    def mail_regions(self) -> tuple[RegionConfig, ...]:
        """Regions with mail servers."""
        names = mail_regions(self.context.platform)
        return tuple(r for r in self.context.platform.config.regions if r.name in names)

    def group(self, party: Party, region: str) -> pulumi.Output[str]:
        """Register the security group of a party that is no server."""
        return PartySecurityGroup(
            f"{region}-{party}",
            context=self.context,
            region=region,
            party=party,
            network=self.networks.mail[region],
        ).group_id


def make_edge(base: Foundations) -> dict[str, MailDns]:
    """Register zones, balancers and every name; return the zones by domain."""
    context, options = base.context, base.context.platform.options
    public = {name: ip for group in base.servers.values() for name, ip in group.public_ips.items()}
    zones = {
        domain: MailDns(
            f"dns-{domain}",
            context=context,
            domain=domain,
            public_addresses=public,
            dnssec_key_arn=base.dnssec_key_arn,
        )
        for domain in context.platform.domains
    }
    zone_ids = {domain: zone.zone_id for domain, zone in zones.items()}
    QueryLogs("queries", context=context, zone_ids=zone_ids, key_arn=base.keys.arn(DataClass.LOGS, GLOBAL_REGION))
    mail = _mail(base) if options.balancers else {}
    web = _web(base, zone_ids) if options.web_balancers else {}
    accelerator = _accelerator(base, mail) if options.accelerator else None
    checks = (
        HealthChecks(
            "health",
            context=context,
            mail={region: edge.public.dns_name for region, edge in mail.items()},
            web={region: balancer.dns_name for region, balancer in web.items()},
            servers={} if mail else public,
        ).ids
        if options.health_checks
        else {}
    )
    edge = ServiceEdge(
        mail={region: found.public for region, found in mail.items()}, web=web, accelerator=accelerator, checks=checks
    )
    for domain, zone_id in zone_ids.items():
        ServiceNames(
            f"names-{domain}", context=context, domain=domain, zone_id=zone_id, edge=edge, public_addresses=public
        )
    _reverse(base, zones[context.platform.domain])
    if options.shield_advanced:
        _shield(context, mail, web, accelerator, zones)
    return zones


def _mail(base: Foundations) -> dict[str, MailEdge]:
    return {
        region.name: MailEdge(
            f"edge-{region.name}",
            context=base.context,
            region=region,
            network=base.networks.mail[region.name],
            group_id=base.group(Party.EDGE, region.name),
            targets=base.servers[region.name].private_ips,
        )
        for region in base.mail_regions
    }


def _web(base: Foundations, zone_ids: Mapping[str, pulumi.Output[str]]) -> dict[str, WebBalancer]:
    names = [region.name for region in base.mail_regions]
    certificates = WebCertificates("web", context=base.context, regions=names, zone_ids=zone_ids)
    found = {}
    for region in base.mail_regions:
        balancer = found[region.name] = WebBalancer(
            f"web-{region.name}",
            context=base.context,
            region=region,
            network=base.networks.mail[region.name],
            group_id=base.group(Party.WEB, region.name),
            logs=base.logs[region.name],
            targets=base.servers[region.name].private_ips,
            certificates={domain: certificates.arns[region.name, domain] for domain in zone_ids},
        )
        WebAcl(
            f"waf-{region.name}",
            context=base.context,
            region=region.name,
            balancer_arn=balancer.arn,
            log_key_arn=base.keys.arn(DataClass.LOGS, region.name),
        )
    return found


def _accelerator(base: Foundations, mail: Mapping[str, MailEdge]) -> MailAccelerator:
    inner = {region: edge.accelerated for region, edge in mail.items() if edge.accelerated is not None}
    home = base.logs[base.context.platform.home]
    return MailAccelerator("accelerator", context=base.context, balancers=inner, flow_log_bucket=home.bucket_name)


def _reverse(base: Foundations, zone: MailDns) -> None:
    context = base.context
    if context.platform.options.balancers:
        names = mail_regions(context.platform)
        EgressNames(
            "egress",
            context=context,
            zone_id=zone.zone_id,
            addresses={
                place: EgressAddress(way.allocation_id, way.public_ip)
                for place, way in base.networks.egress.items()
                if place[0] in names
            },
        )
        return
    allocations = {name: id_ for group in base.servers.values() for name, id_ in group.allocation_ids.items()}
    ServerReverseNames("egress", context=context, allocation_ids=allocations, forward=zone.host_records)


def _shield(
    context: Context,
    mail: Mapping[str, MailEdge],
    web: Mapping[str, WebBalancer],
    accelerator: MailAccelerator | None,
    zones: Mapping[str, MailDns],
) -> None:
    arns: dict[str, pulumi.Input[str]] = {f"zone-{domain}": zone.zone_arn for domain, zone in zones.items()}
    arns |= {f"web-{region}": balancer.arn for region, balancer in web.items()}
    for region, edge in mail.items():
        arns |= {f"mail-{region}-{zone}": arn for zone, arn in edge.public.address_arns.items()}
    if accelerator is not None:
        arns["accelerator"] = accelerator.arn
    ShieldProtections("shield", context=context, arns=arns)
