"""Sockets and the life cycle of a listener."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from tests.server.http.running_app import RunningApp, read_to_end, running
from tritonpy.backends.errors import UnavailableError
from tritonpy.server.http.answers import TEXT, Answer, send_answer
from tritonpy.server.http.limits import MAX_HEAD_SIZE_BYTES
from tritonpy.server.http.listener import HttpListener, bind_socket

GET = b"GET /%b HTTP/1.1\r\n\r\n"


class Gate:
    """An application that answers at once, except under /slow, which waits until the test opens it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._opened: asyncio.Event | None = None

    def open(self) -> None:
        assert self._opened is not None
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            self._opened = asyncio.Event()
            self.entered.set()
            try:
                await self._opened.wait()
            except asyncio.CancelledError:
                await send_answer(send, Answer(503, [(b"content-type", TEXT)], (b"cancelled",)))
                return
        await send_answer(send, Answer(200, [(b"content-type", TEXT)], (b"done",)))


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def server(gate: Gate) -> Iterator[RunningApp]:
    with running(gate) as served:
        yield served


def test_a_taken_port() -> None:
    with bind_socket("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(UnavailableError) as caught:
            bind_socket("127.0.0.1", port)
    assert caught.value.message == f"Socket '127.0.0.1:{port}' already in use "


def test_a_shared_port() -> None:
    with bind_socket("127.0.0.1", 0, reuse_port=True) as first:
        first.listen()
        with bind_socket("127.0.0.1", first.getsockname()[1], reuse_port=True) as second:
            assert second.getsockname() == first.getsockname()


def test_an_address_of_another_machine() -> None:
    with pytest.raises(UnavailableError, match=r"^cannot listen on '192\.0\.2\.1:0': "):
        bind_socket("192.0.2.1", 0)
    with pytest.raises(UnavailableError, match=r"^cannot listen on 'no such name:0': "):
        bind_socket("no such name", 0)


def test_ipv6() -> None:
    try:
        bound = bind_socket("::1", 0)
    except UnavailableError:
        pytest.skip("this machine has no IPv6")
    with bound:
        assert bound.family is socket.AF_INET6


def test_connections_are_kept_alive(server: RunningApp) -> None:
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(GET % b"")
            assert connection.recv(1000).endswith(b"done")
        assert server.listener.connection_count == 1


def test_connection_close_is_honoured(server: RunningApp) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in answer
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert read_to_end(connection).endswith(b"done")


@pytest.mark.parametrize(
    "head", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"\x00\x01\x02\r\n\r\n"]
)
def test_what_is_no_http_closes_the_connection(server: RunningApp, head: bytes) -> None:
    assert server.exchange(head).startswith(b"HTTP/1.1 400 ")
    assert server.request("GET", "/").status == 200


@pytest.mark.parametrize("filler", [b"x-header: " + b"a" * 1000 + b"\r\n", b"a" * 1000])
def test_endless_heads_are_refused(server: RunningApp, filler: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + (b"" if filler.endswith(b"\n") else b"x-long: "))
        with pytest.raises(ConnectionError):  # noqa: PT012 - whichever write comes after the refusal
            for _ in range(10_000):
                connection.sendall(filler)
                time.sleep(0)
    assert server.request("GET", "/").status == 200


def test_large_bodies_do_not_count_as_heads(server: RunningApp) -> None:
    body = bytes(MAX_HEAD_SIZE_BYTES * 3)
    message = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with server.connect() as connection:
        for _ in range(5):
            connection.sendall(message)
            assert connection.recv(1000).endswith(b"done")


def test_stopping_closes_idle_connections_at_once() -> None:
    with running(Gate()) as served:
        idle = served.connect()
        idle.sendall(GET % b"")
        assert idle.recv(1000).endswith(b"done")
        started = time.monotonic()
        served.run(served.listener.stop(10))
        assert time.monotonic() - started < 5
        assert idle.recv(1000) == b""
        with pytest.raises(ConnectionRefusedError):
            served.connect()


def test_stopping_waits_for_requests_in_flight(gate: Gate) -> None:
    with running(gate) as served, served.connect() as connection:
        connection.sendall(GET % b"slow")
        assert gate.entered.wait(10)
        stopping = served.begin(served.listener.stop(20))
        with pytest.raises(concurrent.futures.TimeoutError):
            stopping.result(0.3)
        served.call_soon(gate.open)
        assert read_to_end(connection).endswith(b"done")
        stopping.result(10)


def test_stopping_gives_up_after_the_timeout(gate: Gate) -> None:
    with running(gate) as served, served.connect() as connection:
        connection.sendall(GET % b"slow")
        assert gate.entered.wait(10)
        served.run(served.listener.stop(0.2))
        assert read_to_end(connection).endswith(b"cancelled")


def test_a_port_that_is_taken_between_bind_and_start() -> None:
    with bind_socket("127.0.0.1", 0) as first, bind_socket("127.0.0.1", first.getsockname()[1]) as second:
        first.listen()
        listener = HttpListener(Gate(), second)
        with pytest.raises(UnavailableError, match=rf"^Socket '127\.0\.0\.1:{listener.port}' already in use $"):
            asyncio.run(listener.start())


def test_a_listener_that_never_started_frees_its_port() -> None:
    bound = bind_socket("127.0.0.1", 0)
    port = bound.getsockname()[1]
    asyncio.run(HttpListener(Gate(), bound).stop(1))
    bind_socket("127.0.0.1", port).close()
