"""Runs a Pulumi program as the pulumi command does: `python -m onedallmail.engine.launcher` with its settings.

Configuration comes in PULUMI_CONFIG and PULUMI_CONFIG_SECRET_KEYS, which the SDK reads.
"""

import argparse
import asyncio
import gc
import logging
import os
import runpy
import sys
import traceback
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime
from pulumi.runtime.settings import _get_rpc_manager

RARELY = 200_000
"""Allocations between collections of garbage: what a program makes lives as long as it, so the search is vain."""


QUIET_ROUNDS, QUIET_S = 5, 0.02
"""Between two registrations a program may compute: it is quiet when it began none in so many looks."""


def settings() -> tuple[pulumi.runtime.Settings, str]:
    """Return the SDK's settings and the folder of the program, from the command line."""
    parser = argparse.ArgumentParser()
    for name in ("project", "stack", "organization", "address", "root", "program"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--preview", action="store_true")
    options = parser.parse_args()
    return pulumi.runtime.Settings(
        project=options.project,
        stack=options.stack,
        organization=options.organization,
        monitor=options.address,
        engine=options.address,
        parallel=options.parallel,
        dry_run=options.preview,
        root_directory=options.root,
    ), options.program


def _unheard(*_: object, **__: object) -> None:
    """Take a message for debugging and pass it to nobody."""


def run_here() -> Awaitable[None]:
    """Run the program of the working directory, and return what waits for its registrations."""
    runpy.run_path(".", run_name="__main__")
    return _registrations()


def _under_way(calls: Iterable[Awaitable[Any]]) -> list[asyncio.Future[Any]]:
    return [call for call in calls if isinstance(call, asyncio.Future) and not call.done()]


async def _registrations() -> None:
    """Wait until no registration is under way, or one failed.

    The SDK waits as well, but by looking through all outputs whenever one of them is done: with thousands of them
    that takes longer than the registrations do. It waits for whatever is left after this.
    """
    calls = _get_rpc_manager()
    for _ in range(QUIET_ROUNDS):
        while calls.unhandled_exception is None and (open_calls := _under_way(calls.rpcs)):
            await asyncio.wait(open_calls, return_when=asyncio.FIRST_EXCEPTION)
        await asyncio.sleep(QUIET_S)


def own_traceback(error: Exception, program: str) -> str:
    """Return the traceback from the program's first frame on: what runs the program is not its concern."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((n for n, f in enumerate(frames) if f.filename.startswith(str(Path(program).resolve()))), 0)
    lines = [*traceback.format_list(frames[first:]), *traceback.format_exception_only(error)]
    return "".join(lines)


def main() -> None:
    """Run the program in a stack of its own; exit 0 when it finished."""
    gc.set_threshold(RARELY)
    # The engine drops what the SDK says for its own debugging; each such word is a call that the program waits for.
    pulumi.log.debug = _unheard
    chosen, program = settings()
    pulumi.runtime.configure(chosen)
    os.chdir(program)
    sys.argv = ["."]
    # After a failure many futures of a Pulumi program are never awaited; asyncio would complain of each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    status = 1
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(run_here))
        status = 0
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
    except Exception as error:
        pulumi.log.error(own_traceback(error, program))
    finally:
        loop.close()
    sys.exit(status)


if __name__ == "__main__":
    main()
