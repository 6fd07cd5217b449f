"""Reads stack files: the adapter between Pulumi.<stack>.yaml and the platform model."""

from pathlib import Path

import yaml

from onedallmail.paths import ROOT
from onedallmail.platform.accounts import AnyConfig, parse_any
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.stack import PROJECT, StackConfig, StackError


def load_any(stack: str, root: Path = ROOT) -> AnyConfig:
    """Read and check `Pulumi.<stack>.yaml` below `root`, whatever its kind.

    Raises:
        StackError: there is no such file, it is no YAML, or a field is wrong.
    """
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.name[7:-5] for p in root.glob("Pulumi.*.yaml"))) or "none"
        msg = f"there is no stack '{stack}' ({path.name} is missing); stacks here: {known}"
        raise StackError(msg)
    try:
        config = (yaml.safe_load(path.read_text()) or {}).get("config") or {}
    except yaml.YAMLError as error:
        msg = f"{path.name} is no YAML: {error}"
        raise StackError(msg) from error
    prefix = f"{PROJECT}:"
    return parse_any(stack, {k.removeprefix(prefix): v for k, v in config.items() if k.startswith(prefix)})


def load_stack(stack: str, root: Path = ROOT) -> StackConfig:
    """Read and check the stack file of a platform.

    Raises:
        StackError: as `load_any`, and for a stack of another kind.
    """
    config = load_any(stack, root)
    if not isinstance(config, StackConfig):
        msg = f"stack '{stack}' is of the kind '{config.kind}', which has no mail servers: name a platform stack"
        raise StackError(msg)
    return config


def load_platform(stack: str, root: Path = ROOT) -> Platform:
    """Return the platform that a stack file describes (errors as `load_stack`)."""
    return build_platform(load_stack(stack, root))
