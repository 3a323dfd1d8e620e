"""The dynamic batcher against a naive reference and against what must always hold, on random schedules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scheduler.fakes import NS_PER_MS, Simulation, make_request
from tests.scheduler.reference_batcher import ReferenceBatcher
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.protos import datatypes
from tritonpy.scheduler.batching_policy import BatchingPolicy
from tritonpy.scheduler.compatibility import compatibility
from tritonpy.scheduler.default_scheduler import DefaultScheduler
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.queue_policy import QueuePolicy, TimeoutAction
from tritonpy.scheduler.scheduler import Scheduler
from tritonpy.scheduler.statistics import FailureReason

TIMES_MS = st.sampled_from([0, 0, 0, 1, 2, 3, 5, 8, 20, 40])


@dataclass(frozen=True)
class Arrival:
    """A request: ms after the arrival before it, and everything about it that schedulers look at (0 = none)."""

    gap_ms: int
    size: int
    length: int
    priority: int
    timeout_ms: int
    patience_ms: int
    cancelled_after_ms: int | None


@dataclass(frozen=True)
class Schedule:
    policy: BatchingPolicy
    instance_count: int
    duration_ms: int
    arrivals: list[Arrival] = field(default_factory=list)


QUEUE_POLICIES = st.builds(
    QueuePolicy,
    timeout_action=st.sampled_from(TimeoutAction),
    default_timeout_ns=st.sampled_from([0, 3, 10, 30]).map(lambda timeout_ms: timeout_ms * NS_PER_MS),
    allow_timeout_override=st.booleans(),
    max_queue_size=st.sampled_from([0, 0, 1, 2, 4]),
)


@st.composite
def policies(draw: st.DrawFn) -> BatchingPolicy:
    max_batch_size = draw(st.sampled_from([1, 2, 4, 8]))
    preferred = draw(st.frozensets(st.integers(1, max_batch_size), max_size=3))
    levels = draw(st.sampled_from([0, 0, 1, 3]))
    level_numbers = st.integers(1, levels) if levels else st.nothing()
    return BatchingPolicy(
        max_batch_size=max_batch_size,
        preferred_sizes=preferred or frozenset({max_batch_size}),
        delay_ns=draw(TIMES_MS) * NS_PER_MS,
        priority_levels=levels,
        default_priority_level=draw(level_numbers) if levels else 0,
        default_queue_policy=draw(QUEUE_POLICIES),
        queue_policies=draw(st.dictionaries(level_numbers, QUEUE_POLICIES, max_size=levels)) if levels else {},
    )


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    policy = draw(policies())
    arrivals = st.builds(
        Arrival,
        gap_ms=TIMES_MS,
        size=st.integers(1, policy.max_batch_size),
        length=st.sampled_from([1, 1, 1, 2]),
        priority=st.integers(0, 4),
        timeout_ms=st.sampled_from([0, 0, 2, 7, 50]),
        patience_ms=st.sampled_from([0, 0, 0, 4, 15]),
        cancelled_after_ms=st.none() | st.integers(0, 30),
    )
    return Schedule(
        policy,
        instance_count=draw(st.integers(1, 3)),
        duration_ms=draw(st.sampled_from([0, 1, 5, 20])),
        arrivals=draw(st.lists(arrivals, min_size=1, max_size=25)),
    )


def batcher(policy: BatchingPolicy) -> Scheduler:
    spec = TensorSpec("IN", datatypes.INT32, (-1,))
    return DynamicBatcher(policy, compatibility(ModelSignature(policy.max_batch_size, (spec,), ())))


def play(schedule: Schedule, scheduler: Scheduler) -> Simulation:
    simulation = Simulation(scheduler, schedule.duration_ms, schedule.instance_count)
    now_ms = 0
    for number, arrival in enumerate(schedule.arrivals):
        now_ms += arrival.gap_ms
        request = make_request(
            f"r{number}",
            arrival.size,
            shapes={"IN": (arrival.length,)},
            priority=arrival.priority,
            timeout_us=arrival.timeout_ms * 1000,
            deadline_ns=(now_ms + arrival.patience_ms) * NS_PER_MS if arrival.patience_ms else 0,
        )
        simulation.arrive(now_ms, request)
        if arrival.cancelled_after_ms is not None:
            simulation.cancel(now_ms + arrival.cancelled_after_ms, request)
    return simulation.run()


def arrival_times_ms(schedule: Schedule) -> list[int]:
    times, now_ms = [], 0
    for arrival in schedule.arrivals:
        now_ms += arrival.gap_ms
        times.append(now_ms)
    return times


def number_of(request_id: str) -> int:
    return int(request_id[1:])


@given(schedules())
@settings(max_examples=400, deadline=None)
def test_behaves_as_the_reference(schedule: Schedule) -> None:
    real = play(schedule, batcher(schedule.policy))
    reference = play(schedule, ReferenceBatcher(schedule.policy, tick_ns=NS_PER_MS))
    assert real.runs == reference.runs
    assert sorted(real.drops, key=repr) == sorted(reference.drops, key=repr)
    assert real.refused.keys() == reference.refused.keys()
    assert real.scheduler.statistics(0) == reference.scheduler.statistics(0)


def schedulers(schedule: Schedule) -> list[Callable[[], Scheduler]]:
    return [lambda: batcher(schedule.policy), DefaultScheduler]


@given(schedules())
@settings(max_examples=150, deadline=None)
def test_every_request_comes_out_exactly_once(schedule: Schedule) -> None:
    for make in schedulers(schedule):
        simulation = play(schedule, make())
        out = [request_id for run in simulation.runs for request_id in run.ids]
        out += [drop.id for drop in simulation.drops]
        out += simulation.refused
        assert sorted(out, key=number_of) == [f"r{number}" for number in range(len(schedule.arrivals))]
        assert simulation.scheduler.waiting_count == 0
        assert simulation.scheduler.wakeup_ns() is None


@given(schedules())
@settings(max_examples=150, deadline=None)
def test_batches_keep_size_shape_and_the_order_inside_a_level(schedule: Schedule) -> None:
    delays = any(
        policy.timeout_action is TimeoutAction.DELAY
        for policy in (schedule.policy.default_queue_policy, *schedule.policy.queue_policies.values())
    )
    simulation = play(schedule, batcher(schedule.policy))
    by_level: dict[int, list[int]] = defaultdict(list)
    for run in simulation.runs:
        members = [schedule.arrivals[number_of(request_id)] for request_id in run.ids]
        assert sum(member.size for member in members) <= schedule.policy.max_batch_size
        assert len({member.length for member in members}) == 1
        for request_id, member in zip(run.ids, members, strict=True):
            by_level[schedule.policy.level(member.priority)].append(number_of(request_id))
    if not delays:
        assert all(numbers == sorted(numbers) for numbers in by_level.values())


@given(schedules())
@settings(max_examples=150, deadline=None)
def test_nothing_runs_after_its_deadline_or_its_cancellation(schedule: Schedule) -> None:
    arrived_ms = arrival_times_ms(schedule)
    for make in schedulers(schedule):
        for run in play(schedule, make()).runs:
            for number in map(number_of, run.ids):
                arrival, waited_ms = schedule.arrivals[number], run.start_ms - arrived_ms[number]
                assert not arrival.patience_ms or waited_ms < arrival.patience_ms
                assert arrival.cancelled_after_ms is None or waited_ms <= arrival.cancelled_after_ms


@given(schedules())
@settings(max_examples=150, deadline=None)
def test_rejections_come_at_the_timeout_and_never_where_requests_are_delayed(schedule: Schedule) -> None:
    arrived_ms = arrival_times_ms(schedule)
    for drop in play(schedule, batcher(schedule.policy)).drops:
        if drop.reason is FailureReason.REJECTED:
            number = number_of(drop.id)
            level = schedule.policy.level(schedule.arrivals[number].priority)
            policy = schedule.policy.queue_policies.get(level, schedule.policy.default_queue_policy)
            expiry_ns = policy.expiry_ns(schedule.arrivals[number].timeout_ms * 1000, arrived_ms[number] * NS_PER_MS)
            assert policy.timeout_action is TimeoutAction.REJECT
            assert drop.at_ms * NS_PER_MS == expiry_ns
