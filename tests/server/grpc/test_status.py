"""Errors as gRPC statuses."""

from __future__ import annotations

import logging
import time
from urllib.parse import quote

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonpy.backends.errors import CancelledError, InternalError, Kind, NotFoundError, error_of_kind
from tritonpy.server.grpc.status import (
    LARGEST_DETAILS_BYTES,
    SERVER_FAULT,
    Status,
    error_for_client,
    sendable,
    status_of,
)

CODES = {
    Kind.UNKNOWN: grpc.StatusCode.UNKNOWN,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.INVALID_ARG: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.UNSUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    Kind.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Kind.CANCELLED: grpc.StatusCode.CANCELLED,
}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_code(kind: Kind) -> None:
    assert status_of(error_of_kind(kind, "what happened")) == Status(CODES[kind].value[0], "what happened")


def test_a_request_cancelled_at_its_deadline_says_so() -> None:
    now_ns = time.monotonic_ns()
    exceeded = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert status_of(CancelledError(""), now_ns) == Status(exceeded, "Deadline Exceeded")
    assert status_of(CancelledError("by the model"), now_ns + 10**12) == Status(1, "by the model")
    assert status_of(CancelledError("by the model")) == Status(1, "by the model")
    assert status_of(InternalError("other"), now_ns).details == "other"


def sent_size_bytes(details: str) -> int:
    """What a text takes as `grpc-message`: printable ASCII is sent as it is, all else escaped."""
    printable = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
    return len(quote(details, safe=printable))


def test_a_long_text_is_cut_at_its_end() -> None:
    details = status_of(InternalError("x" * 100_000)).details
    assert details == "x" * (LARGEST_DETAILS_BYTES - 6) + " [...]"


@settings(deadline=None)
@given(st.text(min_size=1).map(lambda text: text * (8000 // len(text))))
def test_whatever_the_text_it_fits(text: str) -> None:
    details = status_of(InternalError(text)).details
    assert sent_size_bytes(details) <= LARGEST_DETAILS_BYTES
    assert details == text or details.endswith(" [...]")
    assert text.startswith(details.removesuffix(" [...]"))


def test_text_without_utf8_form_is_replaced() -> None:
    assert status_of(InternalError("a\udc80b")).details == "a?b"
    assert sendable("\u2603") == "\u2603"


def test_errors_for_clients_pass_and_faults_stay_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    error = NotFoundError("no such model")
    assert error_for_client(error, "a request") is error
    assert not caplog.records
    fault = error_for_client(ValueError("a secret of the server"), "a request")
    assert (fault.kind, fault.message) == (Kind.INTERNAL, SERVER_FAULT)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "a secret of the server" in caplog.text
