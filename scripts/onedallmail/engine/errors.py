"""The one error that operations on a stack raise for people to read."""


class EngineError(Exception):
    """An operation that can't go on; the message says what is wrong, where, and what to do."""


class ResourceError(EngineError):
    """One resource can't become what the program asks for."""
