"""How a call that failed ends: the gRPC status code and details of an error."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from tritonpy.backends.errors import CancelledError, InternalError, TritonpyError

SERVER_FAULT = "the server failed to answer this request because of a fault of its own; its log has the details"

DEADLINE_EXCEEDED = 4

# Clients take 8 KiB of trailers, and report a call with more as RESOURCE_EXHAUSTED, whatever its status says.
LARGEST_DETAILS_BYTES = 6 * 1024
_ESCAPED_BYTES = 3  # each byte that is not printable ASCII travels as %XX
_CUT = " [...]"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """The end of a call: gRPC's number for the kind of failure, and a text."""

    code: int
    details: str


def status_of(error: TritonpyError, deadline_ns: int = 0) -> Status:
    """The status for `error` of a call whose client waits until `deadline_ns` (monotonic, 0 = for ever)."""
    if isinstance(error, CancelledError) and deadline_ns and time.monotonic_ns() >= deadline_ns:
        # Dropped because the client has stopped waiting: this is what the client says itself, if it is first.
        return Status(DEADLINE_EXCEEDED, "Deadline Exceeded")
    return Status(error.kind.grpc_code, _fitting(error.message))


def unparsable() -> InternalError:
    """What bytes that are no message of the call are answered with."""
    return InternalError("Unable to parse request")


def error_for_client(error: Exception, what: str) -> TritonpyError:
    """`error` itself if clients may be told; else it is a fault of the server: the log gets it, with `what` failed,
    and the client the news."""
    if isinstance(error, TritonpyError):
        return error
    logger.error("%s could not be answered", what, exc_info=error)
    return InternalError(SERVER_FAULT)


def sendable(text: str) -> str:
    """`text` with what has no UTF-8 form (lone surrogates) replaced; messages of models may contain anything."""
    return text.encode(errors="replace").decode()


def _fitting(message: str) -> str:
    """`message` as it can be sent in a status: cut where it becomes too long."""
    message = sendable(message)
    room_bytes = LARGEST_DETAILS_BYTES - len(_CUT)
    for position, character in enumerate(message):
        printable = " " <= character <= "~" and character != "%"
        room_bytes -= 1 if printable else _ESCAPED_BYTES * len(character.encode())
        if room_bytes < 0:
            return message[:position] + _CUT
    return message
