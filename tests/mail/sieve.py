"""A small ManageSieve client (RFC 5804): TLS, log-in, scripts."""

import base64
import re
from types import TracebackType

from onedallmail.platform.ports import Port
from tests.lab import CLIENT, connect, trust
from tests.mail.clients import TIMEOUT_S, address_of
from tests.tls import ask_for_tls, read_lines, sieve_done


class SieveError(RuntimeError):
    """The server answered NO or BYE."""


class Sieve:
    """One connection, inside TLS from the first line that matters."""

    def __init__(self, name: str, node: str = CLIENT) -> None:
        fqdn, address = address_of(name)
        plain = connect(node, address, Port.SIEVE.value, TIMEOUT_S)
        ask_for_tls(plain, "sieve")
        self._stream = trust().wrap_socket(plain, server_hostname=fqdn)
        self.capabilities = read_lines(self._stream, sieve_done).decode()

    def __enter__(self) -> "Sieve":
        """Return the connection."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._stream.close()

    def login(self, user: str, secret: str) -> None:
        """Log in with SASL PLAIN; raises SieveError when refused."""
        token = base64.b64encode(f"\0{user}\0{secret}".encode()).decode()
        self._command(f'AUTHENTICATE "PLAIN" "{token}"\r\n'.encode())

    def put(self, name: str, script: str) -> None:
        """Store a script and make it the active one."""
        content = script.encode()
        self._command(f'PUTSCRIPT "{name}" {{{len(content)}+}}\r\n'.encode() + content + b"\r\n")
        self._command(f'SETACTIVE "{name}"\r\n'.encode())

    def drop(self, name: str) -> None:
        """Make no script the active one, and remove this one."""
        self._command(b'SETACTIVE ""\r\n')
        self._command(f'DELETESCRIPT "{name}"\r\n'.encode())

    def _command(self, line: bytes) -> str:
        self._stream.sendall(line)
        reply = read_lines(self._stream, sieve_done).decode(errors="replace")
        if not re.search(r"^OK\b", reply, re.MULTILINE):
            raise SieveError(reply.strip() or "the connection was closed")
        return reply
