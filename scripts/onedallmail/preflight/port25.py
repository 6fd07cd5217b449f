"""Whether servers may call port 25 outside, judged from connections that they tried (pure).

EC2 drops outbound port 25 of an account until it is asked (AWS re:Post, "How do I remove the restriction on port 25").
No API tells; so each server tries a mail exchanger of the operator's choice, and a second port that is not blocked,
to tell a block from a network that is down.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

PROBE = r"""
import json, socket, sys, time
for target in json.loads(sys.argv[1]):
    begin = time.monotonic()
    try:
        with socket.create_connection((target[0], target[1]), timeout=10) as link:
            link.settimeout(10)
            said = link.recv(200).decode(errors="replace").strip() if target[1] == 25 else ""
        result = "open"
    except TimeoutError:
        result, said = "timeout", ""
    except OSError as error:
        result, said = "refused" if error.errno == 111 else "failed", str(error)
    print(json.dumps({"host": target[0], "port": target[1], "result": result, "said": said,
                      "seconds": round(time.monotonic() - begin, 2)}))
"""
"""Program for a server: argument is JSON of [host, port] pairs; a line of JSON for each."""

SMTP = 25


class Verdict(StrEnum):
    """What a server's connections say."""

    OPEN = "open"
    BLOCKED = "blocked"
    NOT_ESTABLISHED = "not established"


@dataclass(frozen=True)
class Attempt:
    """One connection that a server tried."""

    host: str
    port: int
    result: str
    """open, timeout, refused or failed."""
    said: str
    seconds: float


@dataclass(frozen=True)
class Finding:
    """What is known of one server, and why."""

    server: str
    verdict: Verdict
    reason: str
    attempts: tuple[Attempt, ...]


def parse(text: str) -> tuple[Attempt, ...]:
    """Return the attempts that a probe printed.

    Raises:
        ValueError: a line is none of the probe's.
    """
    found = []
    for line in text.splitlines():
        try:
            found.append(Attempt(**json.loads(line)))
        except (TypeError, ValueError) as error:
            msg = f"the probe said '{line[:80]}', which is no answer of its own"
            raise ValueError(msg) from error
    return tuple(found)


def judge(server: str, attempts: Iterable[Attempt]) -> Finding:
    """Return whether a server may call port 25.

    A refusal counts as open: somebody answered. Only silence on port 25, while another port of the outside answers,
    is the block.
    """
    tried = tuple(attempts)
    mail = [a for a in tried if a.port == SMTP]
    others = [a for a in tried if a.port != SMTP]
    if answered := [a for a in mail if a.result in ("open", "refused")]:
        first = answered[0]
        said = f", which says '{first.said}'" if first.said else ""
        return Finding(server, Verdict.OPEN, f"{first.host}:25 answers{said}", tried)
    if not mail or any(a.result != "timeout" for a in mail):
        why = "; ".join(f"{a.host}:25 {a.said or a.result}" for a in mail) or "port 25 was not tried"
        return Finding(server, Verdict.NOT_ESTABLISHED, why, tried)
    if not any(a.result in ("open", "refused") for a in others):
        return Finding(
            server, Verdict.NOT_ESTABLISHED, "nothing outside answers on any port: look at the routes", tried
        )
    return Finding(server, Verdict.BLOCKED, "port 25 is silent while another port answers", tried)


FORM = (
    "Form: https://repost.aws/knowledge-center/ec2-port-25-throttle",
    "('Request to remove email sending limitations')",
)
USE_CASE = (
    "Use case: our domain's own mail servers send the mail of our staff. Senders log in, every message is signed",
    "(DKIM), SPF and DMARC say reject, TLS 1.3 is required, rates are limited by user; bounces and reports to",
    "postmaster@ (abuse, TLS-RPT, DMARC) are read. No bulk mail, no purchased lists.",
)


def request_text(account: str, addresses: Mapping[str, Mapping[str, str]]) -> str:
    """Return what to ask AWS for: the form's fields, with each region's addresses and their reverse names.

    `addresses` maps a region to its public addresses with their names.
    """
    lines = [*FORM, f"Account {account}; sign in as root or an administrator; one request a region.", "", *USE_CASE]
    for region, names in addresses.items():
        lines += ["", f"Region {region}, Elastic IPs with the reverse DNS that the stack has set:"]
        lines += [f"  {address}  {name}" for address, name in sorted(names.items())]
    return "\n".join(lines)
