"""The error that people see when the lab cannot do what was asked.

Its text says what is wrong, where, and what to do.
"""


class LabError(Exception):
    """Something about the lab that its user has to know or to change."""
