"""Flow logs of a VPC: every packet's fate, with the fields that an investigation asks for, in the log archive."""

from collections.abc import Sequence
from typing import Protocol

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import DataClass

from components.context import Context

FIELDS = (
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
    "vpc-id",
    "subnet-id",
    "instance-id",
    "tcp-flags",
    "type",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "region",
    "az-id",
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
    "flow-direction",
    "traffic-path",
)
"""Who opened a connection (`tcp-flags`, `flow-direction`), who stood behind a NAT or load balancer (`pkt-*`), which
instance it was, and by which way it left (`traffic-path`). Source: Amazon VPC User Guide, "Flow log records"."""

LOG_FORMAT = " ".join(f"${{{field}}}" for field in FIELDS)
AGGREGATION_S = 60
"""The shortest interval that there is: the lag after which a flow can be seen."""


class LogArchive(Protocol):
    """What a component needs to know of a region's log archive."""

    @property
    def bucket_name(self) -> pulumi.Output[str]:
        """Name of the bucket that takes deliveries of AWS services."""

    @property
    def bucket_arn(self) -> pulumi.Output[str]:
        """ARN of the same bucket."""

    @property
    def ready(self) -> Sequence[pulumi.Resource]:
        """What must exist before a service may deliver: the bucket's policy."""


def vpc_flow_log(
    name: str,
    *,
    context: Context,
    region: str,
    vpc_id: pulumi.Input[str],
    logs: LogArchive,
    parent: pulumi.Resource,
) -> aws.ec2.FlowLog:
    """Register the flow log of a VPC: accepted and refused packets, hourly Parquet files in Hive partitions."""
    return aws.ec2.FlowLog(
        name,
        region=region,
        vpc_id=vpc_id,
        traffic_type="ALL",
        log_destination_type="s3",
        log_destination=logs.bucket_arn,
        log_format=LOG_FORMAT,
        max_aggregation_interval=AGGREGATION_S,
        destination_options={
            "file_format": "parquet",
            "hive_compatible_partitions": True,
            "per_hour_partition": True,
        },
        tags=context.tags(context.name(region, name), DataClass.LOGS),
        # The service tries the bucket when the log is made; only the bucket's policy lets it.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(logs.ready)),
    )
