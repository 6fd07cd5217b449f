"""TLS towards the source of a migration: verified always, 1.3 unless a reason is written."""

import ssl

import pytest

from onedallmail.migration.errors import MigrationError
from onedallmail.migration.source import Source


@pytest.mark.parametrize(("reason", "lowest"), [("", ssl.TLSVersion.TLSv1_3), ("old box", ssl.TLSVersion.TLSv1_2)])
def test_an_exception_lowers_the_version_and_nothing_else(reason: str, lowest: ssl.TLSVersion) -> None:
    """An old system is still the right system."""
    context = Source("mail.old.example", old_tls=reason).tls()
    assert context.minimum_version is lowest
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_missing_authority_is_named() -> None:
    """Its path is most likely mistyped."""
    with pytest.raises(MigrationError, match=r"/nowhere/ca\.crt"):
        Source("mail.old.example", ca_file="/nowhere/ca.crt").tls()
