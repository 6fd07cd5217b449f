"""A bundle as one file: a plain .tar.gz that any tar unpacks, whose gzip header carries a signature over all the rest.

The signature sits in an extra field (RFC 1952, 2.3.1.1), so that every single byte of the archive is covered.
"""

import io
import struct
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from onedallmail.evidence import signing

_FIXED = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x02\xff"  # deflate, extra field, no time, best compression, no system
_EXTRA = struct.pack("<H2sH", 4 + signing.SIGNATURE_BYTES, b"1d", signing.SIGNATURE_BYTES)
_HEADER_BYTES = len(_FIXED) + len(_EXTRA) + signing.SIGNATURE_BYTES
MOST_BYTES = 2 << 30


class ArchiveError(ValueError):
    """The archive cannot be read safely; the message says why."""


def pack(root: str, files: Mapping[str, bytes], key: Ed25519PrivateKey) -> bytes:
    """Return the signed .tar.gz of files below a folder `root`; the same input gives the same bytes."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    plain = _tar(root, files)
    body = compressor.compress(plain) + compressor.flush()
    body += struct.pack("<II", zlib.crc32(plain), len(plain) & 0xFFFFFFFF)
    return _FIXED + _EXTRA + signing.sign(key, "archive", body) + body


def unpack(data: bytes, key: Ed25519PublicKey) -> tuple[str, dict[str, bytes], list[str]]:
    """Return (root, files, problems) of an archive held in memory; raise ArchiveError when it cannot be read safely."""
    problems = []
    if data[: len(_FIXED) + len(_EXTRA)] != _FIXED + _EXTRA:
        problems.append("the archive's header was changed")
    body = data[_HEADER_BYTES:]
    if not signing.is_signed(key, "archive", body, data[_HEADER_BYTES - signing.SIGNATURE_BYTES : _HEADER_BYTES]):
        problems.append("the archive's signature is not of this key over these bytes")
    plain = _inflate(body)
    root, files = _untar(plain)
    if not problems and _tar(root, files) != plain:
        problems.append("the archive holds more than the files of the bundle")
    return root, files, problems


def _inflate(body: bytes) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = stream.decompress(body, MOST_BYTES)
    except zlib.error as error:
        message = f"the archive cannot be unpacked: {error}"
        raise ArchiveError(message) from error
    if stream.unconsumed_tail:
        message = f"the archive unpacks to more than {MOST_BYTES >> 30} GiB"
        raise ArchiveError(message)
    if not stream.eof or stream.unused_data != struct.pack("<II", zlib.crc32(plain), len(plain) & 0xFFFFFFFF):
        message = "the archive is cut off or its check sum does not fit"
        raise ArchiveError(message)
    return plain


def _tar(root: str, files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size, member.mode, member.mtime = len(files[name]), 0o644, 0
            archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


def _untar(plain: bytes) -> tuple[str, dict[str, bytes]]:
    roots: set[str] = set()
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if not member.isreg() or path.is_absolute() or ".." in path.parts or len(path.parts) < 2:  # noqa: PLR2004 - root/name
                    message = f"the archive holds {member.name!r}, which is no plain file inside the bundle's folder"
                    raise ArchiveError(message)
                stream = archive.extractfile(member)
                name = "/".join(path.parts[1:])
                if stream is None or name in files:
                    message = f"the archive holds {member.name!r} twice"
                    raise ArchiveError(message)
                roots.add(path.parts[0])
                files[name] = stream.read()
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        if isinstance(error, ArchiveError):
            raise
        message = f"the archive is no tar file: {error}"
        raise ArchiveError(message) from error
    if len(roots) != 1:
        message = "the archive does not hold exactly one bundle"
        raise ArchiveError(message)
    return roots.pop(), files
