"""Priorities, queue policies and cancellation in the dynamic batcher."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scheduler.batcher_cases import (
    MAX_1,
    MAX_2,
    MAX_8,
    THREE_LEVELS,
    VARIABLE,
    busy_at_first,
    names,
    preferring,
    requests,
    with_timeout,
)
from tests.scheduler.fakes import NS_PER_MS, Drop, Simulation, make_request
from tritonpy.backends.signature import ModelSignature
from tritonpy.scheduler.batching_policy import BatchingPolicy
from tritonpy.scheduler.compatibility import compatibility
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.queue_policy import QueuePolicy, TimeoutAction
from tritonpy.scheduler.statistics import FailureReason

# Priorities


def test_urgent_levels_run_first_and_unknown_priorities_count_as_default() -> None:
    waiting = [
        make_request("p3", priority=3),
        make_request("none"),
        make_request("p2", priority=2),
        make_request("p1", priority=1),
        make_request("p9", priority=9),
    ]
    assert busy_at_first(THREE_LEVELS, *waiting).batches[1:] == [["p1"], ["none"], ["p2"], ["p9"], ["p3"]]


def test_a_batch_mixes_levels_in_their_order() -> None:
    policy = replace(THREE_LEVELS, max_batch_size=4, preferred_sizes=frozenset({4}))
    waiting = [make_request(f"r{number}-{level}", priority=level) for number, level in enumerate((3, 3, 2, 2, 1, 1))]
    expected = [["r4-1", "r5-1", "r2-2", "r3-2"], ["r0-3", "r1-3"]]
    assert busy_at_first(policy, *waiting).batches[1:] == expected


def test_without_levels_priorities_mean_nothing() -> None:
    waiting = [make_request("a", priority=3), make_request("b", priority=1)]
    assert busy_at_first(MAX_1, *waiting).batches[1:] == [["a"], ["b"]]


def test_the_delay_counts_from_the_oldest_request_of_any_level() -> None:
    policy = replace(preferring(delay_ms=100), priority_levels=2, default_priority_level=2)
    simulation = Simulation(DynamicBatcher(policy))
    simulation.arrive(0, make_request("low", priority=2))
    simulation.arrive(60, make_request("high", priority=1))
    assert simulation.run().batches == [["high", "low"]]
    assert simulation.starts_ms == [100]


# Queue policies


def test_requests_are_rejected_at_their_deadline_while_an_instance_is_busy() -> None:
    simulation = Simulation(DynamicBatcher(with_timeout(MAX_8, 100)), duration_ms=900)
    simulation.arrive(0, make_request("r0"))
    simulation.arrive(50, make_request("r1"))
    simulation.arrive(80, make_request("r2"))
    simulation.run()
    assert simulation.batches == [["r0"]]
    assert simulation.drops == [
        Drop(150, "r1", "Request timeout expired", FailureReason.REJECTED),
        Drop(180, "r2", "Request timeout expired", FailureReason.REJECTED),
    ]


def test_delayed_requests_run_after_all_others_in_order() -> None:
    simulation = Simulation(DynamicBatcher(with_timeout(MAX_2, 100, TimeoutAction.DELAY)), duration_ms=300)
    simulation.arrive(0, make_request("r0"))
    simulation.arrive(50, make_request("old1"), make_request("old2"))
    simulation.arrive(250, make_request("new1"), make_request("new2"), make_request("new3"))
    simulation.run()
    assert simulation.batches == [["r0"], ["new1", "new2"], ["old1", "old2"], ["new3"]]
    assert simulation.drops == []


def test_delayed_requests_run_before_the_next_level() -> None:
    delay = QueuePolicy(TimeoutAction.DELAY, 10 * NS_PER_MS)
    policy = replace(THREE_LEVELS, queue_policies={1: delay})
    waiting = [make_request("low", priority=3), make_request("old", priority=1), make_request("mid", priority=2)]
    assert busy_at_first(policy, *waiting).batches[1:] == [["old"], ["mid"], ["low"]]


def test_a_request_can_only_shorten_the_timeout() -> None:
    policy = replace(MAX_8, default_queue_policy=QueuePolicy(TimeoutAction.REJECT, 300 * NS_PER_MS, True))
    simulation = Simulation(DynamicBatcher(policy), duration_ms=900)
    simulation.arrive(0, make_request("r0"))
    waiting = [
        make_request("short", timeout_us=50_000),
        make_request("long", timeout_us=2_000_000),
        make_request("none"),
    ]
    simulation.arrive(0, *waiting)
    simulation.run()
    assert [(drop.at_ms, drop.id) for drop in simulation.drops] == [(50, "short"), (300, "long"), (300, "none")]


@pytest.mark.parametrize("policy", [QueuePolicy(allow_timeout_override=True), QueuePolicy()])
def test_a_request_cannot_bring_a_timeout_to_a_queue_without(policy: QueuePolicy) -> None:
    simulation = busy_at_first(replace(MAX_8, default_queue_policy=policy), make_request("r1", timeout_us=10_000))
    assert simulation.batches == [["r0"], ["r1"]]


def test_without_override_the_timeout_of_a_request_means_nothing() -> None:
    simulation = busy_at_first(with_timeout(MAX_8, 300), make_request("r1", timeout_us=10_000))
    assert simulation.batches == [["r0"], ["r1"]]


def test_a_full_queue_refuses_and_what_runs_does_not_count() -> None:
    policy = replace(MAX_8, default_queue_policy=QueuePolicy(max_queue_size=2))
    simulation = busy_at_first(policy, *requests(5, 1))
    assert simulation.batches == [["r0"], ["r1", "r2"]]
    texts = {request_id: error.message for request_id, error in simulation.refused.items()}
    assert texts == {name: f"[request id: {name}] Exceeds maximum queue size" for name in names(3, 5)}
    assert simulation.drops == []
    assert simulation.scheduler.statistics(0).refused == 3


def test_a_timeout_shorter_than_the_delay_fires_first() -> None:
    simulation = Simulation(DynamicBatcher(with_timeout(preferring(delay_ms=500), 150)))
    simulation.arrive(0, make_request("r0"))
    simulation.run()
    assert simulation.batches == []
    assert [drop.at_ms for drop in simulation.drops] == [150]


def test_a_request_in_a_batch_neither_expires_nor_is_cancelled() -> None:
    simulation = Simulation(DynamicBatcher(with_timeout(MAX_8, 100)), duration_ms=300)
    running = make_request("r0", deadline_ns=50 * NS_PER_MS)
    simulation.arrive(0, running)
    simulation.cancel(60, running)
    assert simulation.run().drops == []
    assert simulation.batches == [["r0"]]


def test_policies_of_levels_differ() -> None:
    policy = replace(
        THREE_LEVELS,
        default_queue_policy=QueuePolicy(TimeoutAction.REJECT, 20 * NS_PER_MS),
        queue_policies={1: QueuePolicy(), 3: QueuePolicy(max_queue_size=1)},
    )
    waiting = [make_request(f"r{number}-{level}", priority=level) for number, level in enumerate((1, 2, 3, 3))]
    simulation = busy_at_first(policy, *waiting)
    assert simulation.batches[1:] == [["r0-1"], ["r2-3"]]
    assert [drop.id for drop in simulation.drops] == ["r1-2"]
    assert list(simulation.refused) == ["r3-3"]


# Cancellation


@pytest.mark.parametrize("policy", [MAX_1, MAX_8, THREE_LEVELS])
def test_a_request_cancelled_in_the_queue_never_runs(policy: BatchingPolicy) -> None:
    simulation = Simulation(DynamicBatcher(policy), duration_ms=100)
    cancelled = make_request("r1")
    simulation.arrive(0, make_request("r0"), cancelled, make_request("r2"))
    simulation.cancel(30, cancelled)
    assert simulation.run().batches == [["r0"], ["r2"]]
    assert simulation.drops == [Drop(30, "r1", "", FailureReason.CANCELED)]


def test_cancelled_requests_in_the_middle_are_dropped_when_a_batch_is_formed() -> None:
    simulation = Simulation(DynamicBatcher(MAX_8), duration_ms=100)
    waiting = requests(6, 1)
    simulation.arrive(0, make_request("r0"), *waiting)
    for number in (1, 2, 5):
        simulation.cancel(30, waiting[number])
    assert simulation.run().batches == [["r0"], ["r1", "r4", "r5"]]
    assert [(drop.at_ms, drop.id) for drop in simulation.drops] == [(100, "r2"), (100, "r3"), (100, "r6")]


def test_a_cancelled_request_does_not_close_a_batch_by_its_shape_or_size() -> None:
    rule = compatibility(ModelSignature(8, (VARIABLE,), ()))
    simulation = Simulation(DynamicBatcher(MAX_8, rule), duration_ms=100)
    odd, large = make_request("odd", shapes={"IN": (5,)}), make_request("large", 8)
    simulation.arrive(0, *requests(2), odd, large, make_request("r2"))
    simulation.cancel(30, odd)
    simulation.cancel(30, large)
    assert simulation.run().batches == [["r0"], ["r1", "r2"]]


def test_a_request_whose_client_stopped_waiting_is_dropped_as_cancelled() -> None:
    simulation = busy_at_first(MAX_8, make_request("r1"), make_request("r2", deadline_ns=80 * NS_PER_MS))
    assert simulation.batches == [["r0"], ["r1"]]
    assert simulation.drops == [Drop(80, "r2", "", FailureReason.CANCELED)]
