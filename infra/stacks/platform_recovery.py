"""The platform's backup and its HSM."""

from components.context import Context
from components.keys import Keys

from stacks.platform_detection import Alerts
from stacks.platform_network import Networks


def make_recovery(context: Context, keys: Keys, networks: Networks, alerts: Alerts) -> None:
    """Register backup plans and vaults, and the HSM cluster."""
