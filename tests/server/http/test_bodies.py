"""Reading of bodies from ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.server.http.bodies import BodyLimit, DisconnectedError, read_body

LIMIT = BodyLimit(10, lambda size_bytes: InvalidArgumentError(f"{size_bytes} is too much"))


class Messages:
    """A `receive` that gives some messages."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.left = list(messages)

    async def __call__(self) -> dict[str, Any]:
        return self.left.pop(0)


def chunk(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def read(messages: Messages, declared_size: str = "") -> bytes:
    return asyncio.run(read_body(messages, declared_size, LIMIT))


def test_chunks_are_joined() -> None:
    assert read(Messages(chunk(b"ab", True), chunk(b"", True), chunk(b"c"))) == b"abc"
    body = b"abc"
    assert read(Messages(chunk(body)), "3") is body


def test_a_declared_size_over_the_limit_is_refused_unread() -> None:
    messages = Messages(chunk(b"ab"))
    with pytest.raises(InvalidArgumentError, match="^11 is too much$"):
        read(messages, "11")
    assert len(messages.left) == 1
    with pytest.raises(InvalidArgumentError):
        read(messages, "9" * 10_000)


def test_reading_stops_at_the_limit() -> None:
    messages = Messages(chunk(b"123456", True), chunk(b"78901", True), chunk(b"2"))
    with pytest.raises(InvalidArgumentError, match="^11 is too much$"):
        read(messages)
    assert len(messages.left) == 1


def test_a_disconnect_in_the_middle() -> None:
    with pytest.raises(DisconnectedError):
        read(Messages(chunk(b"12", True), {"type": "http.disconnect"}))
