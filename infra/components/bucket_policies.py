"""Bucket policies: TLS only, the bucket's own key only, and the AWS services that deliver logs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onedallmail.platform.stack import PROJECT

Statement = dict[str, Any]
REPLICATION_ROLES = f"arn:aws:iam::*:role/{PROJECT}-*-replication-*"
LINKED_ROLES = "arn:aws:iam::*:role/aws-service-role/*"
"""Roles that AWS services work with themselves, as AWS Backup's reports do."""
ACCELERATOR_REGION = "us-west-2"
"""Global Accelerator's API, and with it the source of its flow logs, is in this region."""


ACCOUNT_FOLDERS = ("AWSLogs/{account}/*", "*/AWSLogs/{account}/*")
"""Where services write for an account, below a prefix of the delivery's choice or none."""


@dataclass(frozen=True)
class Sender:
    """An AWS service that delivers logs, and on behalf of which resource."""

    sid: str
    service: str
    source: str
    """Pattern of `aws:SourceArn`; `{region}` and `{account}` are filled in."""
    owner_acl: bool = False
    """Whether the service hands objects over with the canned ACL `bucket-owner-full-control`."""
    folders: tuple[str, ...] = ACCOUNT_FOLDERS


DELIVERY = (
    Sender("LogDelivery", "delivery.logs.amazonaws.com", "arn:aws:logs:{region}:{account}:*", owner_acl=True),
    Sender("Trail", "cloudtrail.amazonaws.com", f"arn:aws:cloudtrail:*:{{account}}:trail/{PROJECT}-*", owner_acl=True),
    Sender("Findings", "guardduty.amazonaws.com", "arn:aws:guardduty:{region}:{account}:detector/*", folders=("*",)),
    Sender("Classification", "macie.amazonaws.com", "arn:aws:macie2:{region}:{account}:*", folders=("*",)),
)
"""What the locked log bucket takes: flow, firewall and resolver logs (log delivery), trails, findings.

GuardDuty and Macie try the bucket with an object of their own outside the account's folder.
"""
BALANCERS = "logdelivery.elasticloadbalancing.amazonaws.com"
SERVER_ACCESS = "logging.s3.amazonaws.com"
SERVER_ACCESS_PREFIX = "s3"
"""Folder of the access log bucket for requests to buckets, one folder each below it."""
LOOK = ("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:ListBucket")


def tls_only(bucket_arn: str) -> list[Statement]:
    """Return statements that refuse requests without TLS, and those below TLS 1.3 of all but AWS services.

    AWS services, their linked roles and replication choose their TLS version themselves; they still need TLS 1.2.
    """
    resources = [bucket_arn, f"{bucket_arn}/*"]
    theirs = {"aws:PrincipalArn": [LINKED_ROLES, REPLICATION_ROLES]}
    ours = {"Bool": {"aws:PrincipalIsAWSService": "false"}, "ArnNotLike": theirs}
    return [
        _deny("TlsOnly", "s3:*", resources, {"Bool": {"aws:SecureTransport": "false"}}),
        _deny("Tls12Only", "s3:*", resources, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        _deny("Tls13Only", "s3:*", resources, {"NumericLessThan": {"s3:TlsVersion": "1.3"}, **ours}),
    ]


def own_key_only(bucket_arn: str, key_arn: str) -> Statement:
    """Return a statement that refuses objects whose writer names another key than the bucket's default."""
    header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    condition = {"Null": {header: "false"}, "StringNotEquals": {header: key_arn}}
    return _deny("OwnKeyOnly", "s3:PutObject", [f"{bucket_arn}/*"], condition)


def deliveries(
    bucket_arn: str,
    account: str,
    *,
    senders: Sequence[Sender] = DELIVERY,
    regions: Sequence[str],
    accounts: Sequence[str] = (),
    organization: str | None = None,
) -> list[Statement]:
    """Return the statements that let services look at a bucket and deliver to it.

    Args:
        bucket_arn: the bucket.
        account: its account.
        senders: the services.
        regions: where their resources are.
        accounts: accounts that deliver besides the bucket's own.
        organization: id of the organisation whose trail is kept here.
    """
    known = tuple(dict.fromkeys((account, *accounts)))
    found = []
    for sender in senders:
        sources = sorted({sender.source.format(region=r, account=a) for a in known for r in regions})
        owners = {"aws:SourceAccount": list(known)}
        source = {"ArnLike": {"aws:SourceArn": sources}}
        found.append(
            _allow(f"{sender.sid}Looks", sender.service, LOOK, [bucket_arn], {"StringEquals": owners, **source})
        )
        acl = {"s3:x-amz-acl": "bucket-owner-full-control"} if sender.owner_acl else {}
        folders = [*known, organization] if organization and sender.service.startswith("cloudtrail") else known
        paths = sorted({f"{bucket_arn}/{path.format(account=f)}" for f in folders for path in sender.folders})
        condition = {"StringEquals": {**owners, **acl}, **source}
        found.append(_allow(f"{sender.sid}Writes", sender.service, ("s3:PutObject",), paths, condition))
    return found


def access_logs(bucket_arn: str, account: str, *, accounts: Sequence[str] = ()) -> list[Statement]:
    """Return the statements that let buckets and application load balancers write their access logs.

    Args:
        bucket_arn: the bucket.
        account: its account.
        accounts: accounts whose load balancers write besides the bucket's own.
    """
    known = tuple(dict.fromkeys((account, *accounts)))
    balancers = {
        "StringEquals": {"aws:SourceAccount": list(known)},
        "ArnLike": {"aws:SourceArn": [f"arn:aws:elasticloadbalancing:*:{a}:loadbalancer/*" for a in known]},
    }
    buckets = {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{PROJECT}-*"},
    }
    folders = [f"{bucket_arn}/{path.format(account=a)}" for a in known for path in ACCOUNT_FOLDERS]
    return [
        _allow("BalancersWrite", BALANCERS, ("s3:PutObject",), folders, balancers),
        _allow("ServerAccessWrites", SERVER_ACCESS, ("s3:PutObject",), [f"{bucket_arn}/*"], buckets),
    ]


def _allow(sid: str, service: str, actions: Sequence[str], resources: Sequence[str], condition: Statement) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": _one_or_more(actions),
        "Resource": _one_or_more(resources),
        "Condition": condition,
    }


def _deny(sid: str, action: str, resources: Sequence[str], condition: Statement) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": _one_or_more(resources),
        "Condition": condition,
    }


def _one_or_more(values: Sequence[str]) -> str | list[str]:
    """Return a single value as S3 gives it back: without a list around it."""
    return values[0] if len(values) == 1 else list(values)
