"""Frames: one JSON object on a line of at most 64 kB; its field `body` is the number of bytes that follow the line."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from onedallmail.channel.errors import FrameError

Fields = dict[str, Any]
MAX_LINE_BYTES = 64 * 1024


def encode(fields: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return the line of a frame; the body is written after it. Raises FrameError for a line that is too long."""
    line = json.dumps({**fields, "body": len(body)}, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        msg = f"the fields have {len(line)} bytes, {MAX_LINE_BYTES} are allowed; send them in several calls"
        raise FrameError(msg)
    return line


async def read_frame(
    reader: asyncio.StreamReader, *, max_body_bytes: int, idle_s: float | None, frame_s: float
) -> tuple[Fields, bytes] | None:
    """Return the next frame, or None at an end between two frames.

    Waits idle_s for the first byte and frame_s for the rest. Raises FrameError, TimeoutError or OSError.
    """
    async with asyncio.timeout(idle_s):
        first = await reader.read(1)
    if not first:
        return None
    async with asyncio.timeout(frame_s):
        try:
            fields = _fields(first if first == b"\n" else first + await reader.readuntil(b"\n"))
            size_bytes = _size(fields, max_body_bytes)
            return fields, await reader.readexactly(size_bytes)
        except asyncio.IncompleteReadError as error:
            msg = "the connection ended within a frame"
            raise FrameError(msg) from error
        except asyncio.LimitOverrunError as error:
            msg = f"the line of a frame is longer than {MAX_LINE_BYTES} bytes"
            raise FrameError(msg) from error


async def write_frame(writer: asyncio.StreamWriter, fields: Mapping[str, Any], body: bytes, *, frame_s: float) -> None:
    """Write a frame and wait until the peer takes it over; raises FrameError, TimeoutError or OSError."""
    writer.write(encode(fields, body))
    if body:
        writer.write(body)
    async with asyncio.timeout(frame_s):
        await writer.drain()


def _fields(line: bytes) -> Fields:
    try:
        fields = json.loads(line)
    except ValueError as error:
        msg = f"the line of a frame is no JSON ({error})"
        raise FrameError(msg) from error
    if not isinstance(fields, dict):
        msg = "the line of a frame is no JSON object"
        raise FrameError(msg)
    return fields


def _size(fields: Fields, max_body_bytes: int) -> int:
    size_bytes = fields.pop("body", 0)
    if type(size_bytes) is not int or not 0 <= size_bytes <= max_body_bytes:
        msg = f"a body of {size_bytes!r} bytes is announced, 0 to {max_body_bytes} are allowed"
        raise FrameError(msg)
    return size_bytes
