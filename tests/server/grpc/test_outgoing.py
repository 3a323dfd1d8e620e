"""What waits to be sent on a stream, and how a slow reader is held back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest

from tests.server.fake_engine import FakeModel, example_engine
from tests.server.grpc.requests import infer_input, infer_request
from tests.server.grpc.running_server import TIMEOUT_S, channel_to, running, stream
from tritonpy.backends.errors import InternalError, TritonpyError
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.server.grpc import outgoing
from tritonpy.server.grpc.outgoing import OutgoingQueue, StreamMessage
from tritonpy.server.grpc.status import SERVER_FAULT

LIMIT_BYTES = 256 * 1024
REQUEST_COUNT = 400
REQUEST_FLOATS = 64 * 1024


def message(size_bytes: int) -> StreamMessage:
    """A message of exactly this size on the wire."""
    made = StreamMessage(error_message="x" * size_bytes)
    return StreamMessage(error_message="x" * (2 * size_bytes - made.ByteSize()))


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "MAX_UNSENT_BYTES", LIMIT_BYTES)


def test_messages_leave_in_wire_form_and_in_order_and_then_the_end() -> None:
    async def use() -> list[object]:
        queue = OutgoingQueue()
        for item in (message(10), message(20), None):
            queue.put(item)
        return [await queue.get() for _ in range(3)]

    assert asyncio.run(use()) == [message(10).SerializeToString(), message(20).SerializeToString(), None]


def test_an_error_as_the_end_passes_as_it_is() -> None:
    error = InternalError("what happened")

    async def use() -> object:
        queue = OutgoingQueue()
        queue.put(error)
        return await queue.get()

    assert asyncio.run(use()) is error


def test_there_is_room_up_to_the_limit_and_again_when_enough_has_left() -> None:
    async def use() -> None:
        queue = OutgoingQueue()
        queue.put(message(LIMIT_BYTES))
        await asyncio.wait_for(queue.wait_for_room(), TIMEOUT_S)
        queue.put(message(10))
        waiting = asyncio.ensure_future(queue.wait_for_room())
        await asyncio.sleep(0)
        assert not waiting.done()
        await queue.get()
        await asyncio.wait_for(waiting, TIMEOUT_S)

    asyncio.run(use())


def test_a_message_without_wire_form_ends_the_stream_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Unsendable:
        """Stands for a message above protobuf's limit, which would take gigabytes."""

        def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
            raise ValueError("too large")

    async def use() -> object:
        queue = OutgoingQueue()
        queue.put(cast(StreamMessage, Unsendable()))
        return await queue.get()

    error = asyncio.run(use())
    assert isinstance(error, TritonpyError)
    assert error.message == SERVER_FAULT
    assert "too large" in caplog.text


def large_requests() -> Iterator[messages.ModelInferRequest]:
    data = np.zeros(REQUEST_FLOATS, np.float32).tobytes()
    for number in range(REQUEST_COUNT):
        yield infer_request(inputs=[infer_input(shape=[1, REQUEST_FLOATS])], raw=[data], id=str(number))


def count_when_it_stands_still(model: FakeModel) -> int:
    """How many requests a model has got when no more come for a while."""
    deadline_s = time.monotonic() + TIMEOUT_S
    count = -1
    while time.monotonic() < deadline_s and (not count or count != len(model.requests)):
        count = len(model.requests)
        time.sleep(0.5)
    return count


def test_no_more_requests_are_read_from_a_client_that_does_not_read_its_responses() -> None:
    with running(example_engine()) as server, channel_to(server) as channel:
        responses = stream(channel, messages.ModelStreamInferResponse)(large_requests(), timeout=TIMEOUT_S)
        taken = count_when_it_stands_still(server.model("identity"))
        assert 0 < taken < REQUEST_COUNT // 2
        received = [response.infer_response.id for response in responses]
        assert received == [str(number) for number in range(REQUEST_COUNT)]
