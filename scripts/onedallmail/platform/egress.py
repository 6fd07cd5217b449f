"""The names that servers may call over HTTPS: everything else is refused by the network firewall.

A name that begins with a dot stands for itself and all names below it (AWS Network Firewall, RulesSourceList).
"""

from .model import Platform

DEBIAN = ("deb.debian.org", "security.debian.org", "cdn-aws.deb.debian.org")
"""Package mirrors over HTTPS."""
CLAMAV = ("database.clamav.net",)
"""Signatures of the virus scanner."""
ACME = ("acme-v02.api.letsencrypt.org",)
"""Issuer of public certificates (RFC 8555)."""

REGIONAL_SERVICES = (
    "ec2",
    "ec2messages",
    "kms",
    "logs",
    "monitoring",
    "secretsmanager",
    "ssm",
    "ssmmessages",
    "sts",
)
"""AWS APIs that servers call in their own region, from outside where the stack has no endpoints for them."""
SHARED_SERVICES = ("kms", "secretsmanager", "sts")
"""AWS APIs that servers call in the first region and in the region of the archive."""
GLOBAL_NAMES = ("route53.amazonaws.com",)
"""DNS challenges of the certificate issuer are answered through Route 53."""
HSM_SOFTWARE = ("cloudhsmv2-software.s3.amazonaws.com",)
"""Client packages of CloudHSM."""


def allowed_domains(platform: Platform, region: str) -> tuple[str, ...]:
    """Return the names that servers of a region may call over HTTPS through the network firewall, sorted."""
    names = {*DEBIAN, *CLAMAV, *ACME, *GLOBAL_NAMES}
    names |= {f".{domain}" for domain in platform.config.egress_domains}
    for name in {region, platform.home, platform.archive}:
        names |= {f"s3.{name}.amazonaws.com", f".s3.{name}.amazonaws.com"}
        names |= {f"{service}.{name}.amazonaws.com" for service in SHARED_SERVICES}
    if not platform.options.endpoints:
        names |= {f"{service}.{region}.amazonaws.com" for service in REGIONAL_SERVICES}
    if platform.options.cloud_hsm:
        names |= {*HSM_SOFTWARE, f"cloudhsmv2.{platform.home}.amazonaws.com"}
    return tuple(sorted(_without_covered(names)))


def _without_covered(names: set[str]) -> set[str]:
    """Drop names that a name with a dot in front stands for already: AWS refuses to be told twice."""
    wide = {name for name in names if name.startswith(".")}
    return {n for n in names if not any(n != w and (n == w[1:] or n.endswith(w)) for w in wide)}
