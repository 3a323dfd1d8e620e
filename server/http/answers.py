"""A complete HTTP response, and how errors become one.

Two content types are in use for errors: `application/json` where the client's document or request was wrong or the
route always speaks JSON, `text/plain` elsewhere. The body is the same JSON object in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.types import Send

from tritonpy.backends.errors import TritonpyError
from tritonpy.protos.bytes_codec import Buffer
from tritonpy.server.http import json_writing

TEXT = b"text/plain"
JSON = b"application/json"
BINARY = b"application/octet-stream"

NOT_FOUND = "Not Found"
METHOD_NOT_ALLOWED = "Method Not Allowed"
SERVER_FAULT = "the server failed to answer this request because of a fault of its own; its log has the details"

Headers = list[tuple[bytes, bytes]]

_JOINED_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers without Content-Length, and the body in chunks, which go out as they are."""

    status: int
    headers: Headers
    chunks: Sequence[Buffer] = ()

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.chunks))


def json_answer(body: bytes, status: int = 200) -> Answer:
    return Answer(status, [(b"content-type", JSON)], (body,))


def empty_answer(content_type: bytes, status: int = 200) -> Answer:
    return Answer(status, [(b"content-type", content_type)])


def error_answer(status: int, message: str, content_type: bytes) -> Answer:
    """The one-key object that every error has."""
    body = b'{"error":%b}' % json_writing.string(message)
    return Answer(status, [(b"content-type", content_type)], (body,))


def failure(error: TritonpyError, content_type: bytes) -> Answer:
    """The answer to a request that failed with `error`."""
    return error_answer(error.kind.http_status, error.message, content_type)


async def send_answer(send: Send, answer: Answer) -> None:
    """Send an answer in few ASGI messages: small chunks are joined, large ones are not copied."""
    headers = [*answer.headers, (b"content-length", b"%d" % answer.size_bytes)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    messages = list(_joined(answer.chunks))
    for body in messages[:-1]:
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": messages[-1]})


def _joined(chunks: Sequence[Buffer]) -> Iterator[Buffer]:
    small: list[Buffer] = []
    for chunk in chunks:
        if len(chunk) <= _JOINED_BYTES:
            small.append(chunk)
            continue
        if small:
            yield b"".join(small)
            small = []
        yield chunk
    if small or not chunks:
        yield b"".join(small)
