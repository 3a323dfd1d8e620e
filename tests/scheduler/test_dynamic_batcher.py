"""The rules of the dynamic batcher on a fake clock: sizes, delay, shapes, priorities, policies, cancellation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.scheduler.fakes import NS_PER_MS, Drop, Simulation, make_request
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.protos import datatypes
from tritonpy.scheduler.batching_policy import BatchingPolicy
from tritonpy.scheduler.compatibility import compatibility
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.queue_policy import QueuePolicy, TimeoutAction
from tritonpy.scheduler.response_order import ResponseOrder
from tritonpy.scheduler.scheduler import QueueStatistics
from tritonpy.scheduler.statistics import FailureReason

MAX_8 = BatchingPolicy(max_batch_size=8, preferred_sizes=frozenset({8}))
MAX_1 = BatchingPolicy()
MAX_2 = BatchingPolicy(max_batch_size=2, preferred_sizes=frozenset({2}))
VARIABLE = TensorSpec("IN", datatypes.INT32, (-1,))


def preferring(*sizes: int, delay_ms: int = 0) -> BatchingPolicy:
    return replace(MAX_8, preferred_sizes=frozenset(sizes or {8}), delay_ns=delay_ms * NS_PER_MS)


def with_timeout(policy: BatchingPolicy, timeout_ms: int, action: TimeoutAction = TimeoutAction.REJECT) -> BatchingPolicy:
    return replace(policy, default_queue_policy=QueuePolicy(action, timeout_ms * NS_PER_MS))


def requests(count: int, first: int = 0) -> list[InferenceRequest]:
    return [make_request(f"r{number}") for number in range(first, first + count)]


def names(first: int, last: int) -> list[str]:
    return [f"r{number}" for number in range(first, last + 1)]


def busy_at_first(policy: BatchingPolicy, *waiting: InferenceRequest, inputs: Sequence[TensorSpec] = ()) -> Simulation:
    """Runs r0 from 0 to 100 ms, lets `waiting` arrive at 50 ms, and plays to the end."""
    signature = ModelSignature(policy.max_batch_size, tuple(inputs), ())
    simulation = Simulation(DynamicBatcher(policy, compatibility(signature)), duration_ms=100)
    first_shapes = {"IN": (9,)} if inputs else None
    simulation.arrive(0, make_request("r0", shapes=first_shapes))
    simulation.arrive(50, *waiting)
    return simulation.run()


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
    waiting = [make_request(f"s{size}{letter}", size) for size, letter in ((5, ""), (4, ""), (3, ""), (1, "a"), (1, "b"))]
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


# Delay


def test_a_preferred_size_ends_the_delay_and_the_rest_waits_from_its_own_arrival() -> None:
    simulation = Simulation(DynamicBatcher(preferring(4, delay_ms=300)), duration_ms=50)
    simulation.arrive(0, *requests(4))
    simulation.arrive(20, make_request("r4"))
    assert simulation.run().batches == [names(0, 3), ["r4"]]
    assert simulation.starts_ms == [0, 320]


def test_the_oldest_request_decides_when_the_delay_is_over() -> None:
    simulation = Simulation(DynamicBatcher(preferring(delay_ms=200)), duration_ms=50)
    for number, time_ms in enumerate((0, 30, 60)):
        simulation.arrive(time_ms, make_request(f"r{number}"))
    assert simulation.run().batches == [names(0, 2)]
    assert simulation.starts_ms == [200]


def test_the_delay_counts_while_instances_are_busy() -> None:
    simulation = Simulation(DynamicBatcher(preferring(delay_ms=100)), duration_ms=150)
    simulation.arrive(0, make_request("r0"))
    simulation.arrive(120, make_request("r1"))
    simulation.run()
    assert simulation.starts_ms == [100, 250]


def test_a_full_batch_does_not_wait() -> None:
    simulation = Simulation(DynamicBatcher(preferring(delay_ms=200)), duration_ms=14)
    simulation.arrive(0, *requests(8))
    assert simulation.run().batches == [names(0, 7)]
    assert simulation.starts_ms == [0]


def test_a_request_that_does_not_fit_ends_the_delay() -> None:
    simulation = Simulation(DynamicBatcher(preferring(delay_ms=200)), duration_ms=14)
    simulation.arrive(0, make_request("a", 5))
    simulation.arrive(40, make_request("b", 4))
    simulation.run()
    assert simulation.starts_ms == [40, 240]


def test_a_shape_break_ends_the_delay() -> None:
    rule = compatibility(ModelSignature(8, (VARIABLE,), ()))
    simulation = Simulation(DynamicBatcher(preferring(delay_ms=200), rule), duration_ms=14)
    simulation.arrive(0, make_request("a", shapes={"IN": (2,)}))
    simulation.arrive(40, make_request("b", shapes={"IN": (3,)}))
    simulation.run()
    assert simulation.starts_ms == [40, 240]


def test_after_the_delay_a_batch_may_exceed_the_largest_preferred_size() -> None:
    waiting = [make_request(f"r{number}") for number in range(1, 7)]
    assert busy_at_first(preferring(4, delay_ms=10), *waiting).batches[1:] == [names(1, 6)]


def test_without_an_idle_instance_the_delay_asks_for_nothing() -> None:
    scheduler = DynamicBatcher(preferring(delay_ms=5))
    scheduler.enqueue(make_request(), 0)
    assert scheduler.next_batch(0) == []
    assert scheduler.wakeup_ns() == 5 * NS_PER_MS
    scheduler.take_dropped(5 * NS_PER_MS)  # woken, but the idle instance has gone down meanwhile
    assert scheduler.wakeup_ns() is None
    assert len(scheduler.next_batch(9 * NS_PER_MS)) == 1


def test_the_delay_of_a_sent_batch_asks_for_nothing() -> None:
    scheduler = DynamicBatcher(preferring(2, delay_ms=5))
    for request in requests(2):
        scheduler.enqueue(request, 0)
        batch = scheduler.next_batch(0)
    assert len(batch) == 2
    assert scheduler.wakeup_ns() is None


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
        make_request(f"r{number}", shapes=dict.fromkeys(names, (1,))) for number, names in enumerate(("A", "A", "AB", "AB", "A"), 1)
    ]
    assert busy_at_first(MAX_8, *waiting, inputs=inputs).batches[1:] == [["r1", "r2"], ["r3", "r4"], ["r5"]]


def test_shapes_are_compared_with_the_first_request_of_the_batch_across_sizes() -> None:
    waiting = [make_request("a", 3, shapes={"IN": (2,)}), make_request("b", 1, shapes={"IN": (2,)})]
    assert busy_at_first(MAX_8, *waiting, inputs=[VARIABLE]).batches[1:] == [["a", "b"]]


# Priorities

THREE_LEVELS = replace(MAX_1, priority_levels=3, default_priority_level=2)


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
    waiting = [make_request("short", timeout_us=50_000), make_request("long", timeout_us=2_000_000), make_request("none")]
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


# Order of responses


@pytest.mark.parametrize(("ordered", "answers"), [(True, [600, 600, 600]), (False, [600, 20, 40])])
def test_preserved_order_holds_fast_answers_back(ordered: bool, answers: list[float]) -> None:
    simulation = Simulation(
        DynamicBatcher(replace(MAX_1, preserve_ordering=ordered)),
        duration_ms=lambda batch: 600 if batch[0].id == "slow" else 10,
        instance_count=2,
    )
    order = ResponseOrder()
    answered: dict[str, float] = {}

    def reserve(batch: Sequence[InferenceRequest]) -> None:
        for request in batch if ordered else ():
            order.reserve(request)

    def answer(batch: Sequence[InferenceRequest], now_ms: float) -> None:
        for request in batch:
            for released, _ in order.release(request, InferenceResponse()):
                answered[released.id] = now_ms

    simulation.on_run, simulation.on_finish = reserve, answer
    for number, name in enumerate(("slow", "fast1", "fast2")):
        simulation.arrive(10 * max(0, number * 2 - 1), make_request(name))
    simulation.run()
    assert [answered[name] for name in ("slow", "fast1", "fast2")] == answers
    if ordered:
        assert list(answered) == ["slow", "fast1", "fast2"]


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
    def cancelled(self) -> bool:  # type: ignore[override]
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
