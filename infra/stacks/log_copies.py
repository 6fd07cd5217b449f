"""Copies of log archives: what one region wrote survives its loss, and whoever got hold of it."""

from collections.abc import Mapping

from components.context import Scope
from components.log_store import LogStore
from components.replication import BucketReplication


def copy_logs(scope: Scope, stores: Mapping[str, LogStore], archive: str) -> None:
    """Register copies of every region's locked logs in the archive region; its own ones go to the first other region.

    S3 copies no copies, so the archive and that other region do not send each other's back. Access logs are not copied:
    they lie under S3's own keys, and the trail's data events tell the same.
    """
    others = [region for region in stores if region != archive]
    for region, store in stores.items():
        target = archive if region != archive else next(iter(others), None)
        if target is not None:
            BucketReplication(
                f"copies-{region}",
                scope=scope,
                region=region,
                purpose="logs",
                source=store.bucket,
                destination=stores[target].bucket,
            )
