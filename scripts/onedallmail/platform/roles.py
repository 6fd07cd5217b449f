"""What a server of the platform can be."""

from enum import StrEnum


class ServerRole(StrEnum):
    """The one job that decides a server's subnets, flows, permissions and Ansible group."""

    MAIL = "mail"
    """Accepts, stores and serves mail; a member of the directory and of the placement map."""
    WITNESS = "witness"
    """Votes and collects logs in a region without mailboxes, so that two mail regions never tie."""
