"""The whole platform built from a stack file: servers with addresses, flows, names, TLS profile."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from .addresses import server_addresses
from .flows import FLOWS, Flow, Party
from .roles import ServerRole
from .servers import Server
from .stack import StackConfig
from .tls import TLS_PROFILE, TlsProfile


@dataclass(frozen=True)
class Platform:
    """Every fact that infra/, ansible/, the lab, tests and evidence share."""

    config: StackConfig
    servers: tuple[Server, ...]
    flows: tuple[Flow, ...] = FLOWS
    tls: TlsProfile = TLS_PROFILE

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.config.stack

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
        """Return the servers that a party of the intent graph stands for (none for outside parties)."""
        match party:
            case Party.MAIL | Party.WITNESS:
                return tuple(s for s in self.servers if s.role.value == party.value)
            case Party.VOTER:
                return tuple(s for s in self.servers if s.voter)
            case Party.PLATFORM:
                return self.servers
            case Party.INTERNET | Party.MANAGEMENT:
                return ()


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
            public=server.role is ServerRole.MAIL,
            voter=server.voter,
        )
        for region in config.regions
        for server in region.servers
    )
    return Platform(config=config, servers=servers)
