"""The certificate of the API endpoints, from the authority that stands in the lab for those of the internet.

The authority is made by Ansible, after the lab's network; so the certificate is made when a client comes.
"""

import ssl
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from onedallmail.engine.state import replace_file

AUTHORITY = "public-ca"
LIFE, RENEWED_AFTER = timedelta(days=30), timedelta(days=1)


class Tls:
    """The TLS settings of the endpoints, made anew with the authority and once a day."""

    def __init__(self, authorities: Path, folder: Path, names: Sequence[str]) -> None:
        """Take the folder of the authorities, a folder of our own, and the names to certify."""
        self._authorities, self._folder, self._names = authorities, folder, names
        self._made: tuple[bytes, datetime, ssl.SSLContext] | None = None
        self._lock = threading.Lock()

    def context(self) -> ssl.SSLContext:
        """Return the settings of now.

        Raises:
            OSError: there is no authority yet.
        """
        with self._lock:
            authority, now = (self._authorities / f"{AUTHORITY}.crt").read_bytes(), datetime.now(UTC)
            if self._made is None or self._made[0] != authority or now > self._made[1] + RENEWED_AFTER:
                self._made = (authority, now, self._context(authority, now))
            return self._made[2]

    def _context(self, authority: bytes, now: datetime) -> ssl.SSLContext:
        issuer_key = load_pem_private_key(
            (self._authorities / f"{AUTHORITY}.key").read_bytes(),
            (self._authorities / f"{AUTHORITY}.passphrase").read_text().strip().encode(),
        )
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)  # noqa: S101 - the role pki makes no other
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = certify(self._names, key.public_key(), x509.load_pem_x509_certificate(authority), issuer_key, now)
        path = self._folder / "tls.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        replace_file(path, secret + leaf.public_bytes(Encoding.PEM) + authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(path)
        return context


def certify(
    names: Sequence[str],
    key: ec.EllipticCurvePublicKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    """Return a server's certificate for those names."""
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .issuer_name(authority.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(issuer_id, critical=False)
    )
    return builder.sign(authority_key, hashes.SHA384())
