"""The Pulumi program: which components a stack has, and what it exports."""

import pulumi

from onedallmail.platform.roles import ServerRole

from components.context import Context
from components.dns import MailDns
from components.evidence_store import EvidenceStore
from components.keys import RegionKey
from components.mail_secrets import DkimKeys
from components.network import MailVpc
from components.peering import PeeringMesh
from components.servers import RegionServers

context = Context.from_config(pulumi.Config())
regions = context.platform.config.regions

keys = {r.name: RegionKey(f"keys-{r.name}", context=context, region=r.name) for r in regions}
networks = {r.name: MailVpc(f"network-{r.name}", context=context, region=r) for r in regions}
PeeringMesh("peering", context=context, networks=networks)

home = regions[0].name
archive = next(r.name for r in regions if any(s.role is ServerRole.WITNESS for s in r.servers))
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
public_addresses = {name: address for group in servers.values() for name, address in group.public_ips.items()}
dns = {
    domain: MailDns(f"dns-{domain}", context=context, domain=domain, public_addresses=public_addresses)
    for domain in context.platform.domains
}

pulumi.export("stack", context.platform.stack)
pulumi.export("target", context.platform.config.target)
pulumi.export("domain", context.platform.domain)
pulumi.export("domains", list(context.platform.domains))
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
