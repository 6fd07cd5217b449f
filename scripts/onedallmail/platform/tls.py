"""The TLS profile of every port: version 1.3 only, hybrid post-quantum key exchange first.

Sources: RFC 8446; FIPS 203 and draft-ietf-tls-ecdhe-mlkem for X25519MLKEM768.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class TlsProfile:
    """What a service offers and accepts."""

    minimum: str
    groups: tuple[str, ...]
    """Key exchange groups by preference; a library without the first one takes the next."""
    ciphersuites: tuple[str, ...]


TLS_PROFILE = TlsProfile(
    minimum="TLSv1.3",
    groups=("X25519MLKEM768", "X25519", "secp384r1"),
    ciphersuites=("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"),
)
