"""Who belongs to which placement group: asked of the directory's local replica, and kept."""

import json
import logging
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from onedallmail.mailboxes.settings import Directory

PSQL = "/usr/bin/psql"
QUERY = "SELECT address, placement_group FROM postfix.mailbox"
TIMEOUT_S = 30.0

log = logging.getLogger("mailboxes.members")


class MembersError(Exception):
    """The directory gave no answer, and none is kept."""


def parse_members(text: str) -> dict[str, int]:
    """Return group by user of psql's lines, a tab between; raises ValueError."""
    members = {}
    for line in text.splitlines():
        user, _, group = line.partition("\t")
        members[user] = int(group)
    return members


def ask(directory: Directory) -> dict[str, int]:
    """Return group by user as the replica has them; raises OSError, ValueError or subprocess.SubprocessError."""
    command = [PSQL, "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--field-separator=\t"]
    command += ["--set=ON_ERROR_STOP=1", f"--host={directory.socket}", f"--username={directory.role}"]
    command += [f"--dbname={directory.database}", f"--command={QUERY}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        msg = done.stderr.strip() or f"psql ended with {done.returncode}"
        raise OSError(msg)
    return parse_members(done.stdout)


class Members:
    """The last answer of the directory, in memory and in a file."""

    def __init__(self, directory: Directory, kept: Path) -> None:
        """Begin with the answer that an earlier run kept."""
        self._directory = directory
        self._kept = kept
        self._groups: dict[str, int] = {}
        self._users: dict[int, frozenset[str]] = {}
        self.error: str | None = "never read"
        self.read_at = 0.0
        """When the directory answered last (Unix time)."""
        try:
            self._take(json.loads(kept.read_text()))
        except (OSError, ValueError, AttributeError):
            log.info("no earlier list of users in %s", kept)

    def refresh(self) -> bool:
        """Ask the directory; return whether it answered. Without an answer the last one stays."""
        begun = time.time()
        try:
            groups = ask(self._directory)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            if self.error is None or self.error == "never read":
                log.warning("the directory gives no answer, the last list of users stays: %s", error)
            self.error = str(error)
            return False
        if self.error not in {None, "never read"}:
            log.info("the directory answers again")
        self.error, self.read_at = None, begun
        if groups != self._groups:
            self._take(groups)
            new = self._kept.with_suffix(".new")
            new.write_text(json.dumps(groups))
            new.replace(self._kept)
        return True

    def _take(self, groups: Mapping[str, int]) -> None:
        users: dict[int, set[str]] = defaultdict(set)
        for user, group in groups.items():
            users[group].add(user)
        self._groups = dict(groups)
        self._users = {group: frozenset(names) for group, names in users.items()}

    def group_of(self, user: str) -> int | None:
        """Return a user's group; None for somebody whom the directory does not know."""
        return self._groups.get(user)

    def users_of(self, group: int) -> frozenset[str]:
        """Return the users of a group."""
        return self._users.get(group, frozenset())

    @property
    def known(self) -> bool:
        """Whether there is any answer, now or kept."""
        return bool(self._groups) or self.error is None
