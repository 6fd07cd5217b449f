"""Throw-away authorities, certificates and settings for tests of what servers say to each other."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onedallmail.channel.identity import pin_of
from onedallmail.channel.settings import ChannelSettings, Timeouts

QUICK = Timeouts(connect_s=2, frame_s=2, call_s=3, idle_s=30)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Authority:
    """A private authority whose files lie in a directory."""

    directory: Path
    name: str = "ca"

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = self._builder(_name(self.name), self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True).add_extension(key_id, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        self.file = self.directory / f"{self.name}.crt"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(_name(self.name)).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))

    def issue(self, server: str) -> str:
        """Write SERVER.crt and SERVER.key; return the pin in the form that Postfix uses."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = self._builder(_name(f"{server}.example"), key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(issuer, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        (self.directory / f"{server}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (self.directory / f"{server}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        digest = pin_of(certificate.public_bytes(serialization.Encoding.DER)).upper()
        return ":".join(digest[place : place + 2] for place in range(0, 64, 2))


def estate(directory: Path, *servers: str, port: int = 0) -> dict[str, ChannelSettings]:
    """Return settings by server: each has a loopback address of its own, and all pins are known."""
    authority = Authority(directory)
    pins = directory / "pins.json"
    pins.write_text(json.dumps({server: [authority.issue(server)] for server in servers}))
    addresses = {server: f"127.88.0.{place}" for place, server in enumerate(servers, 1)}
    return {
        server: ChannelSettings(
            server=server,
            port=port,
            addresses=addresses,
            certificate=str(directory / f"{server}.crt"),
            key=str(directory / f"{server}.key"),
            ca=str(authority.file),
            pins=pins,
            timeouts=QUICK,
        )
        for server in servers
    }
