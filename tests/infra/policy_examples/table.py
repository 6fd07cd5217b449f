"""All examples, as one table."""

from . import network, security_groups, storage
from .example import Example

EXAMPLES: tuple[Example, ...] = (*security_groups.EXAMPLES, *network.EXAMPLES, *storage.EXAMPLES)
