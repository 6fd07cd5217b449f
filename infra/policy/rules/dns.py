"""DNS: what receivers and senders of mail rely on is published strictly, and zones are not lost."""

from collections.abc import Iterator

from ..catalogue import resource_rule
from ..model import AnyRule, Resource, Severity
from ..values import is_true

ZONE = "aws:route53/zone:Zone"
RECORD = "aws:route53/record:Record"
SIGNING_KEY = "aws:route53/keySigningKey:KeySigningKey"
SIGNING = "aws:route53/hostedZoneDnsSec:HostedZoneDnsSec"
RESOLVER_FIREWALL = "aws:route53/resolverFirewallConfig:ResolverFirewallConfig"


def txt(record: Resource) -> Iterator[str]:
    """Yield the values of a TXT record, its chunks of 255 characters joined."""
    if record.props.get("type") == "TXT":
        yield from (value.replace('" "', "").strip('"') for value in record.props.texts("records"))


def fields(value: str) -> dict[str, str]:
    """Return the tag=value fields of a record such as DMARC's or DKIM's (RFC 6376, section 3.2)."""
    pairs = (part.partition("=") for part in value.split(";"))
    return {name.strip().lower(): content.strip() for name, _, content in pairs if name.strip()}


def name_of(record: Resource) -> str:
    """Return a record's name in lower case, without the dot at its end."""
    return str(record.props.get("name") or "").lower().rstrip(".")


@resource_rule(
    "spf-refuses-others",
    "SPF refuses every sender that it does not name",
    severity=Severity.HIGH,
    controls=("iso27001:A.5.14", "iso27001:A.8.21", "soc2:CC6.6", "soc2:CC6.7"),
    remediation="End the record with -all, and name no more than ten mechanisms that need a look-up",
    applies_to=(RECORD,),
)
def spf_refuses_others(record: Resource) -> Iterator[str]:
    """Source: RFC 7208, sections 5.1 and 4.6.4."""
    values = [v for v in txt(record) if v.lower().startswith("v=spf1")]
    if len(values) > 1:
        yield "there are two SPF records at one name, which receivers take for none"
    for value in values:
        terms = value.lower().split()[1:]
        if not terms or terms[-1] != "-all":
            yield f"it ends with {terms[-1] if terms else 'nothing'}, not -all"
        if any(t.lstrip("+?~") == "all" for t in terms):
            yield "it lets every sender pass"


@resource_rule(
    "dmarc-rejects",
    "DMARC asks receivers to reject what is forged, also below the domain, and to report",
    severity=Severity.HIGH,
    controls=("iso27001:A.5.14", "iso27001:A.8.21", "soc2:CC6.6", "soc2:CC7.2"),
    remediation="Publish p=reject (and sp=reject or no sp), pct=100 or none, and a rua address",
    applies_to=(RECORD,),
)
def dmarc_rejects(record: Resource) -> Iterator[str]:
    """Source: RFC 7489, section 6.3."""
    if not name_of(record).startswith("_dmarc."):
        return
    for value in txt(record):
        tags = fields(value)
        if tags.get("p") != "reject":
            yield f"its policy is {tags.get('p')}"
        if tags.get("sp", "reject") != "reject":
            yield f"its policy for subdomains is {tags['sp']}"
        if tags.get("pct", "100") != "100":
            yield f"it speaks of {tags['pct']} % of mail only"
        if not tags.get("rua"):
            yield "nobody receives reports"


@resource_rule(
    "dkim-in-force",
    "A published DKIM key is a key and in force",
    severity=Severity.HIGH,
    controls=("iso27001:A.5.14", "iso27001:A.8.24", "soc2:CC6.7"),
    remediation="Publish the public key; take t=y and withdrawn keys out of the stack",
    applies_to=(RECORD,),
)
def dkim_in_force(record: Resource) -> Iterator[str]:
    """Source: RFC 6376, section 3.6.1, and RFC 8301: no SHA-1."""
    if "._domainkey." not in name_of(record):
        return
    for value in txt(record):
        tags = fields(value)
        if not tags.get("p"):
            yield "it publishes no key, which withdraws it"
        if "y" in tags.get("t", "").split(":"):
            yield "it says that signing is only tested"
        if tags.get("h") == "sha1":
            yield "it takes SHA-1 only"


@resource_rule(
    "record-no-wildcard",
    "No record stands for all names",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.20", "iso27001:A.8.21", "soc2:CC6.6"),
    remediation="Name each host",
    applies_to=(RECORD,),
)
def record_no_wildcard(record: Resource) -> Iterator[str]:
    """A forgotten name must not resolve to anything; TLSA and MX of unknown hosts must not exist."""
    if name_of(record).startswith(("*.", "\\052.")):
        yield "it answers for every name below the domain"


@resource_rule(
    "record-not-taken-over",
    "No record overwrites one that the stack does not know",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.9", "iso27001:A.8.32", "soc2:CC8.1"),
    remediation="Leave allow_overwrite off and import the record",
    applies_to=(RECORD,),
)
def record_not_taken_over(record: Resource) -> Iterator[str]:
    """Two owners of a record undo each other's work."""
    if is_true(record.props.get("allowOverwrite")):
        yield "it overwrites whatever is there"


@resource_rule(
    "zone-not-emptied",
    "No zone is emptied by the deletion of its resource",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.14", "iso27001:A.8.32", "soc2:CC7.5"),
    remediation="Set force_destroy to false",
    applies_to=(ZONE,),
)
def zone_not_emptied(zone: Resource) -> Iterator[str]:
    """Records of others (validation, delegation) live in it as well."""
    if is_true(zone.props.get("forceDestroy")):
        yield "it loses all its records with the resource"


@resource_rule(
    "zone-signing-active",
    "A zone's signing and its key are active",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.8.20", "soc2:CC6.7"),
    remediation="Set the status to ACTIVE and signing_status to SIGNING",
    applies_to=(SIGNING_KEY, SIGNING),
)
def zone_signing_active(signing: Resource) -> Iterator[str]:
    """Both default to it; DANE stands and falls with it (RFC 7672)."""
    if (signing.props.get("status") or "ACTIVE") != "ACTIVE":
        yield f"the key is {signing.props.get('status')}"
    if (signing.props.get("signingStatus") or "SIGNING") != "SIGNING":
        yield f"the zone is {signing.props.get('signingStatus')}"


@resource_rule(
    "resolver-firewall-fails-closed",
    "No name is resolved when the DNS firewall does not answer",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.23", "iso27001:A.8.20", "soc2:CC6.6"),
    remediation="Set firewall_fail_open to DISABLED",
    applies_to=(RESOLVER_FIREWALL,),
)
def resolver_firewall_fails_closed(config: Resource) -> Iterator[str]:
    """Names are a way out for data; servers have a resolver of their own for mail."""
    if config.props.get("firewallFailOpen") != "DISABLED":
        yield f"firewallFailOpen is {config.props.get('firewallFailOpen')}"


RULES: tuple[AnyRule, ...] = (
    spf_refuses_others,
    dmarc_rejects,
    dkim_in_force,
    record_no_wildcard,
    record_not_taken_over,
    zone_not_emptied,
    zone_signing_active,
    resolver_firewall_fails_closed,
)
