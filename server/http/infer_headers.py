"""The headers of infer requests."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.types import Scope

from tritonpy.backends.errors import InvalidArgumentError

HEADER_LENGTH = "Inference-Header-Content-Length"
_INTEGER = re.compile(r"[+-]?[0-9]+")
_MIN_INT32, _MAX_INT32 = -(2**31), 2**31 - 1


@dataclass(slots=True)
class InferHeaders:
    """The request headers that matter; of a header sent twice the first counts."""

    content_encoding: str = ""
    accept_encoding: str = ""
    json_size: str | None = None
    body_size: str = ""


_FIELDS = {
    b"content-encoding": "content_encoding",
    b"accept-encoding": "accept_encoding",
    b"inference-header-content-length": "json_size",
    b"content-length": "body_size",
}


def infer_headers(scope: Scope) -> InferHeaders:
    """The headers of a request's ASGI scope."""
    headers = InferHeaders()
    for name, value in reversed(scope["headers"]):
        field = _FIELDS.get(name)
        if field is not None:
            setattr(headers, field, value.decode("latin-1"))
    return headers


def json_size(header: str | None, body_size_bytes: int) -> int:
    """How many bytes of a body are JSON, by the header's text (None if absent: all of it); 0 means a raw request.

    Raises InvalidArgumentError if the header is no number or not within the body.
    """
    if header is None:
        return body_size_bytes
    size_bytes = header_size(header)
    if not 0 <= size_bytes <= body_size_bytes:
        raise InvalidArgumentError(f"inference header size should be in range (0, {body_size_bytes}), got: {header}")
    return size_bytes


def header_size(text: str) -> int:
    """The number in the header-length header; raises InvalidArgumentError if it is none of 32 bits."""
    if not _INTEGER.fullmatch(text):
        raise InvalidArgumentError(f"Unable to parse {HEADER_LENGTH}, got: {text}")
    # The length comes first: int() refuses very long texts.
    if len(text) > 32 or not _MIN_INT32 <= int(text) <= _MAX_INT32:
        raise InvalidArgumentError(
            f"Unable to parse {HEADER_LENGTH}, value is out of range [ {_MIN_INT32}, {_MAX_INT32} ], got: {text}"
        )
    return int(text)
