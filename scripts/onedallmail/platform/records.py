"""DNS records of a mail domain, as values.

Sources: RFC 5321 (MX), RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489 (DMARC), RFC 6186 and RFC 8314 (SRV), RFC 8659 (CAA),
RFC 8460 (TLS-RPT).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .model import Platform
from .ports import Port

DKIM_SELECTOR = "odm1"
CLIENT_NAMES = ("imap", "smtp", "sieve")
"""Names below a domain that mail programs are configured with; each leads to every mail server."""
TXT_CHUNK = 255
MX_PREFERENCE = 10
SERVICES = (
    ("imaps", Port.IMAPS, "imap"),
    ("submissions", Port.SUBMISSIONS, "smtp"),
    ("submission", Port.SUBMISSION, "smtp"),
    ("sieve", Port.SIEVE, "sieve"),
)


@dataclass(frozen=True)
class Record:
    """One record set; values are in zone file notation without the quotes of TXT."""

    name: str
    type: str
    ttl_s: int
    values: tuple[str, ...]


def address_records(platform: Platform, domain: str, public: Mapping[str, str]) -> tuple[Record, ...]:
    """Return the A records of servers (in the first domain only) and of the names that clients use.

    `public` maps each public server's name to its Elastic IP.
    """
    hosts = [Record(s.fqdn, "A", 300, (public[s.name],)) for s in platform.servers if s.public]
    every = tuple(public[s.name] for s in platform.mail_servers)
    clients = [Record(f"{name}.{domain}", "A", 60, every) for name in CLIENT_NAMES]
    return tuple((hosts if domain == platform.domain else []) + clients)


def mail_records(platform: Platform, domain: str, dkim_public_key: str) -> tuple[Record, ...]:
    """Return what other organisations and mail programs need to know of a domain.

    `dkim_public_key` is base64 of the SubjectPublicKeyInfo (RFC 6376, section 3.6.1).
    """
    report = f"mailto:postmaster@{domain}"
    exchangers = tuple(f"{MX_PREFERENCE} {s.fqdn}." for s in platform.mail_servers)
    return (
        Record(domain, "MX", 300, exchangers),
        Record(domain, "TXT", 300, ("v=spf1 mx -all",)),
        *(Record(s.fqdn, "TXT", 300, ("v=spf1 a -all",)) for s in platform.mail_servers if domain == platform.domain),
        Record(f"{DKIM_SELECTOR}._domainkey.{domain}", "TXT", 300, (f"v=DKIM1; k=rsa; p={dkim_public_key}",)),
        Record(f"_dmarc.{domain}", "TXT", 300, (f"v=DMARC1; p=reject; adkim=s; aspf=s; rua={report}",)),
        Record(f"_smtp._tls.{domain}", "TXT", 300, (f"v=TLSRPTv1; rua={report}",)),
        Record(domain, "CAA", 300, tuple(f'0 issue "{i}"' for i in platform.config.certificate_issuers)),
        *(
            Record(f"_{service}._tcp.{domain}", "SRV", 300, (f"0 1 {port.value} {name}.{domain}.",))
            for service, port, name in SERVICES
        ),
    )


def route53_values(record: Record) -> tuple[str, ...]:
    """Return the values as the AWS provider takes them: TXT in chunks of up to 255 characters, no outer quotes."""
    if record.type != "TXT":
        return record.values
    return tuple('" "'.join(v[i : i + TXT_CHUNK] for i in range(0, len(v), TXT_CHUNK)) for v in record.values)
