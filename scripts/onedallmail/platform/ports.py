"""The ports of every service, each written once.

Sources: RFC 5321 (25), RFC 8314 (465, 587, 993), RFC 5804 (4190), IANA for etcd, PostgreSQL and syslog over TLS;
the hand-over, copy, synchronisation and home ports are this platform's own.
"""

from enum import IntEnum


class Port(IntEnum):
    """A service's port; member names are the flow names with underscores."""

    SMTP = 25
    DNS = 53
    NTP = 123
    SSH = 22
    HTTPS = 443
    SUBMISSIONS = 465
    SUBMISSION = 587
    IMAPS = 993
    HSM = 2223
    HSM_SYNC = 2224
    HSM_STATUS = 2225
    ETCD_CLIENT = 2379
    ETCD_PEER = 2380
    SIEVE = 4190
    NTS = 4460
    POSTGRES = 5432
    SYSLOG = 6514
    PATRONI = 8008
    HANDOVER = 10025
    COPIES = 10027
    SYNC = 10028
    SYNC_HOME = 10143
    IMAP_HOME = 10993
    SIEVE_HOME = 14190

    @property
    def service(self) -> str:
        """The service's name as flows, variables and documents write it (`etcd-client`)."""
        return self.name.lower().replace("_", "-")
