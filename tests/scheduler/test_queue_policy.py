"""Timeouts and sizes of queues."""

from __future__ import annotations

import pytest

from tritonpy.protos.generated import model_config_pb2
from tritonpy.scheduler.queue_policy import QueuePolicy, TimeoutAction


def test_reads_the_configuration() -> None:
    message = model_config_pb2.ModelQueuePolicy(
        timeout_action=model_config_pb2.ModelQueuePolicy.DELAY,
        default_timeout_microseconds=2**64 - 1,
        allow_timeout_override=True,
        max_queue_size=7,
    )
    assert QueuePolicy.from_config(message) == QueuePolicy(TimeoutAction.DELAY, (2**64 - 1) * 1000, True, 7)


def test_an_empty_configuration_is_the_default() -> None:
    assert QueuePolicy.from_config(model_config_pb2.ModelQueuePolicy()) == QueuePolicy()


@pytest.mark.parametrize(
    ("default_us", "override", "request_us", "timeout_us"),
    [
        (0, False, 0, None),
        (0, False, 50, None),
        (0, True, 50, None),  # nothing to shorten
        (300, False, 0, 300),
        (300, False, 50, 300),
        (300, True, 0, 300),
        (300, True, 50, 50),
        (300, True, 300, 300),
        (300, True, 2000, 300),  # an override never lengthens
    ],
)
def test_when_a_request_expires(default_us: int, override: bool, request_us: int, timeout_us: int | None) -> None:
    policy = QueuePolicy(default_timeout_ns=default_us * 1000, allow_timeout_override=override)
    expected_ns = 0 if timeout_us is None else 1_000_000 + timeout_us * 1000
    assert policy.expiry_ns(request_us, now_ns=1_000_000) == expected_ns


@pytest.mark.parametrize(("limit", "waiting", "full"), [(0, 10**6, False), (2, 1, False), (2, 2, True)])
def test_when_a_queue_is_full(limit: int, waiting: int, full: bool) -> None:
    assert QueuePolicy(max_queue_size=limit).is_full(waiting) is full
