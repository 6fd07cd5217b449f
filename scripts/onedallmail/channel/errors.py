"""What can go wrong in a call to another server, each with the server, the verb and the reason."""


class ChannelError(Exception):
    """A call that gave no result."""

    def __init__(self, server: str, verb: str, reason: str) -> None:
        """Keep the three parts; the message joins them."""
        super().__init__(f"{verb} at {server}: {reason}")
        self.server = server
        self.verb = verb
        self.reason = reason


class UnreachableError(ChannelError):
    """The peer gave no answer that can be trusted: nothing is known about what it did."""


class RefusedError(ChannelError):
    """The peer itself answered that it did not do what was asked."""


class Refusal(Exception):  # noqa: N818 - an answer of a handler, not a failure of it
    """Raised by a handler: its text goes to the caller, whose call raises RefusedError."""


class FrameError(Exception):
    """What came over the connection is no frame, or one that is larger than agreed."""
