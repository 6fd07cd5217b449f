"""Errors of a migration that people see: what is wrong, where, and what to do."""


class MigrationError(RuntimeError):
    """A stage could not do what was asked; nothing at the source was changed."""
