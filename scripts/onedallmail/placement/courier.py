"""Asks the mailboxes service to bring standbys up to date and to hand groups over: one job at a time, in a thread.

It takes as long as it takes; the follower of the map gives a job, goes on, and fetches the answer when it is woken.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from onedallmail.placement.clock import moment


class Verb(StrEnum):
    """What is asked of the mailboxes service, and the name of the groups in its answer."""

    SYNC = "sync"
    """The standby gets up to date while the groups are served."""
    HANDOVER = "handover"
    """Groups that are closed: sessions end, deliveries end, and what they left goes to the standby."""

    JOIN = "join"
    """Servers that join groups get all that the standbys vouch for; from its answer on these are told nothing more."""

    @property
    def done(self) -> str:
        """The field of an answer that lists the groups for which it is done."""
        return {Verb.SYNC: "synced", Verb.HANDOVER: "handed", Verb.JOIN: "joined"}[self]

    @property
    def answer_s(self) -> float:
        """How long the service may take to answer: more than the 20 s after which it says that it takes longer."""
        return {Verb.SYNC: 30.0, Verb.HANDOVER: 25.0, Verb.JOIN: 30.0}[self]


@dataclass(frozen=True, slots=True)
class Job:
    """Groups (to epoch) for which something is asked, not before a moment of the clock.

    `requests` are the revisions of the requests that they stand for: an answer to an older one is worth nothing.
    """

    verb: Verb
    groups: Mapping[int, int]
    requests: Mapping[int, int]
    not_before: float


@dataclass(frozen=True, slots=True)
class Answer:
    """For which groups a job is done, and why it is not for others; `reason` is for those of which nothing is said."""

    job: Job
    done: frozenset[int] = field(default_factory=frozenset)
    failed: Mapping[int, str] = field(default_factory=dict)
    reason: str = "no reason given"
    stale: frozenset[int] = field(default_factory=frozenset)
    """Groups that must be begun anew, for the service has forgotten what it said of them."""

    def why(self, group: int) -> str:
        """Return why it is not done for a group; empty if it is."""
        return "" if group in self.done else self.failed.get(group) or self.reason


class Courier:
    """Carries jobs. One thread runs it; another one gives jobs and fetches answers."""

    def __init__(self, path: Path, on_change: Callable[[], None], clock: Callable[[], float] = moment) -> None:
        """Begin without a job; `on_change` is called when there is an answer."""
        self._path, self._on_change, self._clock = path, on_change, clock
        self._condition = threading.Condition()
        self._job: Job | None = None
        self._answer: Answer | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is under way, or its answer not yet fetched."""
        with self._condition:
            return self._job is not None or self._answer is not None

    def give(self, job: Job) -> None:
        """Give a job; only when none is under way."""
        with self._condition:
            self._job = job
            self._condition.notify()

    def fetch(self) -> Answer | None:
        """Return the answer to the last job, once; None while there is none."""
        with self._condition:
            answer, self._answer = self._answer, None
            return answer

    def run(self) -> None:
        """Work until the process is ended."""
        while True:
            with self._condition:
                while self._job is None:
                    self._condition.wait()
                job = self._job
            time.sleep(max(0.0, job.not_before - self._clock()))
            self.work()

    def work(self) -> None:
        """Carry out the job."""
        with self._condition:
            job = self._job
        if job is None:
            return
        try:
            answer = self._asked(job)
        except (OSError, ValueError, TypeError) as error:
            answer = Answer(job, reason=f"{self._path}: {str(error) or type(error).__name__}")
        with self._condition:
            self._job, self._answer = None, answer
        self._on_change()

    def _asked(self, job: Job) -> Answer:
        """Return what the service answers; raises OSError, ValueError or TypeError."""
        request = json.dumps({job.verb.value: sorted([n, epoch] for n, epoch in job.groups.items())})
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(job.verb.answer_s)
            connection.connect(str(self._path))
            connection.sendall(request.encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline())
        if not isinstance(answer, dict) or not isinstance(done := answer.get(job.verb.done), list):
            msg = f"it answered {str(answer)[:200]}, not for which groups it is done"
            raise ValueError(msg)  # noqa: TRY004 - what came over the socket is no argument
        failed = answer.get("failed")
        reasons = failed if isinstance(failed, dict) else {}
        stale = answer.get("stale")
        return Answer(
            job,
            frozenset(int(number) for number in done) & set(job.groups),
            {int(number): str(reason) for number, reason in reasons.items()},
            stale=frozenset(map(int, stale if isinstance(stale, list) else ())) & set(job.groups),
        )
