"""What the model knows at one moment: servers, etcd, copies, mailboxes, the outside sender and the user's wish.

Everything is an immutable tuple, so that a state is its own key. Sets of messages are bit masks. Two servers share one
placement group: A is home in odd epochs, B in even ones. Instances of a message are kept as sorted bit patterns: their
GUIDs have no names, so states that differ only in names are one state.
"""

from typing import NamedTuple

A, B, WITNESS, C = 0, 1, 2, 3
"""Mail servers of two regions, the witness (copies only), and a second mail server beside A that only accepts."""
NAMES = "ABWC"
HAS = (1, 2)
"""Bit of an instance: the mailbox at A, at B holds it."""
GONE = (4, 8)
"""Bit of an instance: the index at A, at B remembers that it was expunged there."""
TAKEN = 16
"""Bit of an instance: the running merge takes it over from the standby."""
NEW, UNSURE, ACKED = range(3)
"""The outside sender: not sent (or told 451), sent without an answer, told 250."""
KEEP, DELETED, SETTLED, FREE = range(4)
"""The user's wish: keep; deleted at the home; the same, and synchronised; deleted, but a take-over came before that."""


class Server(NamedTuple):
    """One server. Lost by a crash: started, saved; all else is on disk (fence and here are closed at boot)."""

    up: bool = True
    lost: bool = False  # its disk is gone, it never returns
    cut: bool = False  # the agent is paused or does not reach etcd
    fence: bool = True  # open
    epoch: int = 1  # of the local map, possibly stale
    here: bool = False  # "prepared" was answered for the group, and the files say that it lives here
    queue: int = 0
    started: int = 0  # deliveries past DATA: found not to be repeats
    saved: int = 0  # of these, in the mailbox but not in the ledger
    deferred: int = 0  # waits in the queue for a retry after LMTP died
    ledger: int = 0
    ready: int = 0  # as standby: the epoch for which READY was declared
    merging: bool = False  # as standby: a merge has begun and READY was not reached
    prepared: int = 0  # the epoch from which on older homes are refused


class Smtp(NamedTuple):
    """A transaction at the end of its message; its number tells its copies from those of another."""

    number: int
    origin: int
    holder: int
    local: bool = False
    remote: bool = False
    queued: bool = False


class Message(NamedTuple):
    """One ingest id."""

    client: int = NEW
    smtp: Smtp | None = None
    wish: int = KEEP
    instances: tuple[int, ...] = ()


class Session(NamedTuple):
    """A synchronisation that one of A and B, as home, runs into the other."""

    kind: str  # sync, merge
    epoch: int
    stage: str
    ledger: int  # records to ship afterwards
    deleted: int  # deletions that it carries


class Copy(NamedTuple):
    """A copy file: local when place is its origin, remote when it is its holder (who may have adopted it)."""

    message: int
    number: int
    origin: int
    holder: int
    place: int
    since: int = 0  # epoch at acceptance, as far as the custodian remembers it
    tried: int = 0  # epoch of the last re-injection


class Budget(NamedTuple):
    """How much may still happen that the protocol does not do by itself."""

    crash: int = 0
    lose: int = 0
    cut: int = 0
    death: int = 0  # of one process: cleanup or smtpd after the queue's fsync, lmtp in a delivery
    lost: int = 0  # answers between servers; a holder of the other region that can't be reached
    retry: int = 0
    repeat: int = 0  # re-injections without need
    delete: int = 0
    move: int = 0


class State(NamedTuple):
    """Everything."""

    servers: tuple[Server, ...]
    epoch: int  # of the map in etcd
    alive: int  # mask of the servers with a lease at etcd
    messages: tuple[Message, ...]
    copies: frozenset[Copy]
    sessions: tuple[Session | None, Session | None]  # by home
    budget: Budget


def home_of(epoch: int) -> int:
    """Return the home of the group in an epoch."""
    return A if epoch % 2 else B


def standby_of(epoch: int) -> int:
    """Return the standby of the group in an epoch."""
    return B if epoch % 2 else A


def change(state: State, number: int, **fields: object) -> State:
    """Return the state with some fields of a server changed."""
    servers = list(state.servers)
    servers[number] = servers[number]._replace(**fields)  # type: ignore[arg-type]
    return state._replace(servers=tuple(servers))


def change_message(state: State, number: int, **fields: object) -> State:
    """Return the state with some fields of a message changed."""
    messages = list(state.messages)
    messages[number] = messages[number]._replace(**fields)  # type: ignore[arg-type]
    return state._replace(messages=tuple(messages))


def with_instances(state: State, number: int, instances: list[int]) -> State:
    """Return the state with the instances of a message; those that nobody holds any more are forgotten."""
    held = HAS[A] | HAS[B]
    return change_message(state, number, instances=tuple(sorted(i for i in instances if i & held)))


def with_session(state: State, home: int, session: Session | None) -> State:
    """Return the state with the session of a home."""
    return state._replace(sessions=(session, state.sessions[B]) if home == A else (state.sessions[A], session))


def spend(state: State, what: str) -> State:
    """Return the state with one fault or wish less to come."""
    return state._replace(budget=state.budget._replace(**{what: getattr(state.budget, what) - 1}))


def listed(state: State, server: int) -> int:
    """Return the mask of the messages that the mailbox at a server lists."""
    if server not in (A, B):
        return 0
    bit = HAS[server]
    return sum(1 << m for m, message in enumerate(state.messages) if any(i & bit for i in message.instances))


def serves(state: State, server: int) -> bool:
    """Return whether a server lets anybody read or write the mailbox."""
    here = state.servers[server]
    return here.up and here.fence and here.here and home_of(here.epoch) == server


def mail_servers(state: State) -> list[int]:
    """Return the servers that accept and deliver mail."""
    return [s for s in range(len(state.servers)) if s != WITNESS]
