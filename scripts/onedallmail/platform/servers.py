"""A server of the platform as every other part sees it."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from .roles import ServerRole

INTERNAL_SUFFIX = "internal"
"""Names below it resolve to private addresses on the platform's own servers only."""


@dataclass(frozen=True)
class Server:
    """One server with its place and its private address."""

    name: str
    fqdn: str
    role: ServerRole
    region: str
    zone: str
    """Availability zone, the region's name included (`eu-central-1a`)."""
    private_ip: IPv4Address
    public: bool
    """Whether it has an Elastic IP; the others go out by their region's NAT gateway."""
    voter: bool
    weight: float = 1.0
    """Of mailboxes, among mail servers."""

    @property
    def internal_name(self) -> str:
        """The name under which other servers verify this one's certificate."""
        return f"{self.name}.{INTERNAL_SUFFIX}"
