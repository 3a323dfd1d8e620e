"""Full queues and requests that wait too long: one instance, one place in the queue, two priority levels."""

from __future__ import annotations

from typing import Any

from ..exchange import Exchange, GrpcRequest, HttpRequest
from .build import Input, infer_grpc, infer_json, parameters

BUSY_MS = 1000
SHORT_TIMEOUT_US = 100_000


def milliseconds(duration_ms: int) -> Input:
    return Input("MILLISECONDS", "INT32", [1, 1], [duration_ms])


def http(duration_ms: int, id: str = "", **values: Any) -> HttpRequest:
    return infer_json("sleep", milliseconds(duration_ms), id=id, parameters=values)


def grpc(duration_ms: int, id: str = "", **values: int) -> GrpcRequest:
    return infer_grpc("sleep", milliseconds(duration_ms), id=id, parameters=parameters(**values))


BUSY = (http(BUSY_MS),)
FULL = (http(BUSY_MS), http(1))

EXCHANGES = (
    Exchange("http-sleep", http(1)),
    Exchange("http-waits-in-queue", http(1), meanwhile=BUSY),
    Exchange("http-queue-full", http(1), meanwhile=FULL),
    Exchange("http-queue-full-names-request-id", http(1, id="q1"), meanwhile=FULL),
    Exchange("http-other-level-has-its-own-place", http(1, priority=1), meanwhile=FULL),
    Exchange("http-unknown-priority-is-the-default-level", http(1, priority=9), meanwhile=FULL),
    Exchange("http-waits-too-long", http(1, timeout=SHORT_TIMEOUT_US), meanwhile=BUSY),
    Exchange("http-timeout-when-idle", http(1, timeout=SHORT_TIMEOUT_US)),
    Exchange("http-timeout-long-enough", http(1, timeout=20 * BUSY_MS * 1000), meanwhile=BUSY),
    Exchange("grpc-queue-full", grpc(1, id="q1"), meanwhile=FULL),
    Exchange("grpc-waits-too-long", grpc(1, timeout=SHORT_TIMEOUT_US), meanwhile=BUSY),
)
