"""What an operator says of another mail system, checked: its name, the addresses it sends from, its keys."""

from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from onedallmail.outputs import OutputsError, read_outputs
from onedallmail.platform.model import Platform
from onedallmail.platform.ports import Port
from onedallmail.platform.records import exchanger, mail_regions
from onedallmail.stackfile import load_platform

from .address import domain_name
from .elsewhere import OtherSystem
from .errors import InputError
from .session import addresses_of

WIDEST_PREFIX = 24
"""Larger networks are nobody's own: whoever has an address there could send as our users."""


def described(stack: str, to: str, sources: Sequence[str], certificates: Sequence[Path]) -> OtherSystem:
    """Return the other system that `HOST[:PORT]` names; without sources it sends from the addresses of its name.

    Raises:
        InputError: the name, an address or a certificate is wrong, or it is one of the platform's own servers.
    """
    host = host_of(to)
    keys = tuple(dict.fromkeys(key_of(path) for path in certificates))
    if _is_address(host) and not keys:
        msg = f"'{host}' is an address, and no authority vouches for one: name the host, or give its --certificate"
        raise InputError(msg)
    given = [network(text) for text in sources]
    platform = load_platform(stack)
    names = [] if _is_address(host) else [host]
    found = addresses_of(stack, [*names, *_own_names(platform)])
    there = {IPv4Address(host)} if _is_address(host) else {IPv4Address(text) for text in found[host]}
    if not there:
        msg = f"{host} has no IPv4 address that a mail server finds: check the name and its A record"
        raise InputError(msg)
    own = _own_addresses(stack, platform) | {IPv4Address(a) for name in _own_names(platform) for a in found[name]}
    networks = given or [IPv4Network(address) for address in sorted(there)]
    _not_ours(host, there, networks, own)
    return OtherSystem(host, tuple(map(str, networks)), keys)


def host_of(to: str) -> str:
    """Return the host of `HOST[:PORT]`; raises InputError, also for any port but that of SMTP."""
    host, colon, port = to.strip().partition(":")
    if colon and port != str(Port.SMTP.value):
        msg = (
            f"'{to}': mail servers reach other systems on port {Port.SMTP.value} only, by the platform's "
            "firewalls; let that system listen there, and leave the port out"
        )
        raise InputError(msg)
    if _is_address(host):
        return host
    if host.replace(".", "").isdigit():
        msg = f"'{to}' is no IPv4 address and no host name: write HOST, such as mail.old.example"
        raise InputError(msg)
    return domain_name(host)


def network(text: str) -> IPv4Network:
    """Return an address or a network of the other system; raises InputError."""
    try:
        found = IPv4Network(text.strip())
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        msg = f"--from '{text}': {error}; write an IPv4 address, or a network such as 192.0.2.0/28"
        raise InputError(msg) from error
    if found.prefixlen < WIDEST_PREFIX:
        msg = (
            f"--from '{text}': everybody with an address there could send as your users; name the addresses that the "
            f"other system alone has (networks up to /{WIDEST_PREFIX})"
        )
        raise InputError(msg)
    return found


def key_of(path: Path) -> str:
    """Return the SHA-256 of a certificate's public key (`AB:CD:...`); raises InputError."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        msg = f"--certificate {path}: no certificate in PEM form can be read there ({error})"
        raise InputError(msg) from error
    if _of_an_authority(certificate):
        msg = (
            f"--certificate {path}: that is an authority's, and the server's own is pinned: take that "
            "(`openssl s_client -starttls smtp -connect HOST:25` shows it), or set postfix_elsewhere_ca_file"
        )
        raise InputError(msg)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate.public_key().public_bytes(serialization.Encoding.DER, form))
    return digest.finalize().hex(":").upper()


def _of_an_authority(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return constraints.ca and certificate.issuer != certificate.subject


def _not_ours(host: str, there: set[IPv4Address], networks: Sequence[IPv4Network], own: set[IPv4Address]) -> None:
    ours = sorted(there & own) or [a for a in sorted(there) if a.is_loopback or a.is_unspecified]
    if ours:
        msg = f"{host} ({ours[0]}) is one of this platform's own servers: name the system where the other mailboxes are"
        raise InputError(msg)
    for net in networks:
        inside = sorted(address for address in own if address in net)
        if inside:
            msg = f"--from {net}: {inside[0]} in it is one of this platform's own: name the other system's addresses"
            raise InputError(msg)


def _own_names(platform: Platform) -> list[str]:
    return [*(s.fqdn for s in platform.servers), *(exchanger(platform, region) for region in mail_regions(platform))]


def _own_addresses(stack: str, platform: Platform) -> set[IPv4Address]:
    found = {IPv4Address(str(server.private_ip)) for server in platform.servers}
    try:
        public = (server.get("publicIp") for server in read_outputs(stack)["servers"].values())
    except OutputsError:
        return found
    return found | {IPv4Address(address) for address in public if address}


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True
