"""Examples for rules/stack_dns.py."""

from infra.policy.rules import keys
from infra.policy.rules import stack_dns as rules
from infra.policy.rules.dns import SIGNING, SIGNING_KEY

from .dns import DKIM, DMARC, record, zone
from .example import KEY, example, make

ZONE = zone(id="z")
MX = record("acme.example", "MX", "10 a1.acme.example.")
PUBLISHED = (
    MX,
    record("acme.example", "TXT", "v=spf1 mx -all"),
    record("_dmarc.acme.example", "TXT", DMARC),
    record("odm1._domainkey.acme.example", "TXT", DKIM),
    record("_smtp._tls.acme.example", "TXT", "v=TLSRPTv1; rua=mailto:postmaster@acme.example"),
    record("acme.example", "CAA", '0 issue "letsencrypt.org"'),
)
SIGNED = make(SIGNING, {"hostedZoneId": "z"}, region=None)
ARN = KEY.replace("eu-central-1", "us-east-1")
SIGNER = make(SIGNING_KEY, {"hostedZoneId": "z", "keyManagementServiceArn": ARN}, region=None)
FOR_DNSSEC = {"arn": ARN, "region": "us-east-1", "customerMasterKeySpec": "ECC_NIST_P256", "keyUsage": "SIGN_VERIFY"}

EXAMPLES = (
    example(
        "mail-zone-signed",
        good=[[ZONE, MX, SIGNED, SIGNER], [ZONE]],
        bad=[[ZONE, MX], [ZONE, MX, SIGNED], [ZONE, MX, SIGNER]],
    ),
    example(
        "mail-zone-complete",
        good=[[ZONE, *PUBLISHED], [ZONE]],
        bad=[[ZONE, MX, *(r for r in PUBLISHED if r is not left_out)] for left_out in PUBLISHED[1:]],
    ),
    example(
        "mail-zone-logged",
        good=[[ZONE, MX, make(rules.QUERY_LOG, {"zoneId": "z", "cloudwatchLogGroupArn": "g"}, region=None)], [ZONE]],
        bad=[[ZONE, MX]],
    ),
    example(
        "signing-key-of-dnssec",
        good=[[SIGNER, make(keys.KEY, FOR_DNSSEC)], SIGNER],
        bad=[
            [SIGNER, make(keys.KEY, FOR_DNSSEC, region="eu-central-1")],
            [SIGNER, make(keys.KEY, FOR_DNSSEC, customerMasterKeySpec=None)],
            make(SIGNING_KEY, {"hostedZoneId": "z", "keyManagementServiceArn": KEY}, region=None),
        ],
    ),
)
