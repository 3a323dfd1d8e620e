"""Reads request bodies from ASGI, no further than their limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Receive

from tritonpy.backends.errors import TritonpyError
from tritonpy.server.http.limits import INLINE_COPY_BYTES
from tritonpy.server.http.threads import run_if_large


class DisconnectedError(Exception):
    """The client went away before its request was complete: there is nobody to answer to."""


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """The largest body, and the error for a body of more (given its size as far as it is known)."""

    size_bytes: int
    error: Callable[[int], TritonpyError]


async def read_body(receive: Receive, declared_size: str, limit: BodyLimit) -> bytes:
    """The whole request body; `declared_size` is the text of Content-Length, "" if there is none.

    Raises the limit's error as soon as the size is known to exceed it, DisconnectedError if the client goes away.
    """
    if declared_size.isdecimal() and int(declared_size[:20]) > limit.size_bytes:
        raise limit.error(int(declared_size[:20]))
    chunks: list[bytes] = []
    size_bytes, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        chunk, more = message.get("body", b""), message.get("more_body", False)
        chunks.append(chunk)
        size_bytes += len(chunk)
        if size_bytes > limit.size_bytes:
            raise limit.error(size_bytes)
    if len(chunks) == 1:
        return chunks[0]
    return await run_if_large(size_bytes > INLINE_COPY_BYTES, b"".join, chunks)
