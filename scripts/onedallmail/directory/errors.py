"""Errors of the directory that people see: what is wrong, where, and what to do."""


class DirectoryError(RuntimeError):
    """The directory could not do what was asked; nothing was changed unless the text says otherwise."""


class InputError(DirectoryError):
    """A value was refused before anything was sent."""


class LeaderError(DirectoryError):
    """No server can take changes at this moment."""


class UnknownError(DirectoryError):
    """The directory does not hold what was named."""


class ConflictError(DirectoryError):
    """The directory's rules refuse the change."""


class UnconfirmedError(DirectoryError):
    """The answer was lost: the change may have been made or not."""
