"""The emulator's process: moto's server behind a layer that puts each change on disk before it is answered.

Snapshots are pickles of moto's backends, one file a service, replaced whole and synced. They are read back by
this program only, from a folder that is its owner's alone.
"""

import argparse
import copyreg
import fcntl
import hashlib
import io
import json
import logging
import os
import pickle
import struct
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import moto
import moto.backends
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from moto.kms import utils
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from onedallmail.engine.state import replace_file

SERVICES = ("kms", "s3", "secretsmanager", "route53")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

logger = logging.getLogger("onedallmail.cloud.emulator")


def _load_key(data: bytes) -> Any:
    return load_der_private_key(data, password=None)


def _reduce_key(key: Any) -> tuple[Any, ...]:
    return _load_key, (key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),)


def teach_pickle() -> None:
    """Let pickle carry the asymmetric keys of KMS, which cryptography keeps in classes of its own."""
    for sample in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())):
        copyreg.pickle(type(sample), _reduce_key)


MULTI_REGION = b"mrk-"
"""How ids of multi-Region keys begin; they are four characters longer than others."""


def teach_long_key_ids() -> None:
    """Let ciphertexts name multi-Region keys: moto 5.2 cuts key ids at 36 characters, so nothing would decrypt."""

    def header(begin: bytes) -> struct.Struct:
        length = utils.KEY_ID_LEN + (len(MULTI_REGION) if begin.startswith(MULTI_REGION) else 0)
        return struct.Struct(f">{length}s{utils.IV_LEN}s{utils.TAG_LEN}s")

    def serialize(ciphertext: Any) -> bytes:
        key_id = ciphertext.key_id.encode()
        packed: bytes = header(key_id).pack(key_id, ciphertext.iv, ciphertext.tag) + ciphertext.ciphertext
        return packed

    def deserialize(ciphertext_blob: bytes) -> Any:
        form = header(ciphertext_blob)
        key_id, iv, tag = form.unpack(ciphertext_blob[: form.size])
        return utils.Ciphertext(key_id=key_id.decode(), iv=iv, ciphertext=ciphertext_blob[form.size :], tag=tag)

    utils._serialize_ciphertext_blob = serialize
    utils._deserialize_ciphertext_blob = deserialize


class Store:
    """The backends of the services on disk."""

    def __init__(self, folder: Path) -> None:
        """Keep the snapshots in `folder`."""
        self._folder = folder
        self._saved: dict[str, bytes] = {}

    def _file(self, service: str) -> Path:
        return self._folder / f"{service}.pickle"

    def save(self, services: Iterable[str]) -> None:
        """Put services on disk, durably."""
        for service in services:
            content = {
                account: dict(regions.items()) for account, regions in moto.backends.get_backend(service).items()
            }
            data = pickle.dumps({"moto": moto.__version__, "content": content}, protocol=5)
            mark = hashlib.sha256(data).digest()
            if self._saved.get(service) != mark:  # most requests to KMS are POSTs that change nothing
                replace_file(self._file(service), data)
                self._saved[service] = mark

    def load(self) -> None:
        """Bring back what was put on disk.

        Raises:
            SystemExit: another version of moto wrote it, whose objects this one may not understand.
        """
        for service in SERVICES:
            if not self._file(service).exists():
                continue
            saved = pickle.loads(self._file(service).read_bytes())  # noqa: S301 - our own file, mode 0600
            if saved["moto"] != moto.__version__:
                msg = (
                    f"{self._file(service)} was written by moto {saved['moto']}, this is {moto.__version__}: install "
                    "that version, or remove the folder together with the stack's state"
                )
                raise SystemExit(msg)
            backends = moto.backends.get_backend(service)
            for account, regions in saved["content"].items():
                for region, backend in regions.items():
                    _ = backends[account][region]  # lets moto register what a backend needs around it
                    backends[account][region] = backend


class Durable:
    """WSGI layer: one request at a time, answered when its changes are on disk."""

    def __init__(self, application: Callable[..., Iterable[bytes]], store: Store) -> None:
        """Wrap moto's application."""
        self._application, self._store, self._lock = application, store, threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        heading: list[Any] = []

        def keep_heading(*values: Any) -> Callable[[bytes], object]:
            heading[:] = values
            return io.BytesIO().write

        with self._lock:
            body = b"".join(self._application(environ, keep_heading))
            if environ["REQUEST_METHOD"] not in SAFE_METHODS:
                name = service_of(environ)
                self._store.save((name,) if name in SERVICES else SERVICES)
        start_response(*heading)
        return [body]


def service_of(environ: dict[str, Any]) -> str:
    """Return the service that a request was signed for, '' when it was not signed."""
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split(",")[0].split("/")
    return scope[3] if len(scope) > 4 else ""  # noqa: PLR2004 - key/date/region/service/aws4_request


def listen(folder: Path, application: Any) -> Any:
    """Return a server on loopback, on the port of the last time where that is free."""
    port_file = folder / "port"
    wished = int(port_file.read_text()) if port_file.exists() else 0
    for port in dict.fromkeys((wished, 0)):
        try:
            server = make_server("127.0.0.1", port, application, threaded=True, request_handler=QuietHandler)
        except (OSError, SystemExit):  # werkzeug exits when the port is taken
            continue
        replace_file(port_file, str(server.server_port).encode())
        return server
    msg = "no free port on loopback"
    raise SystemExit(msg)


class QuietHandler(WSGIRequestHandler):
    """Log failures only; keep connections open between requests."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log answers of 500 and above."""
        if str(code).startswith("5"):
            super().log_request(code, size)


def main() -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    folder: Path = parser.parse_args().folder
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    lock = os.open(folder / "emulator.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another one serves this folder
    teach_pickle()
    teach_long_key_ids()
    store = Store(folder)
    store.load()
    server = listen(folder, Durable(DomainDispatcherApplication(create_backend_app), store))
    place = {"pid": os.getpid(), "url": f"http://127.0.0.1:{server.server_port}"}
    replace_file(folder / "emulator.json", json.dumps(place).encode())
    server.serve_forever()


if __name__ == "__main__":
    main()
