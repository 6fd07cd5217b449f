"""DKIM key pairs: RSA-2048, which every verifier reads (RFC 8301, section 3.2; RFC 8463 keys are not yet universal).

The private key stays in the stack's state (mode 0600) until the stack puts it into Secrets Manager.
"""

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from onedallmail.paths import state_dir

KEY_BITS = 2048


def ensure_dkim_key(stack: str, domain: str) -> tuple[str, str]:
    """Return a domain's private key (PEM) and public key (base64 of its SubjectPublicKeyInfo); make it if absent."""
    path = state_dir(stack) / "secrets" / f"dkim-{domain}.pem"
    if not path.is_file():
        _make(path)
    pem = path.read_bytes()
    public = serialization.load_pem_private_key(pem, password=None).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode(), base64.b64encode(der).decode()


def _make(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    draft.replace(path)
