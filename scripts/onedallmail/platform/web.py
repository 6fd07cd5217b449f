"""What mail servers serve on the web: where it is looked for, and the services that mail programs are told of.

Sources: RFC 8461 (MTA-STS); Mozilla's autoconfiguration, version 1.1; [MS-OXDSCLI] and [MS-OXDISCO] (Outlook).
"""

from dataclasses import dataclass
from typing import Any

from .model import Platform
from .ports import Port
from .records import SERVICES, WEB_NAMES, sender_policy

HEALTH_PATH = "/health"
"""Answered with 200 while a server's web side can serve, at any name but the domains' own: balancers ask by address."""
AUTOCONFIG_PATHS = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
"""Where Mozilla's programs look at `autoconfig.DOMAIN`."""
AUTODISCOVER_PATH = "/autodiscover/autodiscover.xml"
"""Where Outlook asks at `autodiscover.DOMAIN`, in whatever case ([MS-OXDISCO], section 2.2)."""
POLICY_PATH = "/.well-known/mta-sts.txt"
"""Where senders look at `mta-sts.DOMAIN` (RFC 8461, section 3.3)."""
PROTOCOLS = {"imaps": "imap", "submissions": "smtp", "submission": "smtp"}
"""Services of the SRV records that autoconfiguration knows, and what it calls them."""


@dataclass(frozen=True)
class MailService:
    """One service as mail programs are configured with it."""

    protocol: str
    name: str
    """Host name below the user's domain."""
    port: int
    starttls: bool
    """Whether TLS is asked for in the protocol instead of coming first."""


def mail_services() -> tuple[MailService, ...]:
    """Return the services of every domain by preference, those that the SRV records name."""
    return tuple(
        MailService(PROTOCOLS[service], name, port.value, port is Port.SUBMISSION)
        for service, port, name in SERVICES
        if service in PROTOCOLS
    )


def web_facts(platform: Platform) -> dict[str, Any]:
    """Return what the role `web` is told, as plain values."""
    options = platform.options
    return {
        "served": options.web,
        # Behind a balancer the certificate for users is the balancer's.
        "certificate_names": [
            f"{name}.{domain}"
            for domain in platform.domains
            for name in WEB_NAMES
            if options.web and not options.web_balancers
        ],
        "health_path": HEALTH_PATH,
        "autoconfig_paths": list(AUTOCONFIG_PATHS),
        "autodiscover_path": AUTODISCOVER_PATH,
        "policy_path": POLICY_PATH,
        "policy": sender_policy(platform),
        "services": [vars(service) for service in mail_services()],
    }
