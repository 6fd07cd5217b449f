"""Who is at the other end: TLS 1.3 with the private authority on both sides, and the pin of the peer's public key."""

import asyncio
import hashlib
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onedallmail.channel.settings import ChannelSettings, load_pins


class Identity:
    """This server's certificate and the pins of all servers. Files that were renewed are read again."""

    def __init__(self, settings: ChannelSettings) -> None:
        """Read all files once; raises OSError, ssl.SSLError or ChannelSettingsError."""
        self._settings = settings
        self._pins = load_pins(settings.pins)
        self._pins_at = _changed(settings.pins)
        self._certificate_at = _changed(settings.certificate, settings.key, settings.ca)
        self.server_context = self._context(ssl.PROTOCOL_TLS_SERVER)
        self.client_context = self._context(ssl.PROTOCOL_TLS_CLIENT)

    def refresh(self) -> None:
        """Take over renewed files for later connections. Raises what the constructor raises, and keeps the old ones."""
        changed = _changed(self._settings.pins)
        if changed != self._pins_at:
            self._pins, self._pins_at = load_pins(self._settings.pins), changed
        changed = _changed(self._settings.certificate, self._settings.key, self._settings.ca)
        if changed != self._certificate_at:
            self.client_context = self._context(ssl.PROTOCOL_TLS_CLIENT)
            # A listener keeps the context that it was opened with.
            self.server_context.load_cert_chain(self._settings.certificate, self._settings.key)
            self._certificate_at = changed

    def peer(self, writer: asyncio.StreamWriter) -> str | None:
        """Return the name of the server whose key is pinned, or None for a key that nobody has."""
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        pin = pin_of(tls.getpeercert(binary_form=True) or b"")
        return next((name for name, pins in self._pins.items() if pin in pins), None)

    def _context(self, protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # the pin says more than a name
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(self._settings.ca)
        context.load_cert_chain(self._settings.certificate, self._settings.key)
        return context


def pin_of(certificate: bytes) -> str:
    """Return the SHA-256 of the public key (SubjectPublicKeyInfo) of a certificate in DER; empty for no certificate."""
    if not certificate:
        return ""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _changed(*paths: str | Path) -> tuple[tuple[int, int], ...]:
    stats = [Path(path).stat() for path in paths]
    return tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)
