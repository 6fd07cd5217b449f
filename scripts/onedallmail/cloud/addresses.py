"""Public addresses of the lab's Elastic IPs: 198.51.100.0/24 (RFC 5737), one for each URN, kept while it lives."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

from onedallmail.engine.state import replace_file

NETWORK = IPv4Network("198.51.100.0/24")

Book = dict[str, dict[str, str]]
"""By allocation id: the URN that has it and its address."""


class AddressesExhaustedError(RuntimeError):
    """More Elastic IPs than the lab's network has addresses."""


class AddressBook:
    """Allocations of one stack, in a file that provider processes share."""

    def __init__(self, folder: Path) -> None:
        """Keep the book in `folder`."""
        self._folder, self._path = folder, folder / "addresses.json"

    @contextmanager
    def _locked(self) -> Iterator[Book]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._folder / "addresses.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield self._read()
        finally:
            os.close(handle)

    def _read(self) -> Book:
        book: Book = json.loads(self._path.read_text()) if self._path.exists() else {}
        return book

    def allocate(self, urn: str, allocation: str) -> str:
        """Return a free address for a URN: its first choice depends on the URN only, so rebuilt stacks keep theirs.

        Raises:
            AddressesExhaustedError: every address is taken.
        """
        hosts = list(NETWORK.hosts())
        first = int.from_bytes(hashlib.sha256(urn.encode()).digest()[:8], "big")
        with self._locked() as book:
            # An allocation that was never recorded (its run was killed) belongs to the same URN: it moves on.
            taken = {entry["address"] for entry in book.values()}
            for step in range(len(hosts)):
                address = str(hosts[(first + step) % len(hosts)])
                if address not in taken:
                    book[allocation] = {"urn": urn, "address": address}
                    replace_file(self._path, json.dumps(book, indent=1).encode())
                    return address
        msg = f"every address of {NETWORK} is allocated"
        raise AddressesExhaustedError(msg)

    def address(self, allocation: str) -> str | None:
        """Return the address of an allocation, None when there is none."""
        return self._read().get(allocation, {}).get("address")

    def release(self, allocation: str) -> None:
        """Give an address back."""
        with self._locked() as book:
            if book.pop(allocation, None):
                replace_file(self._path, json.dumps(book, indent=1).encode())
