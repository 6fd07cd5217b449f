"""DNS records of a mail domain, as values.

Sources: RFC 5321 (MX), RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489 (DMARC), RFC 6186 and RFC 8314 (SRV), RFC 8659 (CAA),
RFC 8460 (TLS-RPT), RFC 8461 (MTA-STS).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .addresses import ZONES
from .model import Platform
from .ports import Port
from .roles import ServerRole
from .sender_policy import policy_id, policy_text

DKIM_SELECTOR = "odm1"
CLIENT_NAMES = {"imap": Port.IMAPS, "smtp": Port.SUBMISSIONS, "sieve": Port.SIEVE}
"""Names below a domain that mail programs are configured with, each with the port whose health decides."""
WEB_NAMES = ("webmail", "autoconfig", "autodiscover", "mta-sts")
"""Names below a domain whose HTTPS mail servers serve, behind application load balancers where there are any."""
EGRESS_NAME = "egress"
"""Name below the first domain that has every address from which the platform sends mail; SPF refers to it."""
ACM_ISSUER = "amazon.com"
"""How CAA names AWS Certificate Manager (ACM User Guide, "Configure a CAA record")."""
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


def mail_regions(platform: Platform) -> tuple[str, ...]:
    """Return the regions with mail servers, in the order of the stack file."""
    return tuple(r.name for r in platform.config.regions if any(s.role is ServerRole.MAIL for s in r.servers))


def exchanger(platform: Platform, region: str) -> str:
    """Return the name of a region's load balancer as the MX records have it: `mx.eu-central-1.acme.example`."""
    return f"mx.{region}.{platform.domain}"


def egress_name(platform: Platform, region: str, zone: str) -> str:
    """Return the name of the address from which a zone sends: its PTR, its A record and the HELO agree on it."""
    return f"out-{zone}.{region}.{platform.domain}"


def helo_name(platform: Platform, server: str) -> str:
    """Return the name that a server says in HELO: that of its own address, or of its zone's NAT address."""
    found = platform.server(server)
    return found.fqdn if found.public else egress_name(platform, found.region, found.zone[-1])


def egress_names(platform: Platform) -> tuple[str, ...]:
    """Return the names of all addresses from which mail leaves: of servers, or of the mail regions' NAT gateways."""
    if not platform.options.balancers:
        return tuple(s.fqdn for s in platform.mail_servers)
    return tuple(egress_name(platform, region, zone) for region in mail_regions(platform) for zone in ZONES)


def served_names(platform: Platform) -> dict[str, Port]:
    """Return the names below a domain that users' programs reach, each with the port whose health decides."""
    return CLIENT_NAMES | (dict.fromkeys(WEB_NAMES, Port.HTTPS) if platform.options.web else {})


def address_records(platform: Platform, domain: str, public: Mapping[str, str]) -> tuple[Record, ...]:
    """Return the A records of servers with an Elastic IP (first domain only) and of the names that clients use.

    `public` maps each public server's name to its Elastic IP. Behind load balancers there are none of these: names
    lead to the balancers then, as aliases. With health checks the names that clients use have records of their own
    (`service_records.checked_addresses`); the addresses from which mail leaves are published whatever their health.
    """
    hosts = [Record(s.fqdn, "A", 300, (public[s.name],)) for s in platform.servers if s.public]
    every = tuple(public[s.name] for s in platform.mail_servers if s.public)
    if every:
        hosts.append(Record(f"{EGRESS_NAME}.{platform.domain}", "A", 300, every))
    plain = every and not platform.options.health_checks
    clients = [Record(f"{name}.{domain}", "A", 60, every) for name in served_names(platform) if plain]
    return tuple((hosts if domain == platform.domain else []) + clients)


def mail_records(platform: Platform, domain: str, dkim_public_key: str) -> tuple[Record, ...]:
    """Return what other organisations and mail programs need to know of a domain.

    `dkim_public_key` is base64 of the SubjectPublicKeyInfo (RFC 6376, section 3.6.1).
    """
    report = f"mailto:postmaster@{domain}"
    return (
        Record(domain, "MX", 300, tuple(f"{MX_PREFERENCE} {name}." for name in exchangers(platform))),
        Record(domain, "TXT", 300, (_spf(platform),)),
        *_helo_spf(platform, domain),
        Record(f"{DKIM_SELECTOR}._domainkey.{domain}", "TXT", 300, (f"v=DKIM1; k=rsa; p={dkim_public_key}",)),
        Record(f"_dmarc.{domain}", "TXT", 300, (f"v=DMARC1; p=reject; adkim=s; aspf=s; rua={report}",)),
        Record(f"_smtp._tls.{domain}", "TXT", 300, (f"v=TLSRPTv1; rua={report}",)),
        *_sender_policy(platform, domain),
        Record(domain, "CAA", 300, tuple(f'0 issue "{i}"' for i in _issuers(platform))),
        *(
            Record(f"_{service}._tcp.{domain}", "SRV", 300, (f"0 1 {port.value} {name}.{domain}.",))
            for service, port, name in SERVICES
        ),
    )


def exchangers(platform: Platform) -> tuple[str, ...]:
    """Return the names that MX records have, the same for every domain of the platform."""
    if platform.options.balancers:
        return tuple(exchanger(platform, region) for region in mail_regions(platform))
    return tuple(s.fqdn for s in platform.mail_servers)


def sender_policy(platform: Platform) -> str:
    """Return the text of the MTA-STS policy that mail servers serve; RFC 8461, section 3.2."""
    return policy_text(platform, exchangers(platform))


def _sender_policy(platform: Platform, domain: str) -> tuple[Record, ...]:
    if not platform.options.web:
        return ()
    announced = f"v=STSv1; id={policy_id(sender_policy(platform))}"
    return (Record(f"_mta-sts.{domain}", "TXT", 300, (announced,)),)


def _issuers(platform: Platform) -> tuple[str, ...]:
    """Return who may issue certificates: AWS's own authority always where an application load balancer needs it."""
    stated = platform.config.certificate_issuers
    return stated if not platform.options.web_balancers or ACM_ISSUER in stated else (*stated, ACM_ISSUER)


def _spf(platform: Platform) -> str:
    """Return one mechanism, whatever the number of servers: RFC 7208 allows ten look-ups."""
    return f"v=spf1 a:{EGRESS_NAME}.{platform.domain} -all"


def _helo_spf(platform: Platform, domain: str) -> tuple[Record, ...]:
    if domain != platform.domain:
        return ()
    return tuple(Record(name, "TXT", 300, ("v=spf1 a -all",)) for name in egress_names(platform))


def route53_values(record: Record) -> tuple[str, ...]:
    """Return the values as the AWS provider takes them: TXT in chunks of up to 255 characters, no outer quotes."""
    if record.type != "TXT":
        return record.values
    return tuple('" "'.join(v[i : i + TXT_CHUNK] for i in range(0, len(v), TXT_CHUNK)) for v in record.values)
