"""Listening sockets and uvicorn servers on them, inside an event loop that somebody else runs.

uvicorn's own life cycle (its loop, signal handlers, log and exit codes) stays out: the caller binds, starts and
stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Any, NoReturn, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tritonpy.backends.errors import UnavailableError
from tritonpy.server.http.limits import CONNECTION_BACKLOG, KEEP_ALIVE_TIMEOUT_S, MAX_HEAD_SIZE_BYTES

_START_POLL_S = 0.005


def bind_socket(address: str, port: int, reuse_port: bool = False) -> socket.socket:
    """A TCP socket bound to `address` (IPv4, IPv6 or a name) and `port` (0: any free one).

    Raises UnavailableError if somebody else listens there, or if the machine does not allow it.
    """
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(target)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise _socket_error(error, address, port) from error
    return bound


def _socket_error(error: OSError, address: str, port: int) -> UnavailableError:
    if error.errno == errno.EADDRINUSE:
        return UnavailableError(f"Socket '{address}:{port}' already in use ")
    return UnavailableError(f"cannot listen on '{address}:{port}': {error.strerror}")


class LimitedHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which by itself takes request lines and headers of any size."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # uvicorn's own signature
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._heads_read = 0
        self._head_size_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse, then refuse a head that is still not complete although it is too large."""
        in_head, heads_read = self._in_head, self._heads_read
        super().data_received(data)
        if not (in_head and self._in_head and heads_read == self._heads_read):
            return
        self._head_size_bytes += len(data)
        if self._head_size_bytes > MAX_HEAD_SIZE_BYTES and not self.transport.is_closing():
            self.send_400_response(f"Request line and headers exceed {MAX_HEAD_SIZE_BYTES} bytes.")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._heads_read += 1
        self._head_size_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to the process."""
        yield


class HttpListener:
    """An ASGI application served on a bound socket."""

    def __init__(self, app: ASGIApp, bound: socket.socket) -> None:
        self._socket = bound
        self._server = _Server(_config(app))
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that the socket is bound to."""
        return int(self._socket.getsockname()[1])

    @property
    def connection_count(self) -> int:
        return len(self._server.server_state.connections)

    async def start(self) -> None:
        """Accept connections; returns when they are accepted.

        Raises UnavailableError if somebody else began to listen on the port after it was bound.
        """
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._task.done():
                self._raise_start_error(self._task.exception())
            await asyncio.sleep(_START_POLL_S)

    def _raise_start_error(self, error: BaseException | None) -> NoReturn:
        self._task = None
        address, port = self._socket.getsockname()[:2]
        if isinstance(error, OSError):
            raise _socket_error(error, address, port) from error
        raise RuntimeError("the HTTP server ended while it started") from error

    async def stop(self, timeout_s: float) -> None:
        """Close the socket and idle connections at once, the others when they have their answer, or `timeout_s`
        later without it."""
        if self._task is None:
            self._socket.close()
            return
        # uvicorn hands the number to asyncio.wait_for, which takes fractions too.
        self._server.config.timeout_graceful_shutdown = cast(int, timeout_s)
        self._server.should_exit = True
        await self._task


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http=LimitedHttpProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=CONNECTION_BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT_S,
    )
