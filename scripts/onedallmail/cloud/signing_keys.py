"""Key-signing keys of hosted zones: DNSKEY and DS from the zone's name and the KMS key that the emulator holds.

Sources: RFC 4034 (records, key tag), RFC 6605 (ECDSA P-256: algorithm 13), Route 53 Developer Guide, "Working with
customer managed keys for DNSSEC".
"""

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from .emulated import Api, RefusedError

TOKEN = "aws:route53/keySigningKey:KeySigningKey"  # noqa: S105 - the name of a type
REGION = "us-east-1"
FLAGS, PROTOCOL, ALGORITHM, DIGEST_TYPE = 257, 3, 13, 2
"""Zone key with secure entry point; DNSSEC; ECDSAP256SHA256; SHA-256."""


def outputs(api: Api, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return what Route 53 computes for a new key-signing key.

    Raises:
        RefusedError: the KMS key is not one that Route 53 takes.
    """
    public = _public_key(api, inputs["keyManagementServiceArn"])
    zone = api("route53", REGION).get_hosted_zone(Id=inputs["hostedZoneId"])["HostedZone"]["Name"]
    data = FLAGS.to_bytes(2, "big") + bytes((PROTOCOL, ALGORITHM)) + public
    digest = hashlib.sha256(_wire(zone) + data).hexdigest().upper()
    tag, text = key_tag(data), base64.b64encode(public).decode()
    return {
        "publicKey": text,
        "dnskeyRecord": f"{FLAGS} {PROTOCOL} {ALGORITHM} {text}",
        "dsRecord": f"{tag} {ALGORITHM} {DIGEST_TYPE} {digest}",
        "digestValue": digest,
        "keyTag": tag,
        "flag": FLAGS,
        "signingAlgorithmMnemonic": "ECDSAP256SHA256",
        "signingAlgorithmType": ALGORITHM,
        "digestAlgorithmMnemonic": "SHA-256",
        "digestAlgorithmType": DIGEST_TYPE,
    }


def key_tag(data: bytes) -> int:
    """Return the key tag of a DNSKEY's data (RFC 4034, appendix B)."""
    total = sum(byte << 8 if index % 2 == 0 else byte for index, byte in enumerate(data))
    return (total + (total >> 16 & 0xFFFF)) & 0xFFFF


def _wire(zone: str) -> bytes:
    labels = zone.lower().rstrip(".").split(".")
    return b"".join(bytes((len(label),)) + label.encode() for label in labels) + b"\0"


def _public_key(api: Api, arn: str) -> bytes:
    """Return the two coordinates of a key's point."""
    region = arn.split(":")[3]
    if region != REGION:
        msg = f"keyManagementServiceArn: Route 53 signs with keys of {REGION} only, this one is of {region}"
        raise RefusedError(msg)
    kms = api("kms", region)
    facts = kms.describe_key(KeyId=arn)["KeyMetadata"]
    if (facts["KeySpec"], facts["KeyUsage"], facts["KeyState"]) != ("ECC_NIST_P256", "SIGN_VERIFY", "Enabled"):
        msg = "keyManagementServiceArn: must be an enabled key of ECC_NIST_P256 for SIGN_VERIFY"
        raise RefusedError(msg)
    key = load_der_public_key(kms.get_public_key(KeyId=arn)["PublicKey"])
    assert isinstance(key, EllipticCurvePublicKey)  # noqa: S101 - by its spec; for mypy
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
