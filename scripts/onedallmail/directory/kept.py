"""Passwords of accounts that the lab keeps, so that its users can try them; other stacks keep none."""

from pathlib import Path

from onedallmail.paths import state_dir
from onedallmail.stackfile import load_platform


def keep(stack: str, address: str, password: str) -> None:
    """Write a password to the stack's secrets (0600) if the stack is a lab."""
    if load_platform(stack).config.target != "lab":
        return
    path = _path(stack, address)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(password + "\n", encoding="utf-8")
    draft.replace(path)


def kept(stack: str, address: str) -> str | None:
    """Return a kept password, None if none is kept."""
    try:
        return _path(stack, address).read_text(encoding="utf-8").removesuffix("\n")
    except FileNotFoundError:
        return None


def forget(stack: str, address: str) -> None:
    """Remove a kept password if there is one."""
    _path(stack, address).unlink(missing_ok=True)


def _path(stack: str, address: str) -> Path:
    return state_dir(stack) / "secrets" / f"mail-{address}"
