"""VPC endpoints: AWS APIs without leaving the network, each with a policy that says who may ask it for what."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.addresses import Tier
from onedallmail.platform.flows import Party
from onedallmail.platform.stack import PROJECT

from components.context import Context
from components.network import MailVpc
from components.security_groups import PartySecurityGroup

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "ec2": ("ec2:DescribeInstances", "ec2:DescribeTags", "ec2:DescribeVolumes"),
    "ec2messages": (
        "ec2messages:AcknowledgeMessage",
        "ec2messages:DeleteMessage",
        "ec2messages:FailMessage",
        "ec2messages:GetEndpoint",
        "ec2messages:GetMessages",
        "ec2messages:SendReply",
    ),
    "kms": (
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
    ),
    "logs": ("logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents"),
    "monitoring": ("cloudwatch:PutMetricData",),
    "secretsmanager": ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"),
    "ssm": (
        "ssm:DescribeAssociation",
        "ssm:DescribeDocument",
        "ssm:GetDeployablePatchSnapshotForInstance",
        "ssm:GetDocument",
        "ssm:GetManifest",
        "ssm:GetParameter",
        "ssm:GetParameters",
        "ssm:ListAssociations",
        "ssm:ListInstanceAssociations",
        "ssm:PutComplianceItems",
        "ssm:PutConfigurePackageResult",
        "ssm:PutInventory",
        "ssm:UpdateAssociationStatus",
        "ssm:UpdateInstanceAssociationStatus",
        "ssm:UpdateInstanceInformation",
    ),
    "ssmmessages": (
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ),
    "sts": ("sts:AssumeRole", "sts:GetCallerIdentity"),
}
"""What a server asks each service for. Session Manager: the managed policy AmazonSSMManagedInstanceCore names it."""

OWN_BUCKET_ACTIONS = (
    "s3:AbortMultipartUpload",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectRetention",
)

AWS_BUCKETS = (
    "amazon-ssm-{region}",
    "amazon-ssm-packages-{region}",
    "amazoncloudwatch-agent-{region}",
    "aws-patch-manager-{region}-*",
    "aws-ssm-{region}",
    "aws-ssm-distributor-file-{region}",
    "aws-ssm-document-attachments-{region}",
    "patch-baseline-snapshot-{region}",
    "{region}-birdwatcher-prod",
)
"""Buckets from which agents fetch themselves, documents and patch baselines.
Source: AWS Systems Manager User Guide, "SSM Agent communications with AWS managed S3 buckets"."""


class Endpoints(pulumi.ComponentResource):
    """A region's endpoints: a gateway for S3, and an interface a zone for each other service."""

    group_id: pulumi.Output[str]
    endpoint_ids: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        network: MailVpc,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:Endpoints", name, None, opts)
        self._name, self._context, self._region, self._network = name, context, region, network
        self._child = pulumi.ResourceOptions(parent=self)
        group = PartySecurityGroup(
            f"{region}-endpoint",
            context=context,
            region=region,
            party=Party.ENDPOINT,
            network=network,
            opts=self._child,
        )
        self.group_id = group.group_id
        self.endpoint_ids = {"s3": self._gateway()}
        self.endpoint_ids |= {service: self._interface(service) for service in ACTIONS}
        self.register_outputs({"groupId": self.group_id})

    def _gateway(self) -> pulumi.Output[str]:
        tables = self._network.crossing_tables.items()
        return aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            region=self._region,
            vpc_id=self._network.vpc_id,
            service_name=f"com.amazonaws.{self._region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[id_ for table, id_ in tables if table.tier is not Tier.ENDPOINT],
            policy=self._context.account_id.apply(lambda account: s3_policy(account, self._region)),
            tags=self._tags("s3"),
            opts=self._child,
        ).id

    def _interface(self, service: str) -> pulumi.Output[str]:
        return aws.ec2.VpcEndpoint(
            f"{self._name}-{service}",
            region=self._region,
            vpc_id=self._network.vpc_id,
            service_name=f"com.amazonaws.{self._region}.{service}",
            vpc_endpoint_type="Interface",
            subnet_ids=list(self._network.subnets(Tier.ENDPOINT).values()),
            security_group_ids=[self.group_id],
            private_dns_enabled=True,
            policy=self._context.account_id.apply(lambda account: interface_policy(account, service)),
            tags=self._tags(service),
            opts=self._child,
        ).id

    def _tags(self, service: str) -> dict[str, str]:
        return self._context.tags(self._context.name(self._region, "endpoint", service))


def interface_policy(account: str, service: str) -> str:
    """Return the policy of an interface endpoint: this account's principals, and what servers ask the service for."""
    return _document([_own(account, "OwnPrincipals", ACTIONS[service], ["*"])])


def s3_policy(account: str, region: str) -> str:
    """Return the policy of the S3 endpoint: the platform's buckets, and AWS's own ones to read packages from."""
    buckets = [f"arn:aws:s3:::{PROJECT}-*", f"arn:aws:s3:::{PROJECT}-*/*"]
    packages = [f"arn:aws:s3:::{bucket.format(region=region)}/*" for bucket in AWS_BUCKETS]
    return _document(
        [
            _own(account, "OwnBuckets", OWN_BUCKET_ACTIONS, buckets),
            {
                "Sid": "PackagesOfAws",
                "Effect": "Allow",
                "Principal": "*",
                "Action": ["s3:GetObject"],
                "Resource": packages,
            },
        ]
    )


def _own(account: str, sid: str, actions: tuple[str, ...], resources: list[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": "*",
        "Action": list(actions),
        "Resource": resources,
        "Condition": {"StringEquals": {"aws:PrincipalAccount": account}},
    }


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
