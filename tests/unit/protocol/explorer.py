"""Breadth-first exploration of every state that a model can reach, with the shortest trace to a broken promise."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)


class Step(NamedTuple):
    """What happens next: words for the trace, and whether the protocol does it by itself."""

    words: str
    own: bool


@dataclass(frozen=True)
class Broken(Generic[S]):
    """A promise that does not hold, and the shortest way there."""

    promise: str
    trace: tuple[str, ...]
    state: S

    def __str__(self) -> str:
        """Return one numbered line a step."""
        lines = [f"{number:3}. {words}" for number, words in enumerate(self.trace, 1)]
        return "\n".join([f"broken: {self.promise}", *lines])


@dataclass(frozen=True)
class Explored(Generic[S]):
    """How much was visited, and what was broken first."""

    states: int
    transitions: int
    quiet: int
    broken: Broken[S] | None


class TooManyError(RuntimeError):
    """The model has more states than the test may visit."""


def explore(
    first: S,
    successors: Callable[[S], Iterable[tuple[Step, S]]],
    judge: Callable[[S], str | None],
    judge_quiet: Callable[[S], str | None],
    judge_step: Callable[[S, Step, S], str | None],
    *,
    limit: int,
) -> Explored[S]:
    """Visit every state. A quiet state is one where the protocol has nothing left to do by itself.

    Besides the three judges a rule of its own is checked: from every state the protocol alone comes to a quiet one.
    Raises TooManyError beyond the limit.
    """
    numbers: dict[S, int] = {first: 0}
    states: list[S] = [first]
    came: list[tuple[int, str]] = [(-1, "")]
    before: list[list[int]] = [[]]  # by own steps, for the way back from quiet states
    quiet: list[int] = []
    transitions, at = 0, 0

    def broken(promise: str, number: int, *last: str) -> Explored[S]:
        trace = [*_trace(came, number), *last]
        return Explored(len(states), transitions, len(quiet), Broken(promise, tuple(trace), states[number]))

    while at < len(states):
        state, own = states[at], False
        if promise := judge(state):
            return broken(promise, at)
        for step, successor in successors(state):
            if successor == state:
                continue
            transitions += 1
            if promise := judge_step(state, step, successor):
                return broken(promise, at, step.words)
            number = numbers.setdefault(successor, len(states))
            if number == len(states):
                states.append(successor)
                came.append((at, step.words))
                before.append([])
            if step.own:
                own = True
                before[number].append(at)
        if not own:
            quiet.append(at)
            if promise := judge_quiet(state):
                return broken(promise, at)
        if len(states) > limit:
            msg = f"more than {limit} states: choose smaller bounds, or raise the limit"
            raise TooManyError(msg)
        at += 1
    stuck = _stuck(before, quiet)
    if stuck is not None:
        return broken("the protocol comes to rest", stuck)
    return Explored(len(states), transitions, len(quiet), None)


def _trace(came: list[tuple[int, str]], number: int) -> list[str]:
    words = []
    while number > 0:
        number, step = came[number]
        words.append(step)
    return words[::-1]


def _stuck(before: list[list[int]], quiet: list[int]) -> int | None:
    """Return the first state from which no quiet one can be reached by own steps."""
    reaches = bytearray(len(before))
    todo = list(quiet)
    for number in todo:
        reaches[number] = 1
    while todo:
        for number in before[todo.pop()]:
            if not reaches[number]:
                reaches[number] = 1
                todo.append(number)
    missing = reaches.find(0)
    return None if missing < 0 else missing
