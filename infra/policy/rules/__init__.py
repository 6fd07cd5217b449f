"""All rules of the pack, one concern a file."""

from ..model import AnyRule
from . import network, security_groups, storage

ALL_RULES: tuple[AnyRule, ...] = (
    *security_groups.RULES,
    *network.RULES,
    *storage.RULES,
)
