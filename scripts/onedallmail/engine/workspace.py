"""Where one stack's program, state and logs are, and how its provider is started."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from onedallmail import paths


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A stack of a checkout; tests give other folders and other commands that start provider and program."""

    stack: str
    root: Path = paths.ROOT
    state_dir: Path | None = None
    provider: tuple[str, ...] = field(default=())
    launcher: tuple[str, ...] = field(default=())

    offline: bool = False
    """Whether the stack is tried out with the lab's provider instead of its account: its state lies elsewhere."""

    @property
    def home(self) -> Path:
        """Folder of all state of the stack."""
        return self.state_dir or paths.state_dir(self._folder(self.stack))

    def sibling(self, stack: str) -> "Workspace":
        """Return another stack of the same checkout, whose state is beside this one's (offline beside offline)."""
        return replace(self, stack=stack, state_dir=self.home.with_name(self._folder(stack)))

    def _folder(self, stack: str) -> str:
        return f"{stack}-offline" if self.offline else stack

    @property
    def deployment(self) -> Path:
        """Folder of snapshot, journal and lock."""
        return self.home / "deployment"

    @property
    def logs(self) -> Path:
        """Folder of the program's and the provider's output."""
        return self.home / "logs"

    @property
    def provider_command(self) -> list[str]:
        """Command line of the lab's AWS provider."""
        module = self.provider or (sys.executable, "-u", "-m", "onedallmail.cloud.provider")
        return [*module, "--state", str(self.home)]

    @property
    def launcher_command(self) -> list[str]:
        """Command line that runs a program; the settings of the run follow."""
        return [*(self.launcher or (sys.executable, "-u", "-m", "onedallmail.engine.launcher"))]

    def prepare(self) -> None:
        """Create the folders, private to their owner."""
        for folder in (self.home, self.deployment, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
