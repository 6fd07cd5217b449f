"""Examples for rules/dns.py."""

from typing import Any

from infra.policy.model import Resource
from infra.policy.rules import dns as rules

from .example import example, make

DMARC = "v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:postmaster@acme.example"
DKIM = 'v=DKIM1; k=rsa; p=MIIBIjAN" "BgkqhkiG'


def record(name: str, kind: str, *values: str, **changes: Any) -> Resource:
    """Return a record."""
    return make(
        rules.RECORD, {"zoneId": "z", "name": name, "type": kind, "records": list(values)}, region=None, **changes
    )


def zone(**changes: Any) -> Resource:
    """Return a zone."""
    return make(rules.ZONE, {"name": "acme.example"}, region=None, **changes)


EXAMPLES = (
    example(
        "spf-refuses-others",
        good=[record("acme.example", "TXT", "v=spf1 mx -all"), record("acme.example", "TXT", "site=1")],
        bad=[
            record("acme.example", "TXT", "v=spf1 mx ~all"),
            record("acme.example", "TXT", "v=spf1 +all"),
            record("acme.example", "TXT", "v=spf1 mx -all", "v=spf1 a -all"),
            record("acme.example", "TXT", "v=spf1"),
        ],
    ),
    example(
        "dmarc-rejects",
        good=record("_dmarc.acme.example", "TXT", DMARC),
        bad=[
            record("_dmarc.acme.example", "TXT", DMARC.replace("reject", "none")),
            record("_DMARC.acme.example.", "TXT", f"{DMARC}; sp=none"),
            record("_dmarc.acme.example", "TXT", f"{DMARC}; pct=10"),
            record("_dmarc.acme.example", "TXT", "v=DMARC1; p=reject"),
        ],
    ),
    example(
        "dkim-in-force",
        good=record("odm1._domainkey.acme.example", "TXT", DKIM),
        bad=[
            record("odm1._domainkey.acme.example", "TXT", "v=DKIM1; k=rsa; p="),
            record("odm1._domainkey.acme.example", "TXT", f"{DKIM}; t=y"),
            record("odm1._domainkey.acme.example", "TXT", f"{DKIM}; h=sha1"),
        ],
    ),
    example(
        "record-no-wildcard",
        good=record("a1.acme.example", "A", "198.51.100.1"),
        bad=record("*.acme.example", "A", "198.51.100.1"),
    ),
    example(
        "record-not-taken-over",
        good=record("a1.acme.example", "A", "198.51.100.1"),
        bad=record("a1.acme.example", "A", "198.51.100.1", allowOverwrite=True),
    ),
    example("zone-not-emptied", good=zone(), bad=zone(forceDestroy=True)),
    example(
        "zone-signing-active",
        good=[
            make(rules.SIGNING, {"hostedZoneId": "z"}, region=None),
            make(
                rules.SIGNING_KEY,
                {"hostedZoneId": "z", "keyManagementServiceArn": "k", "status": "ACTIVE"},
                region=None,
            ),
        ],
        bad=[
            make(rules.SIGNING, {"hostedZoneId": "z", "signingStatus": "NOT_SIGNING"}, region=None),
            make(
                rules.SIGNING_KEY,
                {"hostedZoneId": "z", "keyManagementServiceArn": "k", "status": "INACTIVE"},
                region=None,
            ),
        ],
    ),
    example(
        "resolver-firewall-fails-closed",
        good=make(rules.RESOLVER_FIREWALL, {"resourceId": "vpc-1", "firewallFailOpen": "DISABLED"}),
        bad=[
            make(rules.RESOLVER_FIREWALL, {"resourceId": "vpc-1", "firewallFailOpen": "ENABLED"}),
            make(rules.RESOLVER_FIREWALL, {"resourceId": "vpc-1"}),
        ],
    ),
)
