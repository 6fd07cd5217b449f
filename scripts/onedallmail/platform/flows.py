"""The intent graph: which party may speak to which, on what port, under which identity.

Security groups, network ACLs, firewall rules, host firewalls, lab routers and tests are all generated from it; a port
opens nowhere else.
"""

from dataclasses import dataclass
from enum import StrEnum

from .options import Options
from .ports import Port


class Party(StrEnum):
    """An end of a flow."""

    INTERNET = "internet"
    MANAGEMENT = "management"
    """Operators: AWS Session Manager in the cloud, the management links in the lab. Never through a security group."""
    EDGE = "edge"
    """A region's network load balancer: passes TCP on to the mail servers of its region, with PROXY protocol."""
    WEB = "web"
    """A region's application load balancer, behind its WAF."""
    ENDPOINT = "endpoint"
    """Interfaces of AWS services in a region's network."""
    HSM = "hsm"
    """The CloudHSM cluster's interfaces."""
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
    PROXIED_TLS = "TLS of client and server passes through; PROXY protocol names the client"
    SIGNED_REQUESTS = "requests signed with the instance's role, TLS"
    HSM_TLS = "end-to-end encrypted channel of the HSM's client"
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
    def regional(self) -> bool:
        """Whether both ends stand in the same region: load balancers and endpoints serve their own one."""
        return bool({self.source, self.destination} & {Party.EDGE, Party.WEB, Party.ENDPOINT})

    @property
    def name(self) -> str:
        """A name that is unique in the graph: `mail-handover-mail-tcp`."""
        return f"{self.source}-{self.port.service}-{self.destination}-{self.protocol}"


def _inside(source: Party, destination: Party, port: Port, purpose: str) -> Flow:
    return Flow(source, destination, Protocol.TCP, port, Identity.MUTUAL_TLS, purpose)


def _out(source: Party, protocol: Protocol, port: Port, identity: Identity, purpose: str) -> Flow:
    return Flow(source, Party.INTERNET, protocol, port, identity, purpose)


PUBLIC_MAIL = (
    (Port.SMTP, "mail from other organisations"),
    (Port.SUBMISSIONS, "users send mail, TLS from the first byte"),
    (Port.SUBMISSION, "users send mail, STARTTLS"),
    (Port.IMAPS, "users read mail"),
    (Port.SIEVE, "users manage their filters"),
)
"""What the internet reaches, whether by a load balancer or by a server's own address."""

INSIDE = (
    _inside(Party.MAIL, Party.MAIL, Port.HANDOVER, "accepted mail goes to the recipient's home server"),
    _inside(Party.MAIL, Party.MAIL, Port.IMAP_HOME, "log-ins are proxied to the home server"),
    _inside(Party.MAIL, Party.MAIL, Port.SIEVE_HOME, "filter management is proxied to the home server"),
    _inside(Party.MAIL, Party.MAIL, Port.SYNC_HOME, "the home server brings the standby's mailbox up to date"),
    _inside(Party.MAIL, Party.MAIL, Port.SYNC, "home and standby agree on what both hold"),
    _inside(Party.PLATFORM, Party.PLATFORM, Port.COPIES, "copies of accepted mail, kept in a second region"),
    _inside(Party.PLATFORM, Party.VOTER, Port.ETCD_CLIENT, "placement map and database leadership"),
    _inside(Party.VOTER, Party.VOTER, Port.ETCD_PEER, "consensus between voters"),
    _inside(Party.PLATFORM, Party.PLATFORM, Port.POSTGRES, "directory replication and writes at the leader"),
    _inside(Party.PLATFORM, Party.PLATFORM, Port.PATRONI, "members see each other's state"),
    _inside(Party.MAIL, Party.WITNESS, Port.SYSLOG, "logs leave the server that wrote them"),
)

OUTBOUND = (
    _out(Party.MAIL, Protocol.TCP, Port.SMTP, Identity.PUBLIC_TLS, "mail to other organisations"),
    _out(Party.PLATFORM, Protocol.UDP, Port.DNS, Identity.DNSSEC, "validating resolution from the root"),
    _out(Party.PLATFORM, Protocol.TCP, Port.DNS, Identity.DNSSEC, "long answers"),
    _out(Party.PLATFORM, Protocol.UDP, Port.NTP, Identity.NTS, "time, authenticated"),
    _out(Party.PLATFORM, Protocol.TCP, Port.NTS, Identity.NTS, "keys for authenticated time"),
    _out(Party.PLATFORM, Protocol.TCP, Port.HTTPS, Identity.PUBLIC_TLS, "security updates and AWS APIs"),
)

MANAGEMENT = Flow(
    Party.MANAGEMENT, Party.PLATFORM, Protocol.TCP, Port.SSH, Identity.SSH_KEYS, "configuration by Ansible"
)


PUBLIC_WEB = ((Port.HTTPS, "autoconfiguration and MTA-STS"),)
"""The same for the web, of stacks that serve it."""


def _edge(options: Options) -> tuple[Flow, ...]:
    tcp, public = Protocol.TCP, Identity.PUBLIC_TLS
    web = PUBLIC_WEB if options.web else ()
    if not options.balancers:
        return tuple(Flow(Party.INTERNET, Party.MAIL, tcp, port, public, why) for port, why in (*PUBLIC_MAIL, *web))
    return (
        *(Flow(Party.INTERNET, Party.EDGE, tcp, port, public, why) for port, why in PUBLIC_MAIL),
        *(Flow(Party.EDGE, Party.MAIL, tcp, port, Identity.PROXIED_TLS, why) for port, why in PUBLIC_MAIL),
        *(Flow(Party.INTERNET, Party.WEB, tcp, port, public, why) for port, why in web),
        *(Flow(Party.WEB, Party.MAIL, tcp, port, public, why) for port, why in web),
    )


def flows_of(options: Options) -> tuple[Flow, ...]:
    """Return the intent graph of a stack with these options."""
    flows = [*_edge(options), *INSIDE, *OUTBOUND, MANAGEMENT]
    if options.endpoints:
        why = "AWS APIs without leaving the network"
        flows.append(Flow(Party.PLATFORM, Party.ENDPOINT, Protocol.TCP, Port.HTTPS, Identity.SIGNED_REQUESTS, why))
    if options.cloud_hsm:
        why = "keys of the private authority"
        flows += [
            Flow(Party.WITNESS, Party.HSM, Protocol.TCP, port, Identity.HSM_TLS, why)
            for port in (Port.HSM, Port.HSM_SYNC, Port.HSM_STATUS)
        ]
    return tuple(flows)
