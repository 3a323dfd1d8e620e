"""The errors of the server, in one tree.

    TritonpyError                 anything a client may be told; carries kind and message
    |- InvalidArgumentError       the client's fault: the request does not fit the model or the protocol
    |- NotFoundError              the client's fault: no such model, version, tensor region
    |- AlreadyExistsError         the client's fault: the name is taken
    |- UnsupportedError           the client's fault: legal elsewhere, not offered here
    |- UnavailableError           the server's state: queue full, timeout, shutting down, worker restarting
    |- CancelledError             the client gave up
    |- InternalError              the model's or the server's fault
    `- UnknownError               a model said so

Messages go to clients as they are: they say what was expected, what came, and what to do, and hold no path of the
server's machine. `Kind` maps each error to its HTTP status and gRPC code.
"""

from __future__ import annotations

import enum


class Kind(enum.Enum):
    """Whose fault an error is; the value is (HTTP status, gRPC status code, Triton's phrase for it)."""

    UNKNOWN = (400, 2, "Unknown")
    INTERNAL = (500, 13, "Internal")
    NOT_FOUND = (404, 5, "Not found")
    INVALID_ARG = (400, 3, "Invalid argument")
    UNAVAILABLE = (503, 14, "Unavailable")
    UNSUPPORTED = (501, 12, "Unsupported")
    ALREADY_EXISTS = (400, 6, "Already exists")
    CANCELLED = (400, 1, "Cancelled")

    @property
    def http_status(self) -> int:
        return self.value[0]

    @property
    def grpc_code(self) -> int:
        return self.value[1]

    @property
    def phrase(self) -> str:
        """How load errors spell the kind: `Internal: <message>`."""
        return self.value[2]


class TritonpyError(Exception):
    """An error that a client may be told. `message` is complete text; `kind` decides the status."""

    kind = Kind.INTERNAL

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class InvalidArgumentError(TritonpyError):
    kind = Kind.INVALID_ARG


class NotFoundError(TritonpyError):
    kind = Kind.NOT_FOUND


class AlreadyExistsError(TritonpyError):
    kind = Kind.ALREADY_EXISTS


class UnsupportedError(TritonpyError):
    kind = Kind.UNSUPPORTED


class UnavailableError(TritonpyError):
    kind = Kind.UNAVAILABLE


class CancelledError(TritonpyError):
    kind = Kind.CANCELLED


class InternalError(TritonpyError):
    kind = Kind.INTERNAL


class UnknownError(TritonpyError):
    kind = Kind.UNKNOWN


_BY_KIND: dict[Kind, type[TritonpyError]] = {
    error.kind: error
    for error in (
        InvalidArgumentError,
        NotFoundError,
        AlreadyExistsError,
        UnsupportedError,
        UnavailableError,
        CancelledError,
        InternalError,
        UnknownError,
    )
}


def error_of_kind(kind: Kind, message: str) -> TritonpyError:
    """The error class for `kind`, made with `message`; used where a kind crossed a process or came from a model."""
    return _BY_KIND[kind](message)
