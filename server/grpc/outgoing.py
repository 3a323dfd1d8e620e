"""What a stream has still to send, between the models that produce it and a client that may read slowly.

A model cannot be made to wait, so the responses to requests that were accepted are taken however many there are. What
a slow reader can pile up is bounded where it begins: the transport reads no further request of a stream while more
than MAX_UNSENT_BYTES of responses wait, and HTTP/2 then holds the client back. Responses that a slower
request before them keeps back do not count: they say nothing of how the client reads.
"""

from __future__ import annotations

import asyncio

from tritonpy.backends.errors import TritonpyError
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.server.grpc.status import error_for_client

MAX_UNSENT_BYTES = 64 * 1024 * 1024

StreamMessage = messages.ModelStreamInferResponse


class OutgoingQueue:
    """The messages of a stream in wire form, and at last its end: an error, or None for a good one."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[bytes | TritonpyError | None] = asyncio.Queue()
        self._unsent_bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()

    def put(self, item: StreamMessage | TritonpyError | None) -> None:
        """Add a message or the end. A message that has no wire form ends the stream as a fault of the server."""
        waiting = item if item is None or isinstance(item, TritonpyError) else _wire_form(item)
        if isinstance(waiting, bytes):
            self._count(len(waiting))
        self._items.put_nowait(waiting)

    async def get(self) -> bytes | TritonpyError | None:
        """The next message or the end, as soon as there is one."""
        item = await self._items.get()
        if isinstance(item, bytes):
            self._count(-len(item))
        return item

    async def wait_for_room(self) -> None:
        """Return when no more than MAX_UNSENT_BYTES wait."""
        await self._has_room.wait()

    def _count(self, size_bytes: int) -> None:
        self._unsent_bytes += size_bytes
        if self._unsent_bytes > MAX_UNSENT_BYTES:
            self._has_room.clear()
        else:
            self._has_room.set()


def _wire_form(message: StreamMessage) -> bytes | TritonpyError:
    try:
        return message.SerializeToString()
    except Exception as error:
        return error_for_client(error, "a response of a stream")
