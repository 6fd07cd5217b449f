"""SSH as it is in effect (`sshd -T`), not as a file says: keys only, modern algorithms, nothing forwarded."""

import pytest

from tests.hosts.facts import Facts

pytestmark = pytest.mark.lab

EXACT = {
    "authenticationmethods": "publickey",
    "passwordauthentication": "no",
    "kbdinteractiveauthentication": "no",
    "hostbasedauthentication": "no",
    "permitemptypasswords": "no",
    "permitrootlogin": "without-password",
    "allowusers": "root",
    "strictmodes": "yes",
    "maxauthtries": "3",
    "x11forwarding": "no",
    "allowtcpforwarding": "no",
    "allowagentforwarding": "no",
    "allowstreamlocalforwarding": "no",
    "permittunnel": "no",
    "permituserenvironment": "no",
    "gatewayports": "no",
    "loglevel": "VERBOSE",
}
STRONG = {
    "kexalgorithms": {"mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com"},
    "ciphers": {"chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com"},
    "macs": {"hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com"},
    "hostkeyalgorithms": {"ssh-ed25519"},
}


def effective(facts: Facts) -> dict[str, str]:
    """Return the settings of the running configuration."""
    return {key: value for key, _, value in (line.partition(" ") for line in facts["sshd"].lines)}


@pytest.mark.control("iso27001:A.8.5", "iso27001:A.8.2", "iso27001:A.8.9", "soc2:CC6.1")
def test_only_keys_log_in_and_nothing_is_forwarded(facts: Facts) -> None:
    """A password can be guessed and a forwarded port walks around the firewall; neither is needed for configuration."""
    found = effective(facts)
    assert {key: found.get(key) for key in EXACT} == EXACT
    assert float(found["logingracetime"]) <= 60


@pytest.mark.control("iso27001:A.8.24", "soc2:CC6.7")
@pytest.mark.parametrize("setting", STRONG)
def test_ssh_algorithms_are_strong_and_post_quantum(facts: Facts, setting: str) -> None:
    """Sessions recorded today must stay closed to a quantum computer: hybrid key exchange, authenticated ciphers."""
    offered = set(effective(facts)[setting].split(","))
    assert offered, f"{setting} offers nothing"
    assert offered <= STRONG[setting], f"{setting} offers more than the strong ones: {offered - STRONG[setting]}"
