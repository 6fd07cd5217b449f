"""Runs SQL at the directory's leader: psql on that server over SSH, as role directory_admin by its Unix socket.

Values travel in one JSON document inside a dollar-quoted literal with a random tag, on standard input: no statement
is built from them, and no argument list shows them. A statement reads them from the jsonb expression `:input`.
"""

import getpass
import json
import re
import secrets
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from onedallmail.placement.map import PlacementMap, from_record
from onedallmail.stackfile import load_platform

from .errors import ConflictError, DirectoryError, LeaderError, UnconfirmedError

GROUPS_FILE = "/var/lib/onedallmail/placement/groups.json"
TIMEOUT_S = 30
PSQL = (
    "sudo -n psql --host /var/run/postgresql --username directory_admin --dbname onedallmail --no-psqlrc --quiet "
    "--tuples-only --no-align --set ON_ERROR_STOP=1 --set VERBOSITY=verbose"
)
STANDBY = "standby"
SSH_FAILED, PSQL_UNREACHABLE, PSQL_REFUSED = 255, 2, 3
"""Exit codes: ssh has no connection; psql has none; a statement failed."""
NEVER_CONNECTED = "psql: error: connection to server"
NO_ANSWER = -1

STILL_WORKS = (
    "mail is still received and sent, and users still log in, from each server's own copy; "
    "only changes of accounts wait"
)

_SCRIPT = """\
\\set input '(current_setting(''onedallmail.input'')::jsonb)'
SELECT pg_is_in_recovery() AS standby \\gset
\\if :standby
{when_standby}
\\endif
BEGIN {mode};
SET LOCAL TIME ZONE 'UTC';
SELECT set_config('onedallmail.input', {document}, true) AS odm_input \\gset
SELECT set_config('onedallmail.actor', {actor}, true) AS odm_actor \\gset
{statement};
COMMIT;
\\echo `cat {groups} 2>/dev/null`
"""
_LEADERS: dict[str, str] = {}


@dataclass(frozen=True)
class Answer:
    """What a statement returned, and where the groups live if the server that answered knows."""

    value: Any
    homes: dict[int, str] | None


@dataclass(frozen=True)
class _Refused(Exception):  # noqa: N818 - never leaves this module
    code: int
    text: str


def read(stack: str, statement: str, document: object = None) -> Answer:
    """Return the JSON value of a statement, from the leader or, while there is none, from a replica.

    Raises:
        DirectoryError: no server answers, or the statement failed.
    """
    try:
        return _at_leader(stack, statement, document, "READ ONLY")
    except (LeaderError, UnconfirmedError):
        for host in _hosts(stack):
            try:
                return _parsed(_psql(stack, host, _script(statement, document, "READ ONLY", replica=True)))
            except _Refused:
                continue
        raise


def change(stack: str, statement: str, document: object) -> Answer:
    """Run changing statements, of which one returns one row of JSON, in a transaction at the leader.

    Raises:
        LeaderError: no server can take changes.
        UnconfirmedError: the answer was lost.
        ConflictError: the directory's rules refuse it.
        DirectoryError: anything else.
    """
    return _at_leader(stack, statement, document, "READ WRITE")


def homes(stack: str) -> dict[int, str] | None:
    """Return the home server of each placement group as a mail server knows it; None when none does."""
    for server in load_platform(stack).mail_servers:
        try:
            found = _homes(_ssh(stack, server.name, f"cat {GROUPS_FILE}", ""))
        except _Refused:
            continue
        if found:
            return found
    return None


def addresses_of(stack: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the IPv4 addresses of host names as a mail server resolves them; none for a name without any.

    Raises:
        DirectoryError: no mail server answers.
    """
    script = 'while read -r name; do getent ahostsv4 "$name" | awk -v n="$name" \'{ print n, $1 }\'; done | sort -u'
    for server in load_platform(stack).mail_servers:
        try:
            out = _ssh(stack, server.name, script, "".join(f"{name}\n" for name in names))
        except _Refused:
            continue
        found: dict[str, list[str]] = {name: [] for name in names}
        for name, address in (line.split() for line in out.splitlines()):
            found[name].append(address)
        return found
    msg = f"no mail server answers, so the address of {names[0]} can't be looked up: is the platform up?"
    raise DirectoryError(msg)


def placements(stack: str) -> PlacementMap | None:
    """Return the placement map as a mail server knows it; None when none does."""
    for server in load_platform(stack).mail_servers:
        try:
            groups = json.loads(_ssh(stack, server.name, f"cat {GROUPS_FILE}", ""))["groups"]
            return {int(number): from_record(int(number), record) for number, record in groups.items()}
        except (_Refused, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def _at_leader(stack: str, statement: str, document: object, mode: str) -> Answer:
    script = _script(statement, document, mode, replica=False)
    remembered = _LEADERS.get(stack)
    if remembered:
        answer = _try(stack, remembered, script)
        if answer:
            return answer
    _LEADERS[stack] = leader(stack)
    answer = _try(stack, _LEADERS[stack], script)
    if not answer:
        msg = f"{_LEADERS.pop(stack)} led the directory and went away while it was asked: look at the entry, try again"
        raise UnconfirmedError(msg)
    return answer


def _try(stack: str, host: str, script: str) -> Answer | None:
    """Return the answer, or None when this host is no leader or out of reach.

    When SSH breaks off, the caller asks the next leader again: a repeated statement finds its row there, or conflicts.
    """
    try:
        out = _psql(stack, host, script)
    except _Refused as error:
        unreached = error.code == PSQL_UNREACHABLE and error.text.startswith(NEVER_CONNECTED)
        if unreached or error.code == SSH_FAILED:
            return None
        raise _explained(host, error) from error
    return None if out.strip() == STANDBY else _parsed(out)


def leader(stack: str) -> str:
    """Return the name of the server that takes changes now; all are asked at once.

    Raises:
        LeaderError: none does, or two claim to.
    """
    hosts = _hosts(stack)
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        states = dict(zip(hosts, pool.map(lambda host: _state(stack, host), hosts), strict=True))
    leaders = [host for host, state in states.items() if state == "leader"]
    if len(leaders) == 1:
        return leaders[0]
    seen = "; ".join(f"{host}: {state}" for host, state in states.items())
    if leaders:
        msg = f"{' and '.join(leaders)} both take themselves for the directory's leader ({seen}): wait 30 s, try again"
        raise LeaderError(msg)
    msg = (
        f"no server leads the directory ({seen}), so most voters are down or apart, or it has just begun; "
        f"{STILL_WORKS}. Start the servers that are down, look with `patronictl -c /etc/patroni/config.yml list` "
        "on one of them, then try again"
    )
    raise LeaderError(msg)


def _state(stack: str, host: str) -> str:
    try:
        out = _psql(stack, host, "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'leader' END;")
    except _Refused as error:
        return error.text
    return out.strip()


def _hosts(stack: str) -> Sequence[str]:
    return [server.name for server in load_platform(stack).servers]


def _script(statement: str, document: object, mode: str, *, replica: bool) -> str:
    return _SCRIPT.format(
        when_standby="" if replica else f"\\echo {STANDBY}\n\\quit",
        mode=mode,
        document=literal(json.dumps(document)),
        actor=literal(getpass.getuser()),
        statement=statement.strip().rstrip(";"),
        groups=GROUPS_FILE,
    )


def literal(text: str) -> str:
    """Return text as a dollar-quoted SQL literal whose tag the text can't contain."""
    while (tag := f"$v{secrets.token_hex(12)}$") in text:
        pass
    return f"{tag}{text}{tag}"


def _psql(stack: str, host: str, script: str) -> str:
    return _ssh(stack, host, PSQL, script)


def _ssh(stack: str, host: str, command: str, text: str) -> str:
    try:
        done = subprocess.run(
            ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", *_destination(stack, host), command],
            input=text,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _Refused(NO_ANSWER, f"no answer within {TIMEOUT_S} s") from error
    if done.returncode:
        raise _Refused(done.returncode, _first_line(done.stderr) if done.returncode != PSQL_REFUSED else done.stderr)
    return done.stdout


def _destination(stack: str, host: str) -> list[str]:
    platform = load_platform(stack)
    if platform.config.target == "lab":
        from onedallmail.lab.lab import load  # noqa: PLC0415 - needs a Linux host; other stacks must not import it

        return ["-F", str(load(stack).ssh_config_path), host]
    return [platform.server(host).fqdn]


def _first_line(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[0] if lines else "no answer"


def _parsed(out: str) -> Answer:
    first, _, rest = out.partition("\n")
    return Answer(json.loads(first) if first else None, _homes(rest))


def _homes(text: str) -> dict[int, str] | None:
    try:
        groups = json.loads(text)["groups"]
    except (ValueError, KeyError):
        return None
    return {int(number): group["home"] for number, group in groups.items()}


def _explained(host: str, error: _Refused) -> DirectoryError:
    """Return what a person should know; never psql's DETAIL, which quotes whole rows with their hashes."""
    if error.code != PSQL_REFUSED:
        msg = (
            f"{host} did not confirm the change ({error.text}); it may have been made, or may wait for the other "
            "members: look at the entry, then try again"
        )
        return UnconfirmedError(msg)
    found = re.search(r"^(?:psql:[^\n]*)?ERROR:\s+(\w{5}): ([^\n]*)", error.text, re.MULTILINE)
    state, text = (found[1], found[2]) if found else ("", _first_line(error.text))
    if state.startswith("23"):
        return ConflictError(text)
    msg = f"the directory at {host} refused the statement: {state} {text}"
    return DirectoryError(msg)
