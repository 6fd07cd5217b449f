"""The host's own package sources and transport settings, turned into those of the image (parsing is pure).

A host behind a mirror or a proxy builds its image through the same; nothing of it is written in this program.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_OPTION = re.compile(r'^(?P<name>Acquire::[^ ]+) "(?P<value>.*)";$')
_TRANSPORT = re.compile(
    r"^Acquire::(https?::.*(Proxy|ProxyAutoDetect|CaInfo|CaPath|SslCert|SslKey|Verify-Peer|Verify-Host).*"
    r"|Check-Valid-Until|Check-Date|Retries|ForceIPv4|ForceIPv6)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One archive that the host uses: where it is, and for which suites."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def parse_one_line_style(text: str) -> list[Source]:
    """Return the `deb` entries of a sources.list file (sources.list(5), one-line style)."""
    found = []
    for line in text.splitlines():
        body = re.sub(r"\[[^]]*\]", "", line.split("#", 1)[0])
        words = shlex.split(body)
        if len(words) > 3 and words[0] == "deb":  # noqa: PLR2004 - type, URI, suite, components
            found.append(Source(uri=words[1], suites=(words[2],), components=tuple(words[3:])))
    return found


def parse_deb822(text: str) -> list[Source]:
    """Return the binary entries of a .sources file (sources.list(5), deb822 style)."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and key:
                fields[key] += " " + line.strip()
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no":
            suites, components = tuple(fields["suites"].split()), tuple(fields.get("components", "").split())
            found += [Source(uri=uri, suites=suites, components=components) for uri in fields["uris"].split()]
    return found


def read_sources(apt: Path = Path("/etc/apt")) -> list[Source]:
    """Return the host's sources, in the order in which apt reads them."""
    folder = apt / "sources.list.d"
    found = parse_one_line_style((apt / "sources.list").read_text()) if (apt / "sources.list").exists() else []
    for path in sorted(folder.glob("*")) if folder.exists() else []:
        if path.suffix == ".list":
            found += parse_one_line_style(path.read_text())
        elif path.suffix == ".sources":
            found += parse_deb822(path.read_text())
    return found


def image_sources(sources: list[Source], codename: str, suite: str) -> str:
    """Return sources.list of the image from the host's archives, or "" to leave the choice to mmdebstrap.

    An archive counts as Debian's if the host uses it for its own release (`codename`), and as the security archive if
    for `codename-security`; both are needed, because an image without security updates is not wanted.
    """
    archive = next((s.uri for s in sources if codename in s.suites and "main" in s.components), None)
    security = next((s.uri for s in sources if f"{codename}-security" in s.suites), None)
    if archive is None or security is None:
        return ""
    lines = (
        f"deb {archive} {suite} main",
        f"deb {archive} {suite}-updates main",
        f"deb {security} {suite}-security main",
    )
    return "\n".join((*lines, ""))


def transport_options(dump: str) -> list[str]:
    """Return the proxy, certificate and retry settings of `apt-config dump`, each as one line of apt.conf."""
    matches = (_OPTION.match(line.strip()) for line in dump.splitlines())
    return [f'{m["name"]} "{m["value"]}";' for m in matches if m and m["value"] and _TRANSPORT.match(m["name"])]
