"""Connections that end early, dawdle or speak another language: nobody else notices."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
import tritonclient.grpc as triton

from .bad_requests import ADD_SUB_INPUTS
from .repository import ADD_SUB_CONFIG, write_python_model
from .server import HOST, Server, running_server, wait_until

IDENTITY_CONFIG = """
backend: "python"
max_batch_size: 8
input [ { name: "INPUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""
PATH = "/v2/models/add_sub/infer"
DOCUMENT = {"inputs": ADD_SUB_INPUTS}
VALID_BODY = json.dumps(DOCUMENT).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bad_connections")
    write_python_model(folder / "models", "add_sub", "add_sub", f"max_batch_size: 8\n{ADD_SUB_CONFIG}")
    write_python_model(folder / "models", "identity", "copies", IDENTITY_CONFIG)
    with running_server(folder / "models", folder) as server:
        yield server


@pytest.fixture(autouse=True)
def goes_on(server: Server) -> Iterator[None]:
    """After each test the server still works and has logged no error of its own."""
    yield
    assert server.infer("add_sub", DOCUMENT).json()["outputs"][0]["data"] == [3] * 16
    assert "Traceback" not in server.log_text()


def request_head(content_length: int, path: str = PATH) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {content_length}\r\n\r\n".encode()


def connect(server: Server) -> socket.socket:
    return socket.create_connection((HOST, server.http_port), timeout=10)


def success_count(server: Server, model: str = "add_sub") -> int:
    count = server.statistics(model)["inference_stats"]["success"]["count"]
    assert isinstance(count, int)
    return count


def test_a_body_cut_short_is_no_request(server: Server) -> None:
    before = success_count(server)
    with connect(server) as connection:
        connection.sendall(request_head(len(VALID_BODY)) + VALID_BODY[:-1])
    with connect(server) as connection:
        connection.sendall(request_head(1_000_000)[:-2])
    assert server.infer("add_sub", DOCUMENT).status == 200
    assert success_count(server) == before + 1


def test_a_chunk_cut_short_is_no_request(server: Server) -> None:
    before = success_count(server)
    head = f"POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with connect(server) as connection:
        connection.sendall(head + f"{len(VALID_BODY):x}\r\n".encode() + VALID_BODY + b"\r\n")
    assert server.infer("add_sub", DOCUMENT).status == 200
    assert success_count(server) == before + 1


def test_a_slow_request_is_waited_for_and_holds_up_nobody(server: Server) -> None:
    with connect(server) as connection:
        message = request_head(len(VALID_BODY)) + VALID_BODY
        for start in range(0, len(message), 100):
            connection.sendall(message[start : start + 100])
            assert server.infer("add_sub", DOCUMENT).status == 200
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("read_bytes", [0, 100_000])
def test_a_client_that_does_not_wait_for_its_answer(server: Server, read_bytes: int) -> None:
    """The answer is far larger than the buffers between server and client."""
    count = 4 * 1024 * 1024
    tensor = {"name": "INPUT", "datatype": "FP32", "shape": [1, count], "parameters": {"binary_data_size": 4 * count}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    lines = (
        "POST /v2/models/identity/infer HTTP/1.1",
        f"Host: {HOST}",
        f"Inference-Header-Content-Length: {len(head)}",
        f"Content-Length: {len(head) + 4 * count}",
    )
    before = success_count(server, "identity")
    with connect(server) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + head + bytes(4 * count))
        wait_until(lambda: success_count(server, "identity") == before + 1, "the model has answered")
        received = 0
        while received < read_bytes:
            received += len(connection.recv(read_bytes))


def test_many_idle_connections_are_no_obstacle(server: Server) -> None:
    with ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(connect(server))
            if number % 2:
                connection.sendall(request_head(len(VALID_BODY)))
        assert server.infer("add_sub", DOCUMENT).status == 200


def test_requests_in_one_packet_are_answered_in_order(server: Server) -> None:
    good = request_head(len(VALID_BODY)) + VALID_BODY
    bad = request_head(len(VALID_BODY), "/v2/models/nosuch/infer") + VALID_BODY
    with connect(server) as connection:
        connection.sendall(good + bad + good)
        received = b""
        while received.count(b"HTTP/1.1 ") < 3:
            part = connection.recv(65536)
            assert part, "the connection was closed early"
            received += part
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST /v2/models/add_sub/infer HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /v2/models/add_sub/infer HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v2/models/add_sub/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00" * 100_000,
    ],
    ids=["TLS", "no path", "length of letters", "negative length", "chunk of letters", "zeros"],
)
def test_garbage_on_the_http_port_ends_the_connection(server: Server, garbage: bytes) -> None:
    with connect(server) as connection:
        received = exchange(connection, garbage)
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 10_000], ids=["HTTP/1", "bytes"])
def test_garbage_on_the_grpc_port_hurts_nobody(server: Server, garbage: bytes) -> None:
    with triton.InferenceServerClient(server.grpc_url) as client:
        assert client.is_server_live()
        with closing(socket.create_connection((HOST, server.grpc_port), timeout=10)) as connection:
            exchange(connection, garbage)
        assert client.is_server_live()


def exchange(connection: socket.socket, message: bytes) -> bytes:
    """Send, then read until the server closes the connection, which it must."""
    received = b""
    try:
        connection.sendall(message)
        while part := connection.recv(65536):
            received += part
    except (ConnectionResetError, BrokenPipeError):
        pass  # closed while something of the message was still unread, which is as good
    return received
