"""The platform's backup and its HSM."""

from collections.abc import Mapping

import pulumi

from onedallmail.platform.addresses import Tier
from onedallmail.platform.model import HSM_ZONES
from stacks.platform_network import Networks

from components.backup import Backup
from components.backup_reports import BackupReports
from components.context import Context
from components.hsm import HsmCluster, KeyStore
from components.keys import Keys
from components.log_store import LogStore
from components.restore_tests import RestoreTests


def make_backup(
    context: Context,
    keys: Keys,
    logs: Mapping[str, LogStore],
    alert_topics: Mapping[str, pulumi.Output[str]],
) -> None:
    """Register vaults, plans and restore tests of every region; copies and reports go to the region of the archive."""
    archive = context.platform.archive
    regions = [r.name for r in context.platform.config.regions]
    backup = Backup(
        "backup",
        scope=context,
        regions=regions,
        archive=archive,
        keys=keys,
        topic_arns=alert_topics or None,
    )
    BackupReports(
        "backup-reports",
        scope=context,
        region=archive,
        regions=regions,
        keys=keys,
        logs=logs[archive],
        retention_days=context.platform.config.evidence_retention_days,
    )
    for region in regions:
        RestoreTests(
            f"restore-{region}",
            scope=context,
            region=region,
            vault=backup.vaults[region],
            role_arn=backup.role_arn,
            keys=keys,
        )


def make_hsm(context: Context, networks: Networks) -> Mapping[str, pulumi.Output[str] | None]:
    """Register the HSM cluster in the first region, and the key store where the stack has it; return their ids."""
    config, settings = context.platform.config, pulumi.Config()
    subnets = networks.mail[context.platform.home].subnets(Tier.ENDPOINT)
    cluster = HsmCluster("hsm", context=context, subnet_ids=[subnets[zone] for zone in HSM_ZONES])
    if not config.options.hsm_key_store:
        return {"clusterId": cluster.cluster_id, "keyStoreId": None}
    store = KeyStore(
        "hsm-keys",
        context=context,
        cluster=cluster,
        trust_anchor=settings.require("hsmTrustAnchor"),
        password=settings.require_secret("hsmKeyStorePassword"),
        connected=settings.get_bool("hsmKeyStoreConnected") or False,
        administrators=config.key_administrators,
    )
    return {"clusterId": cluster.cluster_id, "keyStoreId": store.key_store_id}
