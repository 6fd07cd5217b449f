"""The whole platform built from a stack file: servers with addresses, flows, names, TLS profile."""

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network

from .addresses import ZONES, Tier, region_subnets, server_addresses
from .flows import Flow, Party, flows_of
from .options import Options
from .roles import ServerRole
from .servers import Server
from .stack import StackConfig
from .tls import TLS_PROFILE, TlsProfile

HSM_ZONES = ZONES[:2]
"""Zones of the first region with an HSM each (AWS CloudHSM: at least two for durability of keys)."""


@dataclass(frozen=True)
class Platform:
    """Every fact that infra/, ansible/, the lab, tests and evidence share."""

    config: StackConfig
    servers: tuple[Server, ...]
    flows: tuple[Flow, ...]
    tls: TlsProfile = TLS_PROFILE

    @cached_property
    def _hash(self) -> int:
        return hash((self.config, self.servers, self.flows))

    def __hash__(self) -> int:
        """Hash once: plans derived from a platform are kept by it."""
        return self._hash

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.config.stack

    @property
    def options(self) -> Options:
        """What the stack has and leaves out."""
        return self.config.options

    @property
    def network_acls(self) -> bool:
        """Whether subnets have network ACLs: everywhere but in the lab, whose routers realise none."""
        return self.config.target == "aws"

    @property
    def home(self) -> str:
        """The first region: global resources and the HSM are managed from it."""
        return self.config.regions[0].name

    @property
    def archive(self) -> str:
        """The region that keeps evidence, log archive and backup copies: the first one with a witness."""
        return next(s.region for s in self.servers if s.role is ServerRole.WITNESS)

    @property
    def domain(self) -> str:
        """The domain below which the servers themselves are named: the first of the stack."""
        return self.config.domains[0]

    @property
    def domains(self) -> tuple[str, ...]:
        """Every mail domain of the stack."""
        return self.config.domains

    @property
    def mail_servers(self) -> tuple[Server, ...]:
        """The servers that hold mailboxes."""
        return tuple(s for s in self.servers if s.role is ServerRole.MAIL)

    @property
    def regions(self) -> dict[str, IPv4Network]:
        """Each region's network by the region's name."""
        return {region.name: region.cidr for region in self.config.regions}

    def server(self, name: str) -> Server:
        """Return the server of that name.

        Raises:
            KeyError: no server has the name.
        """
        for server in self.servers:
            if server.name == name:
                return server
        msg = f"no server is named {name}; servers: {', '.join(s.name for s in self.servers)}"
        raise KeyError(msg)

    def members(self, party: Party) -> tuple[Server, ...]:
        """Return the servers that a party of the intent graph stands for (none for parties that are no servers)."""
        match party:
            case Party.MAIL | Party.WITNESS:
                return tuple(s for s in self.servers if s.role.value == party.value)
            case Party.VOTER:
                return tuple(s for s in self.servers if s.voter)
            case Party.PLATFORM:
                return self.servers
            case _:
                return ()

    def networks(self, party: Party, region: str) -> tuple[IPv4Network, ...]:
        """Return the subnets of a party that is no server, as a server or load balancer of `region` meets it."""
        tier = {Party.EDGE: Tier.EDGE, Party.WEB: Tier.EDGE, Party.ENDPOINT: Tier.ENDPOINT, Party.HSM: Tier.ENDPOINT}
        if party not in tier:
            return ()
        where = self.home if party is Party.HSM else region
        zones = HSM_ZONES if party is Party.HSM else ZONES
        plan = region_subnets(next(r for r in self.config.regions if r.name == where))
        return tuple(plan[tier[party], zone].cidr for zone in zones)


def build_platform(config: StackConfig) -> Platform:
    """Return the platform of a stack.

    Raises:
        StackError: an address can't be placed (see `server_addresses`).
    """
    addresses = server_addresses(config)
    servers = tuple(
        Server(
            name=server.name,
            fqdn=f"{server.name}.{config.domains[0]}",
            role=server.role,
            region=region.name,
            zone=f"{region.name}{server.zone}",
            private_ip=addresses[server.name],
            public=server.role is ServerRole.MAIL and not config.options.balancers,
            voter=server.voter,
            weight=server.weight,
        )
        for region in config.regions
        for server in region.servers
    )
    return Platform(config=config, servers=servers, flows=flows_of(config.options))
