"""Which requests the dynamic batcher puts into a batch: sizes, preferred sizes, shapes, and what it costs."""

from __future__ import annotations

from dataclasses import replace

from tests.scheduler.batcher_cases import (
    MAX_1,
    MAX_2,
    MAX_8,
    VARIABLE,
    busy_at_first,
    names,
    preferring,
    requests,
    with_timeout,
)
from tests.scheduler.fakes import NS_PER_MS, Simulation, make_request
from tritonpy.backends.request import InferenceRequest
from tritonpy.backends.signature import TensorSpec
from tritonpy.protos import datatypes
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.queue_policy import QueuePolicy
from tritonpy.scheduler.scheduler import QueueStatistics

# Sizes


def test_requests_that_wait_while_an_instance_is_busy_become_one_batch() -> None:
    simulation = Simulation(DynamicBatcher(MAX_8), duration_ms=250)
    simulation.arrive(0, make_request("r0"))
    for number in range(1, 6):
        simulation.arrive(60 + 20 * number, make_request(f"r{number}"))
    assert simulation.run().batches == [["r0"], names(1, 5)]


def test_no_batch_exceeds_the_maximum() -> None:
    assert busy_at_first(MAX_8, *requests(20, 1)).batches == [["r0"], names(1, 8), names(9, 16), names(17, 20)]


def test_client_batches_count_with_their_size_and_nobody_jumps_the_queue() -> None:
    waiting = [
        make_request(f"s{size}{letter}", size) for size, letter in ((5, ""), (4, ""), (3, ""), (1, "a"), (1, "b"))
    ]
    assert busy_at_first(MAX_8, *waiting).batches[1:] == [["s5"], ["s4", "s3", "s1a"], ["s1b"]]


def test_a_full_client_batch_runs_alone() -> None:
    assert busy_at_first(MAX_8, make_request("a", 8), make_request("b", 8)).batches[1:] == [["a"], ["b"]]


def test_a_request_of_size_zero_counts_as_one() -> None:
    waiting = [make_request(f"r{number}", size=0) for number in range(1, 4)]
    assert busy_at_first(MAX_2, *waiting).batches[1:] == [["r1", "r2"], ["r3"]]


def test_without_batching_requests_run_alone_in_order() -> None:
    assert busy_at_first(MAX_1, *requests(3, 1)).batches == [["r0"], ["r1"], ["r2"], ["r3"]]


def test_idle_instances_take_single_requests_and_the_rest_is_merged() -> None:
    simulation = Simulation(DynamicBatcher(MAX_8), duration_ms=300, instance_count=2)
    for number in range(10):
        simulation.arrive(10 * number, make_request(f"r{number}"))
    assert simulation.run().batches == [["r0"], ["r1"], names(2, 9)]
    assert simulation.starts_ms == [0, 10, 300]


def test_an_instance_that_becomes_idle_is_used_at_once() -> None:
    simulation = busy_at_first(replace(MAX_8, default_queue_policy=QueuePolicy(max_queue_size=4)), *requests(2, 1))
    assert simulation.starts_ms == [0, 100]


# Preferred sizes


def test_the_largest_preferred_size_among_the_waiting_is_taken() -> None:
    assert busy_at_first(preferring(2, 4), *requests(7, 1)).batches[1:] == [names(1, 4), names(5, 6), ["r7"]]


def test_a_preferred_size_is_reached_over_client_batches() -> None:
    waiting = [make_request("a", 3), make_request("b", 1), make_request("c", 1)]
    assert busy_at_first(preferring(4), *waiting).batches[1:] == [["a", "b"], ["c"]]


def test_where_no_preferred_size_can_be_reached_the_batch_closes_before_the_largest() -> None:
    waiting = [make_request("a", 3), make_request("b", 3)]
    assert busy_at_first(preferring(4), *waiting).batches[1:] == [["a"], ["b"]]


def test_a_first_request_above_every_preferred_size_runs() -> None:
    waiting = [make_request("a", 6), make_request("b", 1)]
    assert busy_at_first(preferring(4, delay_ms=300), *waiting).batches[1:2] == [["a"]]


def test_a_batch_of_no_preferred_size_is_sent_without_delay() -> None:
    assert busy_at_first(preferring(4), *requests(3, 1)).batches[1:] == [names(1, 3)]


# Shapes and input sets


def test_a_different_shape_starts_a_new_batch_and_never_jumps_the_queue() -> None:
    waiting = [make_request(f"r{number}", shapes={"IN": (length,)}) for number, length in enumerate((2, 3, 2, 2), 1)]
    assert busy_at_first(MAX_8, *waiting, inputs=[VARIABLE]).batches[1:] == [["r1"], ["r2"], ["r3", "r4"]]


def test_ragged_inputs_of_different_shape_share_a_batch() -> None:
    ragged = replace(VARIABLE, allow_ragged_batch=True)
    waiting = [make_request(f"r{number}", shapes={"IN": (length,)}) for number, length in enumerate((2, 3, 2, 2), 1)]
    assert busy_at_first(MAX_8, *waiting, inputs=[ragged]).batches[1:] == [names(1, 4)]


def test_different_sets_of_optional_inputs_do_not_share_a_batch() -> None:
    inputs = [TensorSpec("A", datatypes.INT32, (1,)), TensorSpec("B", datatypes.INT32, (1,), optional=True)]
    waiting = [
        make_request(f"r{number}", shapes=dict.fromkeys(names, (1,)))
        for number, names in enumerate(("A", "A", "AB", "AB", "A"), 1)
    ]
    assert busy_at_first(MAX_8, *waiting, inputs=inputs).batches[1:] == [["r1", "r2"], ["r3", "r4"], ["r5"]]


def test_shapes_are_compared_with_the_first_request_of_the_batch_across_sizes() -> None:
    waiting = [make_request("a", 3, shapes={"IN": (2,)}), make_request("b", 1, shapes={"IN": (2,)})]
    assert busy_at_first(MAX_8, *waiting, inputs=[VARIABLE]).batches[1:] == [["a", "b"]]


# Hold, statistics, drain, cost


def test_held_back_until_enough_requests_wait_and_only_once() -> None:
    simulation = Simulation(DynamicBatcher(MAX_8, hold_until_count=4), duration_ms=10)
    for number in range(5):
        simulation.arrive(100 * number, make_request(f"r{number}"))
    assert simulation.run().batches == [names(0, 3), ["r4"]]
    assert simulation.starts_ms == [300, 400]


def test_held_back_requests_still_expire() -> None:
    simulation = Simulation(DynamicBatcher(with_timeout(MAX_8, 50), hold_until_count=2))
    simulation.arrive(0, make_request("r0"))
    simulation.arrive(60, make_request("r1"))
    simulation.arrive(70, make_request("r2"))
    simulation.run()
    assert simulation.batches == [["r1", "r2"]]
    assert [drop.at_ms for drop in simulation.drops] == [50]


def test_statistics_and_drain() -> None:
    scheduler = DynamicBatcher(replace(MAX_2, priority_levels=2, default_priority_level=2))
    waiting = [make_request("low", priority=2), make_request("high", priority=1), make_request("last")]
    for now_ns, request in enumerate(waiting, 10):
        scheduler.enqueue(request, now_ns)
    assert scheduler.statistics(20) == QueueStatistics(waiting=3, peak=3, oldest_age_ns=10, refused=0)
    assert scheduler.waiting_count == 3
    assert [request.id for request in scheduler.drain()] == ["high", "low", "last"]
    assert scheduler.statistics(20) == QueueStatistics(waiting=0, peak=3, oldest_age_ns=0, refused=0)


class WatchedRequest(InferenceRequest):
    """Counts how often anybody looks at whether a request is cancelled."""

    looks = 0

    @property
    def cancelled(self) -> bool:
        WatchedRequest.looks += 1
        return False

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        pass


def test_forming_a_batch_looks_only_at_the_front_of_a_long_queue() -> None:
    scheduler = DynamicBatcher(replace(MAX_8, delay_ns=NS_PER_MS))
    for _ in range(5_000):
        scheduler.enqueue(WatchedRequest("M", {}), 0)
    WatchedRequest.looks = 0
    assert len(scheduler.next_batch(0)) == 8
    scheduler.take_dropped(0)
    assert WatchedRequest.looks <= 2 * (8 + 1)
