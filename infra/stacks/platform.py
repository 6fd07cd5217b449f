"""The platform: networks, servers, edge, names."""

import pulumi

from onedallmail.platform.stack import StackConfig

from components.context import Context
from components.dns import MailDns
from components.evidence_store import EvidenceStore
from components.keys import RegionKey
from components.mail_secrets import DkimKeys
from components.network import MailVpc
from components.peering import PeeringMesh
from components.servers import RegionServers


def deploy(config: StackConfig) -> None:
    """Register the stack's resources and export what other tools read."""
    context = Context.from_config(config, pulumi.Config())
    platform = context.platform
    regions = config.regions
    keys = {r.name: RegionKey(f"keys-{r.name}", context=context, region=r.name) for r in regions}
    networks = {r.name: MailVpc(f"network-{r.name}", context=context, region=r) for r in regions}
    PeeringMesh("peering", context=context, networks=networks)
    home, archive = platform.home, platform.archive
    dkim = DkimKeys("dkim", context=context, region=home, kms_key_arn=keys[home].arn)
    evidence = EvidenceStore("evidence", context=context, region=archive, kms_key_arn=keys[archive].arn)
    servers = {
        r.name: RegionServers(
            f"servers-{r.name}",
            context=context,
            region=r,
            network=networks[r.name],
            key=keys[r.name],
            dkim=dkim,
            evidence=evidence,
        )
        for r in regions
    }
    public = {name: address for group in servers.values() for name, address in group.public_ips.items()}
    dns = {d: MailDns(f"dns-{d}", context=context, domain=d, public_addresses=public) for d in platform.domains}

    pulumi.export("stack", platform.stack)
    pulumi.export("target", config.target)
    pulumi.export("domain", platform.domain)
    pulumi.export("domains", list(platform.domains))
    pulumi.export("servers", {name: facts for group in servers.values() for name, facts in group.facts.items()})
    pulumi.export(
        "regions",
        {
            name: {"vpcId": net.vpc_id, "cidr": net.cidr, "kmsKeyArn": keys[name].arn, "kmsAlias": keys[name].alias}
            for name, net in networks.items()
        },
    )
    pulumi.export("zones", {d: {"zoneId": z.zone_id, "nameServers": z.name_servers} for d, z in dns.items()})
    pulumi.export("evidenceBucket", evidence.bucket_name)
    pulumi.export("dkimSecretArns", dkim.arns)
