"""Which API endpoints of AWS the lab's servers reach, and where (pure)."""

from collections.abc import Collection
from dataclasses import dataclass

from ..outside import OUTSIDE

NODE = "aws"
ADDRESS = next(o.addresses[0] for o in OUTSIDE if o.name == NODE)
PORT = 443
METADATA_ADDRESS = "169.254.169.254"
METADATA_PORT = 80
SERVICES = ("kms",)
"""What servers call. The emulator has more, and a control interface of its own: none of that is let through."""
_DOMAIN = "amazonaws.com"


@dataclass(frozen=True)
class Api:
    """A service's endpoint in a region."""

    service: str
    region: str

    @property
    def host(self) -> str:
        """The endpoint's name in the DNS."""
        return f"{self.service}.{self.region}.{_DOMAIN}"


def api_of(host: str, regions: Collection[str]) -> Api | None:
    """Return the API that a Host header names, None for everything that is not let through."""
    name, _, port = host.lower().partition(":")
    service, _, rest = name.partition(".")
    region, _, domain = rest.partition(".")
    if port not in ("", str(PORT)) or domain != _DOMAIN or service not in SERVICES or region not in regions:
        return None
    return Api(service, region)


def zone_records(regions: Collection[str]) -> dict[str, list[dict[str, object]]]:
    """Return the DNS zone of the endpoints, in the form of the stack's own exported zones."""
    hosts = [Api(service, region).host for service in SERVICES for region in sorted(regions)]
    return {_DOMAIN: [{"name": host, "type": "A", "ttl": 60, "values": [ADDRESS]} for host in hosts]}


def certificate_names(regions: Collection[str]) -> list[str]:
    """Return the names that the endpoints' certificate is for."""
    return [f"*.{region}.{_DOMAIN}" for region in sorted(regions)]
