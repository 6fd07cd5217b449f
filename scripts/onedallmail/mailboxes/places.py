"""Where a mailbox is stored on this server, and what its files say."""

import hashlib
from pathlib import Path

from onedallmail.mailboxes import dovecot, ledger
from onedallmail.mailboxes.dovecot import Api

SCRIPTS = "sieve"
ACTIVE = ".dovecot.sieve"


class Store:
    """The directory of mailboxes: DIRECTORY/DOMAIN/LOCALPART, as Dovecot's userdb says (role dovecot)."""

    def __init__(self, directory: Path) -> None:
        """Keep the directory."""
        self._directory = directory

    def home(self, user: str) -> Path:
        """Return a user's directory; raises ValueError for what is no address of a mailbox."""
        local, at, domain = user.rpartition("@")
        parts = [*domain.split("/"), *local.split("/")]
        if not at or any(part in {"", ".", ".."} for part in parts) or "\0" in user:
            msg = f"{user!r} is no address of a mailbox"
            raise ValueError(msg)
        return self._directory / domain / local

    def ledger(self, user: str) -> Path:
        """Return the path of a user's ledger."""
        return self.home(user) / ledger.NAME

    def stored(self, user: str) -> bool:
        """Return whether anything of the mailbox is stored here. Asking Dovecot would make its folders."""
        return self.home(user).is_dir()


def scripts(home: Path) -> frozenset[str]:
    """Return the names of a user's Sieve scripts."""
    return frozenset(path.stem for path in (home / SCRIPTS).glob("*.sieve"))


def digests(api: Api, store: Store, user: str) -> dict[str, str]:
    """Return a SHA-256 for each part of a mailbox, equal for equal parts on two servers. Empty without a mailbox.

    A folder's covers UIDs, GUIDs and flags. Raises DovecotError, OSError.
    """
    if not store.stored(user):
        return {}
    lines: dict[str, list[str]] = {name: [] for name in dovecot.names(api, user)}
    for folder, uid, guid, flags in dovecot.flags(api, user):
        lines.setdefault(folder, []).append(f"{uid} {guid} {flags}")
    found = {f"folder {name}": _digest("\n".join(sorted(content)).encode()) for name, content in lines.items()}
    found["subscriptions"] = _digest("\n".join(dovecot.subscriptions(api, user)).encode())
    found["scripts"] = _digest(_scripts(store.home(user)))
    return found


def _scripts(home: Path) -> bytes:
    """Return names and contents of a user's Sieve scripts, and which is active."""
    parts = [
        path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest()
        for path in sorted((home / SCRIPTS).glob("*.sieve"))
    ]
    active = home / ACTIVE
    parts.append(active.readlink().name.encode() if active.is_symlink() else b"")
    return b"\0".join(parts)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
