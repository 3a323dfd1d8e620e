"""The command `tritonpy-server`: starts everything in order, waits for a signal, stops everything in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence

import uvloop

from tritonpy.backends.errors import TritonpyError
from tritonpy.server import logs
from tritonpy.server.options import ServerOptions, UsageError, parse_options
from tritonpy.server.server import Server

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is told to stop; returns the exit status."""
    try:
        options = parse_options(sys.argv[1:] if arguments is None else arguments)
        logs.configure(options.log)
    except UsageError as error:
        print(f"tritonpy-server: {error}\nSee tritonpy-server --help.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"tritonpy-server: cannot open the log file '{options.log.file}': {error.strerror}", file=sys.stderr)
        return 1
    return uvloop.run(run(options))


async def run(options: ServerOptions) -> int:
    """Start, serve until SIGTERM or SIGINT, stop; returns the exit status."""
    server = Server(options)
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_requested.set)
    try:
        started = await _unless(stop_requested, server.start())
    except TritonpyError as error:
        logger.error("cannot start: %s", error.message.strip())
        started = False
    if started:
        await stop_requested.wait()
        logger.info("shutting down; requests in flight have %d s to end", options.exit_timeout_s)
    in_time = await server.stop()
    return 0 if in_time and (started or stop_requested.is_set()) else 1


async def _unless(stop_requested: asyncio.Event, starting: Coroutine[None, None, bool]) -> bool:
    """What `starting` gives, or False as soon as the server is told to stop."""
    start = asyncio.ensure_future(starting)
    stop = asyncio.ensure_future(stop_requested.wait())
    await asyncio.wait((start, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if start.done():
        return start.result()
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    return False
