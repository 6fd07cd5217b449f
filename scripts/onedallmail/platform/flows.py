"""The intent graph: which party may speak to which, on what port, under which identity.

Security groups, host firewalls, lab routers and tests are all generated from FLOWS; a port opens nowhere else.
"""

from dataclasses import dataclass
from enum import StrEnum

from .ports import Port


class Party(StrEnum):
    """An end of a flow."""

    INTERNET = "internet"
    MANAGEMENT = "management"
    """Operators: AWS Session Manager in the cloud, the management links in the lab. Never through a security group."""
    MAIL = "mail"
    WITNESS = "witness"
    VOTER = "voter"
    """Servers with a vote in etcd."""
    PLATFORM = "platform"
    """Every server of the stack."""


class Protocol(StrEnum):
    """Transport protocol."""

    TCP = "tcp"
    UDP = "udp"


class Identity(StrEnum):
    """How the two ends know each other."""

    PUBLIC_TLS = "server certificate of a public CA, TLS 1.3"
    MUTUAL_TLS = "certificates of the private CA on both ends, TLS 1.3"
    SSH_KEYS = "SSH public keys"
    DNSSEC = "DNSSEC signatures on the answers"
    NTS = "network time security"


@dataclass(frozen=True)
class Flow:
    """One allowed conversation; the initiator is the source."""

    source: Party
    destination: Party
    protocol: Protocol
    port: Port
    identity: Identity
    purpose: str

    @property
    def name(self) -> str:
        """A name that is unique in the graph: `mail-handover-mail-tcp`."""
        return f"{self.source}-{self.port.service}-{self.destination}-{self.protocol}"


def _in(port: Port, purpose: str) -> Flow:
    return Flow(Party.INTERNET, Party.MAIL, Protocol.TCP, port, Identity.PUBLIC_TLS, purpose)


def _inside(source: Party, destination: Party, port: Port, purpose: str) -> Flow:
    return Flow(source, destination, Protocol.TCP, port, Identity.MUTUAL_TLS, purpose)


FLOWS: tuple[Flow, ...] = (
    _in(Port.SMTP, "mail from other organisations"),
    _in(Port.SUBMISSIONS, "users send mail, TLS from the first byte"),
    _in(Port.SUBMISSION, "users send mail, STARTTLS"),
    _in(Port.IMAPS, "users read mail"),
    _in(Port.SIEVE, "users manage their filters"),
    _inside(Party.MAIL, Party.MAIL, Port.HANDOVER, "accepted mail goes to the recipient's home server"),
    _inside(Party.MAIL, Party.MAIL, Port.IMAP_HOME, "log-ins are proxied to the home server"),
    _inside(Party.MAIL, Party.MAIL, Port.SIEVE_HOME, "filter management is proxied to the home server"),
    _inside(Party.PLATFORM, Party.VOTER, Port.ETCD_CLIENT, "placement map and database leadership"),
    _inside(Party.VOTER, Party.VOTER, Port.ETCD_PEER, "consensus between voters"),
    _inside(Party.PLATFORM, Party.PLATFORM, Port.POSTGRES, "directory replication and writes at the leader"),
    _inside(Party.PLATFORM, Party.PLATFORM, Port.PATRONI, "members see each other's state"),
    _inside(Party.MAIL, Party.WITNESS, Port.SYSLOG, "logs leave the server that wrote them"),
    Flow(
        Party.MAIL,
        Party.INTERNET,
        Protocol.TCP,
        Port.SMTP,
        Identity.PUBLIC_TLS,
        "mail to other organisations",
    ),
    Flow(
        Party.PLATFORM,
        Party.INTERNET,
        Protocol.UDP,
        Port.DNS,
        Identity.DNSSEC,
        "validating resolution from the root",
    ),
    Flow(Party.PLATFORM, Party.INTERNET, Protocol.TCP, Port.DNS, Identity.DNSSEC, "long answers"),
    Flow(Party.PLATFORM, Party.INTERNET, Protocol.UDP, Port.NTP, Identity.NTS, "time, authenticated"),
    Flow(Party.PLATFORM, Party.INTERNET, Protocol.TCP, Port.NTS, Identity.NTS, "keys for authenticated time"),
    Flow(
        Party.PLATFORM,
        Party.INTERNET,
        Protocol.TCP,
        Port.HTTPS,
        Identity.PUBLIC_TLS,
        "security updates and AWS APIs",
    ),
    Flow(
        Party.MANAGEMENT,
        Party.PLATFORM,
        Protocol.TCP,
        Port.SSH,
        Identity.SSH_KEYS,
        "configuration by Ansible",
    ),
)
