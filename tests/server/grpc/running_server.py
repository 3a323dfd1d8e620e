"""Runs the gRPC server on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import grpc
import uvloop
from google.protobuf.message import Message

from tests.server.fake_engine import FakeEngine, FakeModel
from tritonpy.server.grpc.grpcio_transport import GrpcServer
from tritonpy.server.grpc.methods import INFERENCE_SERVICE
from tritonpy.server.grpc.options import GrpcOptions
from tritonpy.server.grpc.service import InferenceService

TIMEOUT_S = 20
HOST = "127.0.0.1"
Result = TypeVar("Result")


class RunningServer:
    """A started server, and the engine behind it."""

    def __init__(self, engine: FakeEngine, loop: asyncio.AbstractEventLoop, server: GrpcServer) -> None:
        self.engine = engine
        self.server = server
        self.address = f"{HOST}:{server.port}"
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the server's loop."""
        return self.begin(work).result(TIMEOUT_S)

    def begin(self, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        """Start a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Callable[[], Result]) -> Result:
        """Call a function on the server's loop, and wait until it has returned."""

        async def call() -> Result:
            return work()

        return self.run(call())

    def model(self, name: str) -> FakeModel:
        return next(model for model in self.engine.models if model.name == name)


@contextmanager
def running(engine: FakeEngine, **options: Any) -> Iterator[RunningServer]:
    """Serve `engine` on a free port; `options` are those of GrpcOptions."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = GrpcServer(InferenceService(engine.as_engine()), replace(GrpcOptions(HOST, 0), **options))

    async def start() -> None:
        server.bind()
        await server.start()

    asyncio.run_coroutine_threadsafe(start(), loop).result(TIMEOUT_S)
    try:
        yield RunningServer(engine, loop, server)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT_S)
        loop.close()


@contextmanager
def channel_to(server: RunningServer) -> Iterator[grpc.Channel]:
    """A channel of its own, without limits to message sizes."""
    limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(server.address, options=limits) as channel:
        yield channel


def method_path(name: str) -> str:
    return f"/{INFERENCE_SERVICE}/{name}"


def unary(channel: grpc.Channel, name: str, answer: type[Message]) -> Any:
    """What makes calls of a method; it takes messages and bytes."""
    return channel.unary_unary(method_path(name), serialized, answer.FromString)


def stream(channel: grpc.Channel, answer: type[Message]) -> Any:
    """What opens streams; it takes an iterator of messages and bytes."""
    return channel.stream_stream(method_path("ModelStreamInfer"), serialized, answer.FromString)


def serialized(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
