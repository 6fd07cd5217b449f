"""The platform: keys, logs, networks, servers, edge, backup, detection. Reads as what a company gets."""

from collections.abc import Mapping

import pulumi

from onedallmail.platform.naming import DataClass
from onedallmail.platform.records import egress_name
from onedallmail.platform.regions import GLOBAL_REGION
from onedallmail.platform.stack import StackConfig
from stacks.log_copies import copy_logs
from stacks.platform_detection import make_defaults, make_detection, topics
from stacks.platform_edge import Foundations, make_edge
from stacks.platform_network import Networks, make_networks
from stacks.platform_recovery import make_backup, make_hsm

from components.context import Context
from components.evidence_store import EvidenceStore
from components.keys import DnssecKey, Keys, KeySet, ReferencedKeys
from components.log_store import LogStore
from components.mail_secrets import DkimKeys
from components.patching import Patching
from components.servers import RegionServers
from components.session import SessionManager


def deploy(config: StackConfig) -> None:
    """Register the stack's resources and export what other tools read."""
    context = Context.from_config(config, pulumi.Config())
    regions = [r.name for r in config.regions]
    home, archive = context.platform.home, context.platform.archive
    keys = _keys(context, regions)
    logs = {
        name: LogStore(
            f"logs-{name}", scope=context, region=name, keys=keys, retention_days=config.evidence_retention_days
        )
        for name in regions
    }
    copy_logs(context, logs, archive)
    networks = make_networks(context, keys, logs)
    make_defaults(context, keys)
    detection = make_detection(context, keys, logs) if config.options.detection else None
    alert_topics = topics(detection)
    dkim = DkimKeys("dkim", context=context, region=home, kms_key_arn=keys.arn(DataClass.MAIL, home))
    evidence = EvidenceStore(
        "evidence",
        scope=context,
        region=archive,
        replica_region=home,
        keys=keys,
        logs=logs,
        retention_days=config.evidence_retention_days,
    )
    servers = {
        r.name: RegionServers(
            f"servers-{r.name}",
            context=context,
            region=r,
            network=networks.mail[r.name],
            keys=keys,
            dkim=dkim,
            evidence=evidence,
            alerts_topic=alert_topics.get(r.name),
        )
        for r in config.regions
    }
    for number, name in enumerate(regions):
        SessionManager(f"sessions-{name}", context=context, region=name, keys=keys)
        if config.options.patching:
            Patching(f"patching-{name}", context=context, region=name, hour=4 * number)
    zones = make_edge(Foundations(context, keys, _dnssec_key(context), logs, networks, servers))
    if config.options.backup:
        make_backup(context, keys, logs, alert_topics)
    hsm = make_hsm(context, networks) if config.options.cloud_hsm else {}

    pulumi.export("stack", context.stack)
    pulumi.export("target", config.target)
    pulumi.export("accountId", context.account_id)
    pulumi.export("domain", context.platform.domain)
    pulumi.export("domains", list(context.platform.domains))
    pulumi.export("servers", {name: facts for group in servers.values() for name, facts in group.facts.items()})
    pulumi.export(
        "regions",
        {
            name: {"vpcId": net.vpc_id, "cidr": net.cidr, "kmsKeyArn": keys.arn(DataClass.MAIL, name)}
            for name, net in networks.mail.items()
        },
    )
    pulumi.export("egressAddresses", _egress(context, networks, servers))
    pulumi.export(
        "zones",
        {d: {"zoneId": z.zone_id, "nameServers": z.name_servers, "dsRecord": z.ds_record} for d, z in zones.items()},
    )
    pulumi.export("evidenceBucket", evidence.bucket_name)
    pulumi.export("dkimSecretArns", dkim.arns)
    queues = {region: events.queue_url for region, events in detection.events.items()} if detection else {}
    pulumi.export("alertQueueUrls", queues)
    pulumi.export("hsmClusterId", hsm.get("clusterId"))
    pulumi.export("hsmKeyStoreId", hsm.get("keyStoreId"))


def _keys(context: Context, regions: list[str]) -> Keys:
    """Return the stack's keys: its own ones, or those of the stack that it refers to."""
    config = context.platform.config
    if config.references.keys:
        name = f"organization/{pulumi.get_project()}/{config.references.keys}"
        return ReferencedKeys(pulumi.StackReference(name))
    return KeySet(
        "keys",
        scope=context,
        regions=regions,
        administrators=config.key_administrators,
        log_regions=[GLOBAL_REGION],
    )


def _dnssec_key(context: Context) -> pulumi.Output[str] | None:
    """Return the key of the zones' signatures, in the account of the zones, where Route 53 is sure to find it."""
    config = context.platform.config
    if not config.options.dnssec:
        return None
    return DnssecKey("dnssec", scope=context, administrators=config.key_administrators).arn


def _egress(
    context: Context, networks: Networks, servers: Mapping[str, RegionServers]
) -> dict[str, pulumi.Output[dict[str, str]]]:
    """Return, by region, each address from which mail leaves with its name: what AWS is asked to let out."""
    platform = context.platform
    found: dict[str, list[pulumi.Output[tuple[str, str]]]] = {}
    if platform.options.balancers:
        for (region, zone), way in networks.egress.items():
            name = egress_name(platform, region, zone)
            found.setdefault(region, []).append(pulumi.Output.all(way.public_ip, name).apply(tuple))
    else:
        for region, group in servers.items():
            for server, address in group.public_ips.items():
                name = platform.server(server).fqdn
                found.setdefault(region, []).append(pulumi.Output.all(address, name).apply(tuple))
    return {region: pulumi.Output.all(*pairs).apply(dict) for region, pairs in found.items()}
