"""How strictly senders shall take the MTA-STS policy of the platform's domains."""

from enum import StrEnum


class PolicyMode(StrEnum):
    """Modes of RFC 8461, section 5."""

    ENFORCE = "enforce"
    TESTING = "testing"
    """Failures are reported (TLS-RPT), mail is delivered all the same."""
    NONE = "none"
