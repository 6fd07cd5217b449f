"""The hardened host: kernel network settings, units, accounts, file modes, updates."""

import re

import pytest

from onedallmail.evidence.attachments import Evidence
from tests.hosts.facts import Facts
from tests.lab import WITNESS

pytestmark = pytest.mark.lab

SYSCTL = {
    "net.ipv4.ip_forward": "0",
    "net.ipv6.conf.all.forwarding": "0",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv4.icmp_echo_ignore_broadcasts": "1",
    "net.ipv4.icmp_ignore_bogus_error_responses": "1",
    "net.ipv4.tcp_syncookies": "1",
    **{
        f"net.ipv4.conf.{scope}.{name}": value
        for scope in ("all", "default")
        for name, value in {
            "accept_redirects": "0",
            "secure_redirects": "0",
            "send_redirects": "0",
            "accept_source_route": "0",
            "log_martians": "1",
            "rp_filter": "1",
        }.items()
    },
}
"""CIS Debian benchmark, section 3.3."""
UNNEEDED = re.compile(
    r"^(avahi-daemon|cups\S*|rpcbind|nfs-\S+|smbd|nmbd|vsftpd|apache2|nginx|bind9|named|knot|snmpd|telnet\S*|inetd|xinetd|rsync"
    r"|opendkim|opendmarc|exim4|isc-dhcp-server|slapd|squid|dnsmasq|ypserv|bluetooth|getty@\S*|serial-getty@\S*)\.service"
)
MAIL_UNITS = ("postfix@-.service", "postfix.service", "dovecot.service", "rspamd.service", "valkey-server.service")
SETUID_KNOWN = re.compile(
    r"^/usr/(bin/(chage|chfn|chsh|expiry|gpasswd|mount|newgrp|passwd|su|sudo|umount|crontab|ssh-agent|fusermount3?|ntfs-3g|wall|write|dotlockfile)"
    r"|sbin/(unix_chkpwd|postdrop|postqueue|pam_extrausers_chkpwd)"
    r"|lib/(openssh/ssh-keysign|dbus-1\.0/dbus-daemon-launch-helper|polkit-1/polkit-agent-helper-1|x86_64-linux-gnu/utempter/utempter"
    r"|dovecot/\S+))$"
)


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.9", "soc2:CC7.1")
def test_kernel_network_settings_are_hardened(facts: Facts) -> None:
    """Redirects, source routes and forwarding let a neighbour steer traffic; martians in the log show who tries."""
    found = dict(line.replace(" ", "").split("=", 1) for line in facts["sysctl"].lines if "=" in line)
    assert {key: found.get(key) for key in SYSCTL} == SYSCTL


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.9", "iso27001:A.8.16", "soc2:CC7.2")
def test_no_unit_has_failed(facts: Facts) -> None:
    """A failed unit is a control that is off, or a service about to be missed."""
    assert facts["failed"].lines == []


@pytest.mark.control("iso27001:A.8.9", "iso27001:A.8.18", "soc2:CC6.8")
def test_unneeded_services_do_not_run(facts: Facts, evidence: Evidence) -> None:
    """Each running service is attack surface; the image carries more than one kind of server needs."""
    running = [line.split()[0] for line in facts["running"].lines]
    evidence.attach_text(f"{facts.server}-services.txt", "\n".join(running))
    assert [unit for unit in running if UNNEEDED.match(unit)] == []
    if facts.server in WITNESS:
        assert not set(MAIL_UNITS) & set(running), "a server without mailboxes runs parts of the mail system"


@pytest.mark.control("iso27001:A.8.19", "iso27001:A.8.8", "iso27001:A.5.21", "soc2:CC7.1")
def test_security_updates_install_themselves_and_nothing_else_does(facts: Facts) -> None:
    """Known holes are closed within a day without a person; other updates wait for a planned change."""
    settings = facts["apt"].stdout
    assert 'APT::Periodic::Update-Package-Lists "1";' in settings
    assert 'APT::Periodic::Unattended-Upgrade "1";' in settings
    origins = re.findall(r'^Unattended-Upgrade::Origins-Pattern:: "(.*)";', settings, re.MULTILINE)
    assert origins, "no origin is allowed to update"
    assert all("label=Debian-Security" in origin for origin in origins), f"updates come from {origins}"
    assert not re.search(r"^Unattended-Upgrade::Allowed-Origins:: ", settings, re.MULTILINE)
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in settings
    assert set(facts["apt-timers"].lines) == {"enabled"}


@pytest.mark.control("iso27001:A.8.8", kind="scan", basis="recorded")
def test_pending_security_updates_are_looked_for(facts: Facts, evidence: Evidence) -> None:
    """Whether updates are pending can't be established without a way to the archive: what the server knows is kept."""
    evidence.attach_text(f"{facts.server}-upgradable.txt", facts["upgradable"].stdout)
    evidence.attach_text(f"{facts.server}-package-lists.txt", facts["apt-lists"].stdout)
    assert "upgraded" in facts["upgradable"].stdout


@pytest.mark.control("iso27001:A.5.17", "iso27001:A.8.5", "soc2:CC6.1")
def test_no_account_of_the_system_has_a_password(facts: Facts) -> None:
    """Nobody can guess, leak or reuse a password that does not exist; people come with keys."""
    kinds = dict(line.split() for line in facts["passwords"].lines)
    assert [user for user, kind in kinds.items() if kind != "locked"] == []


@pytest.mark.control("iso27001:A.8.2", "iso27001:A.5.15", "soc2:CC6.3")
def test_root_is_the_only_administrator_and_few_accounts_have_a_shell(facts: Facts) -> None:
    """A second account with user id 0 is a hidden administrator; service accounts do not need a shell."""
    assert facts["uid0"].lines == ["root"]
    assert set(facts["login-shells"].lines) <= {"root", "postgres"}, "a service account has a log-in shell"


@pytest.mark.control("iso27001:A.8.3", "iso27001:A.5.15", "soc2:CC6.1", "soc2:CC6.3", "gdpr:Art.32")
def test_nothing_of_the_services_is_writable_by_everyone(facts: Facts) -> None:
    """A world-writable file lets one captured service change what another one reads."""
    assert facts["world-writable"].lines == []
    assert facts.raw("unowned").lines == []


@pytest.mark.control("iso27001:A.8.18", "soc2:CC6.3")
def test_programs_that_run_as_somebody_else_are_known_ones(facts: Facts, evidence: Evidence) -> None:
    """A setuid program is the short way from a service to root, so each one is on a list."""
    evidence.attach_text(f"{facts.server}-setuid.txt", facts["setuid"].stdout)
    paths = [line.split()[3] for line in facts["setuid"].lines]
    assert paths, "the search found no setuid program, so it did not look"
    assert [path for path in paths if not SETUID_KNOWN.match(path)] == []


@pytest.mark.control("iso27001:A.8.3", "iso27001:A.8.24", "soc2:CC6.1", "gdpr:Art.32")
def test_private_keys_are_readable_by_root_and_the_key_group_only(facts: Facts) -> None:
    """Who reads the key is the server, for everybody who asks."""
    rows = {
        name: (mode, user, group) for mode, user, group, name in (line.split() for line in facts["tls-modes"].lines)
    }
    keys = {name: row for name, row in rows.items() if name.endswith(".key")}
    assert keys, "no key was looked at"
    assert all(row == ("640", "root", "ssl-cert") for row in keys.values()), keys
    assert all(int(row[0], 8) & 0o022 == 0 and row[1] == "root" for row in rows.values()), rows


@pytest.mark.control("iso27001:A.8.3", "iso27001:A.8.11", "soc2:CC6.1", "gdpr:Art.32")
def test_mail_and_its_secrets_are_closed_to_other_users(facts: Facts) -> None:
    """Mailboxes, signing keys and the sockets of delivery and log-in belong to their one service."""
    if "mail-modes" not in facts.sections:
        assert not any("/var/vmail" in line for line in facts["world-writable"].lines)
        return
    rows = {
        name: (mode, user, group) for mode, user, group, name in (line.split() for line in facts["mail-modes"].lines)
    }
    assert rows["/var/vmail"][1] == "vmail"
    signing = {name: row for name, row in rows.items() if name.startswith("/var/lib/rspamd/dkim/")}
    assert signing, "no DKIM key is there"
    for name, (mode, _, _) in rows.items():
        assert int(mode, 8) & 0o007 == 0, f"{name} has mode {mode}"
    assert rows["/var/spool/postfix/private/auth"] == ("600", "postfix", "postfix")
    assert rows["/etc/dovecot/secrets.conf"] == ("600", "root", "root")
    assert rows["/etc/onedallmail/doveadm-api.key"] == ("640", "root", "vmail")
