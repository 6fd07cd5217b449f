"""Runs a Pulumi program as the pulumi command does: `python -m onedallmail.engine.launcher` with its settings.

Configuration comes in PULUMI_CONFIG and PULUMI_CONFIG_SECRET_KEYS, which the SDK reads.
"""

import argparse
import asyncio
import logging
import os
import runpy
import sys
import traceback
from pathlib import Path

import pulumi
import pulumi.runtime


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


def run_here() -> None:
    """Run the program of the working directory."""
    runpy.run_path(".", run_name="__main__")


def own_traceback(error: Exception, program: str) -> str:
    """Return the traceback from the program's first frame on: what runs the program is not its concern."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((n for n, f in enumerate(frames) if f.filename.startswith(str(Path(program).resolve()))), 0)
    lines = [*traceback.format_list(frames[first:]), *traceback.format_exception_only(error)]
    return "".join(lines)


def main() -> None:
    """Run the program in a stack of its own; exit 0 when it finished."""
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
