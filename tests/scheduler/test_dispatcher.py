"""The driver: requests reach instances in time, and every one is answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scheduler.batcher_cases import MAX_2, MAX_8, preferring, requests, with_timeout
from tests.scheduler.fake_executor import Harness
from tests.scheduler.fakes import NS_PER_MS, make_request
from tritonpy.backends.errors import CancelledError, UnavailableError
from tritonpy.backends.executor import ExecutorState
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.queue_policy import QueuePolicy
from tritonpy.scheduler.statistics import FailureReason

# Requests reach instances.


def test_a_request_runs_at_once_on_an_idle_instance() -> None:
    harness = Harness()
    harness.submit(make_request("r0"))
    assert harness.executor.ids == [["r0"]]
    assert harness.answers == []
    harness.executor.finish()
    assert harness.answered == ["r0"]


def test_instances_work_in_parallel_and_take_the_oldest_when_they_are_free() -> None:
    harness = Harness(instance_count=2)
    harness.submit(*requests(5))
    first, second = harness.executors
    assert (first.ids, second.ids) == ([["r0"]], [["r1"]])
    second.finish()
    second.finish()
    first.finish()
    assert second.ids == [["r1"], ["r2"], ["r3"]]
    assert first.ids == [["r0"], ["r4"]]
    assert harness.answered == ["r1", "r2", "r0"]


def test_the_instance_that_was_idle_longest_is_next() -> None:
    harness = Harness(instance_count=2)
    for number in range(4):
        harness.submit(make_request(f"r{number}"))
        harness.executors[number % 2].finish()
    assert [executor.ids for executor in harness.executors] == [[["r0"], ["r2"]], [["r1"], ["r3"]]]


def test_what_waits_is_merged_when_an_instance_is_free() -> None:
    harness = Harness(DynamicBatcher(MAX_8))
    harness.submit(*requests(5))
    harness.executor.finish()
    harness.executor.finish()
    assert harness.executor.ids == [["r0"], ["r1", "r2", "r3", "r4"]]
    assert harness.answered == ["r0", "r1", "r2", "r3", "r4"]


def test_an_instance_that_is_not_ready_yet_gets_work_when_it_is() -> None:
    harness = Harness()
    harness.executor.become(ExecutorState.STARTING)
    harness.submit(make_request("r0"))
    assert harness.executor.ids == []
    harness.executor.become(ExecutorState.IDLE)
    assert harness.executor.ids == [["r0"]]


def test_an_instance_that_says_twice_that_it_is_idle_still_takes_one_batch_at_a_time() -> None:
    harness = Harness()
    harness.executor.become(ExecutorState.IDLE)
    harness.submit(*requests(2))
    assert harness.executor.ids == [["r0"]]


def test_a_refused_request_is_the_callers_to_answer() -> None:
    full = replace(MAX_2, default_queue_policy=QueuePolicy(max_queue_size=1))
    harness = Harness(DynamicBatcher(full))
    harness.submit(*requests(2))
    with pytest.raises(UnavailableError, match="Exceeds maximum queue size"):
        harness.submit(make_request("refused"))
    assert harness.dispatcher.in_flight_count == 2
    assert harness.statistics.pending_count == 1
    assert harness.statistics.fail.count == 0
    assert harness.dispatcher.queue_statistics().refused == 1
    harness.executor.finish()
    harness.executor.finish()
    assert harness.answered == ["r0", "r1"]


# Time.


def test_a_batch_that_waits_for_others_is_sent_when_its_delay_is_over() -> None:
    harness = Harness(DynamicBatcher(preferring(delay_ms=200)))
    for number in range(3):
        harness.time.move_to(30 * number)
        harness.submit(make_request(f"r{number}"))
    assert harness.time.armed == [200]
    harness.time.move_to(199)
    assert harness.executor.ids == []
    harness.time.move_to(200)
    assert harness.executor.ids == [["r0", "r1", "r2"]]
    assert harness.time.armed == []


def test_the_timer_is_set_again_only_when_its_time_changes() -> None:
    harness = Harness(DynamicBatcher(preferring(delay_ms=200)))
    harness.submit(make_request("r0"))
    (timer,) = harness.time.timers
    harness.time.move_to(10)
    harness.submit(make_request("r1"))
    assert harness.time.timers == [timer]
    assert not timer.cancelled


def test_a_timer_that_is_not_needed_any_more_is_cancelled() -> None:
    harness = Harness(DynamicBatcher(preferring(2, delay_ms=200)))
    harness.submit(*requests(2))
    assert harness.executor.ids == [["r0", "r1"]]
    assert harness.time.armed == []


def test_a_timer_that_fires_early_is_set_for_the_rest() -> None:
    """Loops round times; nothing may be sent or lost for it."""
    harness = Harness(DynamicBatcher(preferring(delay_ms=200)))
    harness.submit(make_request("r0"))
    timer = harness.time.timers.pop()
    harness.time.now_ns = 199 * NS_PER_MS
    timer.function()
    assert harness.executor.ids == []
    assert harness.time.armed == [200]
    harness.time.move_to(200)
    assert harness.executor.ids == [["r0"]]


def test_a_queue_timeout_is_answered_when_it_passes_although_every_instance_is_busy() -> None:
    harness = Harness(DynamicBatcher(with_timeout(MAX_8, 100)))
    harness.submit(make_request("r0"))
    harness.time.move_to(20)
    harness.submit(make_request("r1"))
    harness.time.move_to(119)
    assert harness.answers == []
    harness.time.move_to(120)
    assert isinstance(harness.error("r1"), UnavailableError)
    assert harness.error("r1").message == "Request timeout expired"
    assert harness.statistics.failures[FailureReason.REJECTED] == 1
    harness.executor.finish()
    assert harness.executor.ids == [["r0"]]


def test_a_client_deadline_is_answered_when_it_passes() -> None:
    harness = Harness()
    harness.submit(make_request("r0"), make_request("r1", deadline_ns=50 * NS_PER_MS))
    harness.time.move_to(50)
    assert isinstance(harness.error("r1"), CancelledError)


# Drain.


def test_the_end_of_the_last_request_is_told() -> None:
    harness = Harness()
    drained: list[int] = []
    harness.dispatcher.on_drained = lambda: drained.append(len(harness.answers))
    _, second = queued = requests(2)
    harness.submit(*queued)
    second.cancel()
    assert drained == []
    harness.executor.finish()
    assert drained == [2]


def test_a_late_stream_keeps_its_request_in_flight() -> None:
    harness = Harness(decoupled=True)
    harness.submit(make_request("r0"))
    harness.executor.finish(None)
    assert harness.dispatcher.in_flight_count == 1
