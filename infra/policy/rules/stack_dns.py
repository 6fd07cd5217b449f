"""Zones as a whole: a domain that takes mail is signed, logged, and says all that receivers look up."""

from collections.abc import Callable, Iterator

from ..catalogue import stack_rule
from ..model import AnyRule, Resource, Severity, Stack
from . import keys
from .dns import RECORD, SIGNING, SIGNING_KEY, ZONE, name_of, txt

QUERY_LOG = "aws:route53/queryLog:QueryLog"
SIGNING_REGION = "us-east-1"
ARN_REGION = 3
"""Place of the region among the parts of an ARN."""

PUBLISHED: dict[str, Callable[[Resource], bool]] = {
    "SPF": lambda r: any(v.lower().startswith("v=spf1") for v in txt(r)),
    "DMARC": lambda r: name_of(r).startswith("_dmarc.") and any(v.startswith("v=DMARC1") for v in txt(r)),
    "DKIM": lambda r: "._domainkey." in name_of(r),
    "TLS-RPT": lambda r: name_of(r).startswith("_smtp._tls."),
    "CAA": lambda r: r.props.get("type") == "CAA",
}
"""What a mail domain publishes, by the names that people use, and how to know it."""


def _records(zone: Resource, stack: Stack) -> tuple[Resource, ...]:
    return stack.naming(zone, RECORD, by="zoneId")


def _takes_mail(zone: Resource, stack: Stack) -> bool:
    """Tell whether a public zone has an MX record."""
    private = bool(zone.props.get("vpcs"))
    return not private and any(r.props.get("type") == "MX" for r in _records(zone, stack))


@stack_rule(
    "mail-zone-signed",
    "Every zone that takes mail is signed (DNSSEC)",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.8.20", "soc2:CC6.7"),
    remediation="Turn the option dnssec on: a key signing key and aws.route53.HostedZoneDnsSec",
    applies_to=(ZONE,),
)
def mail_zone_signed(zone: Resource, stack: Stack) -> Iterator[str]:
    """DANE needs it (RFC 7672): without signatures a sender can be led elsewhere."""
    if not _takes_mail(zone, stack):
        return
    if not stack.naming(zone, SIGNING, by="hostedZoneId"):
        yield "is not signed"
    if not stack.naming(zone, SIGNING_KEY, by="hostedZoneId"):
        yield "has no key signing key"


@stack_rule(
    "mail-zone-complete",
    "Every zone that takes mail publishes SPF, DKIM, DMARC, TLS-RPT and CAA",
    severity=Severity.HIGH,
    controls=("iso27001:A.5.14", "iso27001:A.8.21", "soc2:CC6.6", "soc2:CC6.7"),
    remediation="Make the zone's records from platform/records.py",
    applies_to=(ZONE,),
)
def mail_zone_complete(zone: Resource, stack: Stack) -> Iterator[str]:
    """Sources: RFC 7208, 6376, 7489, 8460, 8659."""
    if _takes_mail(zone, stack):
        records = _records(zone, stack)
        for name, is_it in PUBLISHED.items():
            if not any(is_it(r) for r in records):
                yield f"publishes no {name}"


@stack_rule(
    "mail-zone-logged",
    "Every zone that takes mail logs the questions it is asked",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.15", "iso27001:A.8.16", "soc2:CC7.2"),
    remediation="Add aws.route53.QueryLog for the zone",
    applies_to=(ZONE,),
)
def mail_zone_logged(zone: Resource, stack: Stack) -> Iterator[str]:
    """Sudden questions for names that do not exist announce an attack on the domain."""
    if _takes_mail(zone, stack) and not stack.naming(zone, QUERY_LOG, by="zoneId"):
        yield "its questions are not logged"


@stack_rule(
    "signing-key-of-dnssec",
    "A key signing key lies where Route 53 can use it, as ECDSA P-256",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "soc2:CC6.1"),
    remediation=f"Make the KMS key in {SIGNING_REGION} with ECC_NIST_P256 and SIGN_VERIFY",
    applies_to=(SIGNING_KEY,),
)
def signing_key_of_dnssec(signing: Resource, stack: Stack) -> Iterator[str]:
    """Source: Route 53, working with customer managed keys for DNSSEC. A key of another stack shows its region."""
    found = stack.named_by(signing, "keyManagementServiceArn", keys.KEY)
    for key in found:
        if key.region != SIGNING_REGION:
            yield f"its KMS key lies in {key.region}"
        if key.props.get("customerMasterKeySpec") != "ECC_NIST_P256" or key.props.get("keyUsage") != "SIGN_VERIFY":
            yield "its KMS key is not for ECDSA P-256 signatures"
    if not found:
        parts = str(signing.props.get("keyManagementServiceArn")).split(":")
        if len(parts) <= ARN_REGION or parts[ARN_REGION] != SIGNING_REGION:
            yield f"its KMS key does not lie in {SIGNING_REGION}"


RULES: tuple[AnyRule, ...] = (mail_zone_signed, mail_zone_complete, mail_zone_logged, signing_key_of_dnssec)
