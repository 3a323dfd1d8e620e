"""The dynamic batcher's settings from a model configuration."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from tritonpy.protos.generated import model_config_pb2
from tritonpy.scheduler.batching_policy import BatchingPolicy
from tritonpy.scheduler.queue_policy import QueuePolicy, TimeoutAction


def policy(text: str) -> BatchingPolicy:
    return BatchingPolicy.from_config(text_format.Parse(text, model_config_pb2.ModelConfig()))


def test_defaults() -> None:
    assert policy("max_batch_size: 8 dynamic_batching {}") == BatchingPolicy(
        max_batch_size=8, preferred_sizes=frozenset({8})
    )


def test_a_model_without_batching_runs_one_request_at_a_time() -> None:
    without_batching = policy("dynamic_batching {}")
    assert (without_batching.max_batch_size, without_batching.preferred_sizes) == (1, frozenset({1}))


def test_everything_set() -> None:
    text = """max_batch_size: 8
        dynamic_batching {
            preferred_batch_size: [ 2, 4 ]
            max_queue_delay_microseconds: 100
            preserve_ordering: true
            priority_levels: 3
            default_priority_level: 2
            default_queue_policy { max_queue_size: 5 }
            priority_queue_policy {
                key: 3
                value { timeout_action: DELAY default_timeout_microseconds: 9 allow_timeout_override: true }
            }
        }"""
    assert policy(text) == BatchingPolicy(
        max_batch_size=8,
        preferred_sizes=frozenset({2, 4}),
        delay_ns=100_000,
        preserve_ordering=True,
        priority_levels=3,
        default_priority_level=2,
        default_queue_policy=QueuePolicy(max_queue_size=5),
        queue_policies={3: QueuePolicy(TimeoutAction.DELAY, 9000, allow_timeout_override=True)},
    )
    assert policy(text).largest_preferred_size == 4


@pytest.mark.parametrize(("priority", "level"), [(0, 2), (1, 1), (2, 2), (3, 3), (4, 2), (9, 2), (2**64 - 1, 2)])
def test_a_priority_that_is_unset_or_no_level_means_the_default_level(priority: int, level: int) -> None:
    assert BatchingPolicy(priority_levels=3, default_priority_level=2).level(priority) == level


@pytest.mark.parametrize("priority", [0, 1, 5])
def test_without_levels_all_requests_are_equal(priority: int) -> None:
    assert policy("max_batch_size: 8 dynamic_batching { default_priority_level: 1 }").level(priority) == 0
