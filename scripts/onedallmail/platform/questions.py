"""What must never pass, by name: the questions that an auditor asks first."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from .actors import Actor, Kind
from .flows import Party
from .layers import Transport
from .packets import Block, bits
from .ports import Port
from .trial import Trial

Who = Callable[[Actor], bool]


@dataclass(frozen=True)
class Question:
    """Packets that must not pass; on all ports that no flow names, where it names none itself."""

    name: str
    sources: Who
    targets: Who
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """The answer to a question."""

    name: str
    tried: int
    """Combinations of sender, receiver, transport and port; 0 where the stack has no such party."""
    passing: tuple[str, ...]
    stopped_by: tuple[Block, ...]
    """Everything that stops such packets somewhere."""
    depth: int
    """How many of them stop even the packet that comes furthest."""

    @property
    def holds(self) -> bool:
        """Whether nothing of the kind passes."""
        return not self.passing


def _is(*kinds: Kind) -> Who:
    return lambda actor: actor.kind in kinds


def _party(*parties: Party) -> Who:
    return lambda actor: bool(actor.parties & set(parties))


OUTSIDE = _is(Kind.INTERNET, Kind.USER)
INSIDE_PORTS = (
    Port.ETCD_CLIENT,
    Port.ETCD_PEER,
    Port.PATRONI,
    Port.SYSLOG,
    Port.HANDOVER,
    Port.COPIES,
    Port.SYNC,
    Port.SYNC_HOME,
    Port.IMAP_HOME,
    Port.SIEVE_HOME,
)
MAILBOX_PORTS = (Port.HANDOVER, Port.SYNC, Port.SYNC_HOME)
HSM_PORTS = (Port.HSM, Port.HSM_SYNC, Port.HSM_STATUS)

SAMPLED = frozenset(int(p) for p in Port)
"""Ports on which a refusal counts what stops its packets; whether they pass is asked on all."""
SAMPLES = 3

QUESTIONS = (
    Question("internet to PostgreSQL", OUTSIDE, _is(Kind.SERVER), (Port.POSTGRES,)),
    Question("internet to etcd, Patroni, logs, copies, hand-over, home ports", OUTSIDE, _is(Kind.SERVER), INSIDE_PORTS),
    Question("internet to SSH", OUTSIDE, _is(Kind.SERVER), (Port.SSH,)),
    Question("mail server to mail server outside its ports", _party(Party.MAIL), _party(Party.MAIL)),
    Question("user network to key service (HSM)", _is(Kind.USER), _party(Party.HSM), HSM_PORTS),
    Question("user network to AWS endpoints", _is(Kind.USER), _party(Party.ENDPOINT), (Port.HTTPS,)),
    Question("mail server to key service (HSM)", _party(Party.MAIL), _party(Party.HSM), HSM_PORTS),
    Question("load balancer to anything but its own ports", _party(Party.EDGE, Party.WEB), _is(Kind.SERVER)),
    Question("endpoint or HSM to a server", _party(Party.ENDPOINT, Party.HSM), _is(Kind.SERVER)),
    Question("witness to hand-over and synchronisation", _party(Party.WITNESS), _party(Party.MAIL), MAILBOX_PORTS),
    Question(
        "stranger in our networks to a database",
        _is(Kind.STRANGER),
        _party(Party.PLATFORM),
        (Port.POSTGRES, Port.ETCD_CLIENT, Port.PATRONI),
    ),
    Question(
        "stranger in our networks to keys",
        _is(Kind.STRANGER),
        _party(Party.HSM, Party.ENDPOINT),
        (Port.HTTPS, *HSM_PORTS),
    ),
)


def refusals(trial: Trial) -> tuple[Refusal, ...]:
    """Return the answer to every question."""
    return tuple(_answer(trial, question) for question in QUESTIONS)


def _answer(trial: Trial, question: Question) -> Refusal:
    sources = [n for n, a in enumerate(trial.actors) if question.sources(a)]
    targets = sum(1 << n for n, a in enumerate(trial.actors) if question.targets(a))
    tried = 0
    passing: list[str] = []
    samples: list[tuple[Block, ...]] = []
    for transport, number in _spans(trial, question):
        said = () if question.ports else (trial.declared_at(transport, number), trial.public_at(transport, number))
        asked = {s: trial.tried[s] & targets & ~_union(rows.get(s, 0) for rows in said) for s in sources}
        tried += trial.filters.spans[number].size * sum(mask.bit_count() for mask in asked.values())
        for source, mask in trial.passed.get((transport, number), {}).items():
            reached = bits(mask & asked.get(source, 0))
            passing += [str(trial.path(source, target, transport, number)) for target in reached]
        if trial.filters.spans[number].first in SAMPLED:
            samples += _sampled(trial, asked, transport, number)
    stopped = tuple(b for b in Block if any(b in sample for sample in samples))
    return Refusal(question.name, tried, tuple(passing), stopped, min(map(len, samples), default=0))


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


def _spans(trial: Trial, question: Question) -> Iterator[tuple[Transport, int]]:
    for transport in (Transport.TCP, Transport.UDP):
        if question.ports:
            yield from ((transport, trial.span_of(port)) for port in question.ports)
        else:
            yield from ((transport, number) for number in range(len(trial.filters.spans)))


def _sampled(trial: Trial, asked: Mapping[int, int], transport: Transport, number: int) -> Iterator[tuple[Block, ...]]:
    """Return what stops packets between one sender and one receiver a region, of the first few regions."""
    for source in _one_a_region(trial, asked):
        for target in _one_a_region(trial, bits(asked[source])):
            yield trial.blocks(source, target, transport, number)


def _one_a_region(trial: Trial, numbers: Iterable[int]) -> list[int]:
    found: dict[str, int] = {}
    for number in numbers:
        actor = trial.actors[number]
        found.setdefault(f"{actor.kind} {actor.site.region}", number)
    return list(found.values())[:SAMPLES]
