"""Runs an application on a real listener, on a loop in a thread of its own, and talks HTTP to it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import http.client
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop
from starlette.types import ASGIApp

from tritonpy.server.http.listener import HttpListener, bind_socket

TIMEOUT_S = 20
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class RunningApp:
    """A served application."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: HttpListener) -> None:
        self.listener = listener
        self.port = listener.port
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the server's loop."""
        return self.begin(work).result(TIMEOUT_S)

    def begin(self, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        """Start a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call_soon(self, work: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(work)

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)

    def exchange(self, data: bytes) -> bytes:
        """Everything that comes back for some bytes, until the server closes or is silent."""
        with self.connect() as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return read_to_end(connection)


def read_to_end(connection: socket.socket) -> bytes:
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


@contextmanager
def running(app: ASGIApp) -> Iterator[RunningApp]:
    """The application on a free port of the loopback interface, until the block ends."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listener = HttpListener(app, bind_socket("127.0.0.1", 0))
    served = RunningApp(loop, listener)
    try:
        served.run(listener.start())
        yield served
        served.run(listener.stop(1))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
