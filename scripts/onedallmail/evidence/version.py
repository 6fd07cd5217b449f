"""The version of the product; every bundle and verification names it.

It comes from the checkout, or from the installed package where there is none.
"""

import tomllib
from importlib import metadata

from onedallmail.paths import ROOT


def _version() -> str:
    project = ROOT / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    return metadata.version("onedallmail")


VERSION = _version()
