"""What stands outside the platform: name servers, another organisation's mail server, a client, and AWS.

Their addresses are of the ranges for documentation (RFC 5737), as the lab's Elastic IPs are.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OutsideNode:
    """A node outside; `boots` is False for one that is a bare network namespace."""

    name: str
    fqdn: str
    role: str
    addresses: tuple[str, ...]
    boots: bool = True


OUTSIDE = (
    OutsideNode(name="dns", fqdn="dns.root.example", role="lab_dns", addresses=("192.0.2.53", "192.0.2.54")),
    OutsideNode(name="peer", fqdn="mail1.partner.example", role="lab_peer", addresses=("203.0.113.25", "203.0.113.53")),
    OutsideNode(name="client", fqdn="client.partner.example", role="client", addresses=("203.0.113.50",), boots=False),
    OutsideNode(name="aws", fqdn="aws.root.example", role="aws", addresses=("192.0.2.80",), boots=False),
)
