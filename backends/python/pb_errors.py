"""`pb_utils.TritonError` and `pb_utils.TritonModelException`."""

from __future__ import annotations

from tritonpy.backends.errors import Kind


class TritonModelException(Exception):
    """Raised by the library at misuse, and by models in `initialize` or `execute`."""


class TritonError:
    """The error of one response: a message and a code. It is a value, not an exception."""

    UNKNOWN = Kind.UNKNOWN
    INTERNAL = Kind.INTERNAL
    NOT_FOUND = Kind.NOT_FOUND
    INVALID_ARG = Kind.INVALID_ARG
    UNAVAILABLE = Kind.UNAVAILABLE
    UNSUPPORTED = Kind.UNSUPPORTED
    ALREADY_EXISTS = Kind.ALREADY_EXISTS
    CANCELLED = Kind.CANCELLED

    def __init__(self, message: str, code: Kind = Kind.INTERNAL) -> None:
        if not isinstance(message, str):
            raise TypeError(f"the message of a TritonError must be a str, got {type(message).__name__}")
        if not isinstance(code, Kind):
            raise TypeError(f"the code of a TritonError must be one of its attributes, got {type(code).__name__}")
        self._message = message
        self._code = code

    def message(self) -> str:
        return self._message

    def code(self) -> Kind:
        return self._code
