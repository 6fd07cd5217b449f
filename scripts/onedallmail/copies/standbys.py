"""Asks the standbys of mailboxes whether they hold what became of messages (verb held of the synchronisation port)."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from onedallmail.channel.errors import ChannelError
from onedallmail.copies.rules import Held
from onedallmail.placement.map import Placement

CALL_S = 10.0
REQUEST_BYTES = 48 * 1024
"""Of the items of one call: a frame's line has at most 64 kB."""

IDS_OF_ITEM = 500

Ask = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Server and fields of the request `held` -> fields of the answer; raises ChannelError."""
Item = tuple[str, int, int, str, list[str]]

log = logging.getLogger("copies.standbys")


@dataclass(frozen=True, slots=True)
class Question:
    """Whether a message's fate in a mailbox is safe."""

    user: str
    group: int
    copy_id: str


async def held(
    questions: Iterable[Question], groups: Mapping[int, Placement], alive: Collection[str] | None, ask: Ask
) -> dict[Question, Held]:
    """Return the answers; unknown where the standby is away or does not vouch for the user. No group: no answer."""
    asked = [question for question in questions if question.group in groups]
    by_standby: dict[str, dict[tuple[str, int], list[str]]] = {}
    for question in asked:
        standby = groups[question.group].standby
        if alive is None or standby in alive:
            by_standby.setdefault(standby, {}).setdefault((question.user, question.group), []).append(question.copy_id)
    calls = []
    for standby, users in by_standby.items():
        items = [item for (user, group), ids in users.items() for item in _items(user, group, groups[group], ids)]
        calls += [_ask_one(standby, piece, ask) for piece in _pieces(items)]
    answers: dict[tuple[str, str], Held] = {}
    for answer in await asyncio.gather(*calls):
        answers |= answer
    return {question: answers.get((question.user, question.copy_id), Held.UNKNOWN) for question in asked}


def _items(user: str, group: int, placement: Placement, ids: list[str]) -> Iterator[Item]:
    for first in range(0, len(ids), IDS_OF_ITEM):
        yield user, group, placement.epoch, placement.home, ids[first : first + IDS_OF_ITEM]


def _pieces(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Return the items in lists, each of which fits into one request."""
    piece: list[Item] = []
    size_bytes = 0
    for item in items:
        item_bytes = len(json.dumps(item)) + 2
        if piece and size_bytes + item_bytes > REQUEST_BYTES:
            yield piece
            piece, size_bytes = [], 0
        piece.append(item)
        size_bytes += item_bytes
    if piece:
        yield piece


async def _ask_one(standby: str, items: list[Item], ask: Ask) -> dict[tuple[str, str], Held]:
    """Return what the standby says of each user and id; nothing of the users for whom it does not vouch."""
    try:
        answer = dict((await ask(standby, {"items": items}))["held"])
    except ChannelError as error:
        log.info("%s", error)
        return {}
    except (KeyError, TypeError, ValueError) as error:
        log.error("held at %s: an answer that is none: %s", standby, error)  # noqa: TRY400 - a peer's fault
        return {}
    vouched = {user: frozenset(ids) for user, ids in answer.items()}
    return {
        (user, copy_id): Held.YES if copy_id in vouched[user] else Held.NO
        for user, _, _, _, ids in items
        if user in vouched
        for copy_id in ids
    }
