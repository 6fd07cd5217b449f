"""Which TCP ports a node can open, tried all at once from inside its network namespace; and who may, by the graph."""

import errno
import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address

from onedallmail.lab.inside import inside
from onedallmail.platform.firewall import Direction, host_rules
from onedallmail.platform.flows import Protocol
from tests.lab import PLATFORM, server

Target = tuple[str, int]


def reachable(node: str, targets: Iterable[Target], within_s: float = 2.0) -> set[Target]:
    """Return the targets whose TCP connection is established within the bound."""
    wanted = sorted(set(targets))
    opened: set[Target] = set()
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        with inside(node):
            for target in wanted:
                one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                one.setblocking(False)
                code = one.connect_ex(target)
                if code in (0, errno.EINPROGRESS):
                    selector.register(one, selectors.EVENT_WRITE, target)
        end = time.monotonic() + within_s
        while selector.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    opened.add(key.data)
                selector.unregister(key.fileobj)
    return opened


@contextmanager
def listeners(node: str, address: str, ports: Iterable[int]) -> Iterator[None]:
    """Accept TCP connections on ports of a bare node while the block runs, so that a refusal is the firewall's."""
    with ExitStack() as stack, inside(node):
        for port in ports:
            stack.enter_context(socket.create_server((address, port), backlog=64))
        held = stack.pop_all()
    with held:
        yield


def may_connect(source: str, destination: str, port: int) -> bool:
    """Return whether the intent graph lets one server open a TCP port of another at its private address."""
    one, two = server(source), server(destination)
    return _allows(source, Direction.OUT, port, two.private_ip) and _allows(
        destination, Direction.IN, port, one.private_ip
    )


def _allows(at: str, direction: Direction, port: int, other: IPv4Address) -> bool:
    return any(
        rule.direction is direction
        and rule.flow.protocol is Protocol.TCP
        and rule.flow.port.value == port
        and any(other in peer for peer in rule.peers)
        for rule in host_rules(PLATFORM, server(at))
    )
