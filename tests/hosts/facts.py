"""What a server says of itself, gathered in one SSH call a server; the tests only judge it.

Secrets never leave the server: of passwords only their kind is printed, of keys only owner and mode.
"""

import re
from dataclasses import dataclass
from functools import cache

from tests.lab import ALL, Output, host, on_all, server

MARK = "\x1e"
PATRONI = "patronictl --config-file /etc/patroni/config.yml list --format json"
"""The members of the directory as Patroni sees them, asked with this server's identity."""
ETCDCTL = (
    "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/onedallmail/tls/ca.crt"
    " --cert=/etc/onedallmail/tls/server.crt --key=/etc/onedallmail/tls/server.key"
)
COMMON = {
    "sockets": "ss -H -t -u -l -n -p",
    "nft": "nft --stateless list ruleset",
    "nft-enabled": "systemctl is-enabled nftables.service; systemctl is-active nftables.service",
    "sshd": "sshd -T",
    "sysctl": "sysctl -a 2>/dev/null | grep '^net[.]'",
    "failed": "systemctl list-units --failed --plain --no-legend --no-pager",
    "running": "systemctl list-units --type=service --state=running --plain --no-legend --no-pager",
    "apt": "apt-config dump",
    "apt-timers": "systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer",
    "upgradable": "apt-get --simulate --no-download upgrade",
    "apt-lists": "find /var/lib/apt/lists -name '*_Packages*' -printf '%TY-%Tm-%Td %f\\n'",
    "tracking": "chronyc -n -c tracking",
    "passwords": (r"""awk -F: '{print $1, ($2 ~ /^[!*]/) ? "locked" : ($2 == "" ? "EMPTY" : "SET")}' /etc/shadow"""),
    "uid0": "awk -F: '$3 == 0 {print $1}' /etc/passwd",
    "login-shells": r"awk -F: '$7 !~ /(nologin|false|sync)$/ {print $1}' /etc/passwd",
    "tls-modes": "stat -c '%a %U %G %n' /etc/onedallmail/tls /etc/onedallmail/tls/*",
    "world-writable": (
        "find $(ls -d /etc /usr/local /var/lib /var/log /opt /var/vmail 2>/dev/null) -xdev -ignore_readdir_race"
        " \\( -type f -o -type d \\) -perm -0002 ! -perm -1000 -printf '%m %u %g %p\\n'"
    ),
    "unowned": "find /etc /usr /var/lib -xdev -ignore_readdir_race \\( -nouser -o -nogroup \\) -print",
    "setuid": "find / -xdev -type f -perm /6000 -printf '%m %u %g %p\\n' 2>/dev/null",
    "certificates": (
        "for f in /etc/onedallmail/tls/server.crt /etc/onedallmail/tls/public.crt; do"
        ' [ -e $f ] || continue; echo "file=$f"; openssl x509 -in $f -noout -subject -issuer -dates -nameopt RFC2253'
        " -ext subjectAltName,extendedKeyUsage,basicConstraints;"
        " openssl x509 -in $f -noout -pubkey | openssl pkey -pubin -noout -text | head -1; done"
    ),
    "etcd-health": f"{ETCDCTL} endpoint health --cluster --write-out=json",
    "etcd-members": f"{ETCDCTL} member list --write-out=json",
    "journal": "journalctl --disk-usage; stat -c '%a %n' /var/log/journal",
}
MAIL_ONLY = {
    "placement-groups": "cat /var/lib/onedallmail/placement/groups.json",
    "placement-modes": "stat -c '%a %U %n' /var/lib/onedallmail/placement /var/lib/onedallmail/placement/*",
    "mail-modes": (
        "stat -c '%a %U %G %n' /var/vmail /var/lib/rspamd/dkim /var/lib/rspamd/dkim/* /var/spool/postfix/private"
        " /var/spool/postfix/private/auth /etc/dovecot/secrets.conf /etc/onedallmail/doveadm-api.key"
    ),
}


@dataclass(frozen=True)
class Facts:
    """The outputs of one server, by section."""

    server: str
    sections: dict[str, Output]

    def __getitem__(self, section: str) -> Output:
        """Return a section that the server could produce; a command that failed is a failure of the test."""
        output = self.sections[section]
        assert output.code == 0, (
            f"{self.server}: section '{section}' ended with {output.code}: {output.stderr or output.stdout}"
        )
        return output

    def raw(self, section: str) -> Output:
        """Return a section whatever its exit status."""
        return self.sections[section]


def gather(name: str) -> Facts:
    """Ask one server for everything in one call."""
    commands = COMMON | (MAIL_ONLY if server(name).role.value == "mail" else {})
    parts = [
        f"printf '{MARK}%s\\n' {section}; ( {command} ) 2>$E; rc=$?; printf '{MARK}rc %s\\n' $rc; cat $E"
        for section, command in commands.items()
    ]
    script = "export LC_ALL=C.UTF-8; E=$(mktemp); trap 'rm -f $E' EXIT\n" + "\n".join(parts)
    done = host(name).run("bash -c %s", script)
    found = re.findall(rf"{MARK}([a-z0-9-]+)\n(.*?){MARK}rc (\d+)\n([^{MARK}]*)", done.stdout, re.DOTALL)
    sections = {section: Output(int(code), out, err) for section, out, code, err in found}
    missing = sorted(set(commands) - set(sections))
    assert not missing, f"{name}: no answer for {missing}; SSH said: {done.stderr.strip()[:500]}"
    return Facts(name, sections)


@cache
def all_facts() -> dict[str, Facts]:
    """Return the facts of every server; gathered once a run, from all servers at the same time."""
    return on_all(ALL, gather)
