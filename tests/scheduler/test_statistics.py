"""What is counted, and when."""

from __future__ import annotations

import time

import pytest

from tests.scheduler.batcher_cases import MAX_2, MAX_8, with_timeout
from tests.scheduler.fake_executor import INPUT_NS, OUTPUT_NS, Harness
from tests.scheduler.fakes import NS_PER_MS, make_request
from tritonpy.backends.contract import BatchResult
from tritonpy.backends.errors import InternalError
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.statistics import DurationCounter, FailureReason, ModelStatistics

RESULT = BatchResult([], start_ns=110, inputs_ready_ns=120, outputs_begin_ns=150, end_ns=155)
NOTHING = DurationCounter()


def arrived(size: int = 1) -> InferenceRequest:
    request = make_request(size=size)
    request.arrival_ns, request.queue_start_ns = 100, 103
    return request


def failures(statistics: ModelStatistics) -> dict[str, int]:
    """The reasons that occurred."""
    return {reason.value: count for reason, count in statistics.failures.items() if count}


def test_everything_starts_at_zero() -> None:
    statistics = ModelStatistics()
    assert statistics.success == statistics.fail == statistics.cache_hit == statistics.cache_miss == NOTHING
    assert statistics.inference_count == statistics.execution_count == statistics.last_inference_ms == 0
    assert statistics.failures == dict.fromkeys(FailureReason, 0)
    assert statistics.batch_stats == {}


def test_models_do_not_share_counters() -> None:
    first, second = ModelStatistics(), ModelStatistics()
    first.record_failure(arrived(), FailureReason.OTHER, 200)
    first.record_execution(1, RESULT, 5)
    assert second == ModelStatistics()


def test_a_success_counts_with_its_times_and_its_batch_size() -> None:
    statistics = ModelStatistics()
    statistics.record_success(arrived(size=3), RESULT, now_ns=160)
    statistics.record_success(arrived(size=1), RESULT, now_ns=170)
    assert statistics.success == DurationCounter(2, 60 + 70)
    assert statistics.queue == DurationCounter(2, 2 * 7)
    assert statistics.compute_input == DurationCounter(2, 2 * 10)
    assert statistics.compute_infer == DurationCounter(2, 2 * 30)
    assert statistics.compute_output == DurationCounter(2, 2 * 5)
    assert statistics.inference_count == 4
    assert statistics.fail == NOTHING


@pytest.mark.parametrize("reason", FailureReason)
def test_a_failure_counts_only_as_failure(reason: FailureReason) -> None:
    statistics = ModelStatistics()
    statistics.record_failure(arrived(), reason, now_ns=130)
    assert statistics.fail == DurationCounter(1, 30)
    assert failures(statistics) == {reason.value: 1}
    assert statistics.success == statistics.queue == statistics.compute_infer == NOTHING
    assert statistics.inference_count == 0


def test_an_execution_counts_once_under_its_batch_size() -> None:
    statistics = ModelStatistics()
    statistics.record_execution(4, RESULT, now_ms=1000)
    statistics.record_execution(2, RESULT, now_ms=2000)
    statistics.record_execution(4, RESULT, now_ms=3000)
    assert statistics.execution_count == 3
    assert statistics.last_inference_ms == 3000
    assert set(statistics.batch_stats) == {2, 4}
    assert statistics.batch_stats[4].compute_input == DurationCounter(2, 2 * 10)
    assert statistics.batch_stats[4].compute_infer == DurationCounter(2, 2 * 30)
    assert statistics.batch_stats[4].compute_output == DurationCounter(2, 2 * 5)
    assert statistics.batch_stats[2].compute_infer == DurationCounter(1, 30)


# As the dispatcher counts; the numbers name the scenarios of Triton's behaviour that these are.


def test_s1_three_requests_of_batch_size_2_are_three_executions() -> None:
    """Without a batcher nothing is merged, and priority and timeout mean nothing."""
    harness = Harness()
    for number, priority in enumerate((3, 2, 1)):
        harness.submit(make_request(f"r{number}", size=2, priority=priority, timeout_us=1000))
    for end_ms in (150, 300, 450):
        harness.time.move_to(end_ms)
        harness.executor.finish()
    statistics = harness.statistics
    assert harness.executor.ids == [["r0"], ["r1"], ["r2"]]
    assert (statistics.inference_count, statistics.execution_count) == (6, 3)
    assert {size: batch.compute_infer.count for size, batch in statistics.batch_stats.items()} == {2: 3}
    assert statistics.success == DurationCounter(3, (150 + 300 + 450) * NS_PER_MS)
    assert statistics.queue == DurationCounter(3, (0 + 150 + 300) * NS_PER_MS)
    assert statistics.compute_input == DurationCounter(3, 3 * INPUT_NS)
    assert statistics.compute_infer == DurationCounter(3, 3 * (150 * NS_PER_MS - INPUT_NS - OUTPUT_NS))
    assert statistics.compute_output == DurationCounter(3, 3 * OUTPUT_NS)
    assert statistics.fail == NOTHING


def test_s2_two_instances_work_at_the_same_time() -> None:
    harness = Harness(instance_count=2)
    harness.submit(*(make_request(f"r{number}") for number in range(4)))
    for end_ms in (300, 600):
        harness.time.move_to(end_ms)
        for executor in harness.executors:
            executor.finish()
    starts_ms = [batch.start_ns / NS_PER_MS for executor in harness.executors for batch in executor.batches]
    assert sorted(starts_ms) == [0, 0, 300, 300]
    assert harness.statistics.success == DurationCounter(4, (2 * 300 + 2 * 600) * NS_PER_MS)
    assert harness.statistics.execution_count == 4


def test_a_merged_batch_counts_its_times_once_for_the_batch_and_once_for_each_request() -> None:
    harness = Harness(DynamicBatcher(MAX_8))
    harness.submit(make_request("r0"))
    harness.submit(make_request("r1", size=3), make_request("r2"))
    harness.time.move_to(10)
    harness.executor.finish()
    harness.time.move_to(30)
    harness.executor.finish()
    statistics = harness.statistics
    assert (statistics.inference_count, statistics.execution_count) == (5, 2)
    infer_ns = 20 * NS_PER_MS - INPUT_NS - OUTPUT_NS
    assert statistics.batch_stats[4].compute_infer == DurationCounter(1, infer_ns)
    first_infer_ns = 10 * NS_PER_MS - INPUT_NS - OUTPUT_NS
    assert statistics.compute_infer == DurationCounter(3, first_infer_ns + 2 * infer_ns)


def test_d10_a_request_whose_queue_timeout_passes_counts_as_rejected() -> None:
    harness = Harness(DynamicBatcher(with_timeout(MAX_8, 100)))
    harness.submit(make_request("r0"), make_request("r1"), make_request("r2"))
    harness.time.move_to(900)
    harness.executor.finish()
    assert failures(harness.statistics) == {"REJECTED": 2}
    assert harness.statistics.fail == DurationCounter(2, 2 * 100 * NS_PER_MS)
    assert (harness.statistics.inference_count, harness.statistics.execution_count) == (1, 1)


def test_d15_a_request_cancelled_in_the_queue_is_not_run_and_counts_as_cancelled() -> None:
    harness = Harness(DynamicBatcher(MAX_8))
    queued = make_request("r1")
    harness.submit(make_request("r0"), queued)
    queued.cancel()
    harness.executor.finish()
    assert harness.executor.ids == [["r0"]]
    assert failures(harness.statistics) == {"CANCELED": 1}
    assert harness.statistics.success.count == harness.statistics.inference_count == 1


def test_d16_an_error_for_one_request_of_a_batch_counts_as_one_failure() -> None:
    harness = Harness(DynamicBatcher(MAX_8))
    harness.submit(make_request("first"), *(make_request(f"r{number}") for number in range(3)))
    harness.executor.finish()
    harness.executor.finish(
        InferenceResponse(), InferenceResponse(error=InternalError("not this one")), InferenceResponse()
    )
    assert harness.statistics.success.count == 1 + 2
    assert harness.statistics.inference_count == 1 + 2
    assert failures(harness.statistics) == {"BACKEND": 1}
    assert set(harness.statistics.batch_stats) == {1, 3}


def test_d17_a_failed_execution_fails_every_request_and_still_counts() -> None:
    harness = Harness(DynamicBatcher(MAX_2))
    harness.submit(make_request("first"), make_request("r0"), make_request("r1"))
    harness.executor.finish()
    harness.executor.fail(InternalError("execute raised"))
    statistics = harness.statistics
    assert statistics.fail.count == 2
    assert failures(statistics) == {"BACKEND": 2}
    assert (statistics.execution_count, statistics.inference_count) == (2, 1)
    assert statistics.batch_stats[2].compute_infer.count == 1
    assert statistics.queue.count == statistics.compute_infer.count == statistics.success.count == 1


def test_a_decoupled_request_counts_once_at_its_last_response() -> None:
    harness = Harness(decoupled=True)
    harness.submit(make_request("r0", size=2))
    harness.executor.send(0, InferenceResponse(final=False))
    harness.time.move_to(5)
    harness.executor.finish(None)
    harness.executor.send(0, InferenceResponse(final=False))
    assert harness.statistics.success == NOTHING
    assert harness.statistics.execution_count == 1
    harness.time.move_to(9)
    harness.executor.send(0, InferenceResponse(final=True))
    assert harness.statistics.success == DurationCounter(1, 9 * NS_PER_MS)
    assert harness.statistics.inference_count == 2


def test_a_decoupled_request_that_ended_before_its_batch_counts_when_the_batch_is_done() -> None:
    harness = Harness(decoupled=True)
    harness.submit(make_request("r0"))
    harness.executor.send(0, InferenceResponse())
    assert harness.statistics.success == NOTHING
    harness.time.move_to(4)
    harness.executor.finish(None)
    assert harness.statistics.success.count == 1
    assert harness.statistics.compute_infer == DurationCounter(1, 4 * NS_PER_MS - INPUT_NS - OUTPUT_NS)


def test_a_decoupled_request_with_an_error_among_its_responses_counts_as_failed() -> None:
    harness = Harness(decoupled=True)
    harness.submit(make_request("r0"))
    harness.executor.send(0, InferenceResponse(error=InternalError("one went wrong"), final=False))
    harness.executor.finish(None)
    harness.executor.send(0, InferenceResponse())
    assert failures(harness.statistics) == {"BACKEND": 1}
    assert harness.statistics.success == NOTHING


def test_pending_are_those_that_wait_not_those_that_run() -> None:
    harness = Harness()
    waiting = [make_request(f"r{number}") for number in range(1, 4)]
    harness.submit(make_request("r0"), *waiting)
    assert harness.statistics.pending_count == 3
    waiting[1].cancel()
    assert harness.statistics.pending_count == 2
    harness.executor.finish()
    assert harness.statistics.pending_count == 1
    harness.executor.finish()
    harness.executor.finish()
    assert harness.statistics.pending_count == 0


def test_the_last_inference_is_told_in_wall_clock_time() -> None:
    harness = Harness()
    harness.submit(make_request())
    before_ms = time.time_ns() // NS_PER_MS
    harness.executor.finish()
    assert before_ms <= harness.statistics.last_inference_ms <= time.time_ns() // NS_PER_MS
