"""Detection of a whole account: every region watched, one trail with its alarms, one view over all findings."""

from collections.abc import Mapping, Sequence

import pulumi

from components.aggregation import ConfigAggregator, FindingAggregator, MemberDetection
from components.alarms import CisAlarms
from components.config_recorder import ConfigArchive
from components.context import Scope
from components.detection import DetectionSettings, RegionDetection
from components.events import SecurityEvents
from components.keys import Keys
from components.log_store import LogStore
from components.replication import BucketReplication
from components.trail import AuditTrail


class AccountDetection(pulumi.ComponentResource):
    """What the audit account has for the organisation, and a platform's account for itself.

    The first region is the home: the trail, the archive of Config and the aggregators are there.
    """

    events: dict[str, SecurityEvents]
    trail: AuditTrail | None
    config: ConfigArchive
    regional: dict[str, RegionDetection]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        regions: Sequence[str],
        keys: Keys,
        logs: Mapping[str, LogStore],
        retention_days: int,
        emails: Sequence[str] = (),
        settings: DetectionSettings | None = None,
        copies: LogStore | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`copies` is a locked archive in another region than the first: it keeps what Config recorded."""
        super().__init__("onedallmail:detection:AccountDetection", name, None, opts)
        self._name, self._scope, self._regions, self._keys, self._logs = name, scope, regions, keys, logs
        self._settings = settings or DetectionSettings()
        self._child = pulumi.ResourceOptions(parent=self)
        self.events = {
            region: SecurityEvents(
                f"{name}-events-{region}", scope=scope, region=region, keys=keys, emails=emails, opts=self._child
            )
            for region in regions
        }
        self.trail = None if self._settings.administered else self._trail(retention_days)
        self.config = self._archive(copies)
        self.regional = {region: self._region(region) for region in regions}
        if not self._settings.administered:
            self._aggregate()
        self.register_outputs({})

    def _trail(self, retention_days: int) -> AuditTrail:
        home = self._regions[0]
        trail = AuditTrail(
            f"{self._name}-trail",
            scope=self._scope,
            region=home,
            keys=self._keys,
            logs=self._logs[home],
            retention_days=retention_days,
            management_account_id=self._settings.management_account_id,
            opts=self._child,
        )
        CisAlarms(
            f"{self._name}-alarms",
            scope=self._scope,
            region=home,
            log_group_name=trail.log_group_name,
            topic_arn=self.events[home].topic_arn,
            opts=self._child,
        )
        return trail

    def _archive(self, copies: LogStore | None) -> ConfigArchive:
        home = self._regions[0]
        archive = ConfigArchive(
            f"{self._name}-config",
            scope=self._scope,
            region=home,
            keys=self._keys,
            logs=self._logs[home],
            opts=self._child,
        )
        if copies is not None:
            BucketReplication(
                f"{self._name}-config-copies",
                scope=self._scope,
                region=home,
                purpose="config",
                source=archive.bucket,
                destination=copies.bucket,
                opts=self._child,
            )
        return archive

    def _region(self, region: str) -> RegionDetection:
        return RegionDetection(
            f"{self._name}-{region}",
            scope=self._scope,
            region=region,
            home=region == self._regions[0],
            keys=self._keys,
            logs=self._logs[region],
            config=self.config,
            settings=self._settings,
            opts=self._child,
        )

    def _aggregate(self) -> None:
        home = self._regions[0]
        ConfigAggregator(
            f"{self._name}-aggregator",
            scope=self._scope,
            region=home,
            regions=self._regions,
            organization=self._settings.organization,
            opts=self._child,
        )
        FindingAggregator(f"{self._name}-findings", home=home, detection=self.regional, opts=self._child)
        if self._settings.organization:
            for region, found in self.regional.items():
                MemberDetection(f"{self._name}-members-{region}", region=region, detection=found, opts=self._child)
