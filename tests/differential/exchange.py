"""What one exchange is: a request, what has to happen around it, and how its answer is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Answer: TypeAlias = "dict[str, Json]"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it goes on the wire. Content-Length is added unless the body is chunked."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class GrpcRequest:
    """A unary call.

    ``message`` is bytes where it must not be a valid message; ``answer_type`` is None where the answer has no
    message type at hand, and is then recorded as it is.
    """

    method: str
    message: Message | bytes
    answer_type: type[Message] | None


Request: TypeAlias = "HttpRequest | GrpcRequest"


@dataclass(frozen=True, slots=True)
class Differs:
    """tritonpy answers otherwise than the recorded server, on purpose: ``answer`` is expected, for ``reason``."""

    answer: Answer
    reason: str


@dataclass(frozen=True, slots=True)
class Loosely:
    """The error message need not be equal: both servers' messages match ``pattern`` in full, for ``reason``."""

    pattern: str
    reason: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the rules for comparing its answer.

    before: requests sent first, one after the other, their answers not looked at.
    meanwhile: requests sent first, a moment apart, and still running when ``request`` is sent.
    ignoring: keys left out of the comparison wherever they occur in the answer.
    exact_text: the body is compared as text, not as the JSON value it holds.
    """

    name: str
    request: Request
    before: tuple[Request, ...] = ()
    meanwhile: tuple[Request, ...] = ()
    ignoring: tuple[str, ...] = ()
    exact_text: bool = False
    differs: Differs | None = None
    loosely: Loosely | None = None
