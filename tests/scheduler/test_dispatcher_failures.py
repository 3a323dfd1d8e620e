"""Nobody suffers for another: errors, cancellation, and instances that die."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from functools import partial
from itertools import chain

import pytest

from tests.scheduler.batcher_cases import MAX_8, requests, with_timeout
from tests.scheduler.fake_executor import Harness
from tests.scheduler.fakes import make_request
from tritonpy.backends.errors import CancelledError, InternalError, UnavailableError
from tritonpy.backends.executor import ExecutorState
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.scheduler.default_scheduler import DefaultScheduler
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.scheduler import Scheduler
from tritonpy.scheduler.statistics import FailureReason


def error_response(message: str = "bad") -> InferenceResponse:
    return InferenceResponse(error=InternalError(message))


# Errors stay where they belong.


def test_an_error_for_one_request_leaves_the_rest_of_its_batch_alone() -> None:
    harness = Harness(DynamicBatcher(MAX_8))
    harness.submit(*requests(4))
    harness.executor.finish()
    harness.executor.finish(InferenceResponse(), error_response("only r2"), InferenceResponse())
    assert harness.error("r2").message == "only r2"
    assert [harness.responses(name)[0].error for name in ("r1", "r3")] == [None, None]


def test_after_a_failed_batch_the_next_one_runs() -> None:
    harness = Harness()
    harness.submit(*requests(2))
    harness.executor.fail(InternalError("raised"))
    harness.executor.finish()
    assert harness.error("r0").message == "raised"
    assert harness.responses("r1")[0].error is None


def test_a_front_end_that_raises_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness(DynamicBatcher(MAX_8))
    first, broken, third = requests(3)
    harness.submit(first, broken, third)

    def reply(_: InferenceResponse) -> None:
        raise RuntimeError("connection object is gone")

    broken.reply = reply
    harness.executor.finish()
    with caplog.at_level(logging.ERROR):
        harness.executor.finish()
    assert harness.answered == ["r0", "r2"]
    assert harness.dispatcher.in_flight_count == 0
    assert harness.statistics.success.count == 3
    assert "connection object is gone" in caplog.text
    harness.submit(make_request("next"))
    assert harness.executor.ids[-1] == ["next"]


def test_a_front_end_that_raises_does_not_stop_the_answers_to_dropped_requests() -> None:
    harness = Harness(DynamicBatcher(with_timeout(MAX_8, 100)))
    _, broken, third = waiting = requests(3)
    harness.submit(*waiting)

    def reply(_: InferenceResponse) -> None:
        raise RuntimeError

    broken.reply = reply
    harness.time.move_to(100)
    assert harness.error(third.id).message == "Request timeout expired"
    assert harness.dispatcher.in_flight_count == 1


def test_a_reply_may_submit_the_next_request() -> None:
    harness = Harness()
    first, second = requests(2)
    harness.submit(first)
    first.reply = lambda _: harness.submit(second)
    harness.executor.finish()
    assert harness.executor.ids == [["r0"], ["r1"]]
    harness.executor.finish()
    assert harness.answered == ["r1"]


# Cancellation.


@pytest.mark.parametrize("make", [DefaultScheduler, partial(DynamicBatcher, MAX_8)], ids=["default", "batcher"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_cancelled_queued_request_is_answered_at_once_and_never_runs(
    make: Callable[[], Scheduler], position: int
) -> None:
    """Wherever in the queue it waits."""
    harness = Harness(make())
    waiting = requests(3, first=1)
    harness.submit(make_request("r0"), *waiting)
    cancelled = waiting.pop(position)
    cancelled.cancel()
    cancelled.cancel()
    error = harness.error(cancelled.id)
    assert isinstance(error, CancelledError)
    assert error.message == ""
    assert harness.statistics.pending_count == 2
    while harness.executor.state is ExecutorState.BUSY:
        harness.executor.finish()
    assert sorted(harness.answered) == ["r0", "r1", "r2", "r3"]
    assert cancelled.id not in chain.from_iterable(harness.executor.ids)
    assert harness.statistics.failures[FailureReason.CANCELED] == harness.statistics.fail.count == 1
    assert harness.statistics.pending_count == harness.dispatcher.in_flight_count == 0


class TrackedRequest(InferenceRequest):
    """A request that can be watched going away."""


def test_nothing_is_kept_of_a_request_that_was_cancelled_in_the_queue() -> None:
    harness = Harness()
    harness.submit(*requests(2))
    request = TrackedRequest("M", {}, id="cancelled")
    watched = weakref.ref(request)
    harness.submit(request)
    request.cancel()
    del request
    harness.executor.finish()
    harness.executor.finish()
    gc.collect()
    assert watched() is None
    assert harness.answered == ["cancelled", "r0", "r1"]


def test_cancelling_inside_the_answer_to_another_cancellation() -> None:
    harness = Harness()
    _, second, third = queued = requests(3)
    harness.submit(*queued)
    answer_second = second.reply

    def reply(response: InferenceResponse) -> None:
        answer_second(response)
        third.cancel()

    second.reply = reply
    second.cancel()
    harness.executor.finish()
    assert harness.answered == ["r1", "r2", "r0"]
    assert harness.statistics.failures[FailureReason.CANCELED] == 2
    assert harness.statistics.pending_count == harness.dispatcher.in_flight_count == 0


def test_what_is_already_running_is_cancelled_by_the_instance_alone() -> None:
    harness = Harness()
    request = make_request("r0")
    harness.submit(request)
    request.cancel()
    assert harness.answers == []
    harness.executor.finish()
    assert harness.responses("r0")[0].error is None
    assert harness.statistics.success.count == 1


def test_the_instance_is_told_of_a_cancellation_through_its_own_call_back() -> None:
    harness = Harness()
    request = make_request("r0")
    harness.submit(request)
    told: list[str] = []
    request.on_cancel = lambda: told.append("instance")
    request.cancel()
    assert told == ["instance"]
    assert harness.answers == []


def test_a_request_cancelled_before_it_arrives_does_not_run() -> None:
    harness = Harness()
    request = make_request("r0")
    request.cancel()
    harness.submit(request)
    assert harness.executor.ids == []
    assert isinstance(harness.error("r0"), CancelledError)


# Instances that die.


def test_a_dead_worker_fails_its_batch_and_the_queue_waits_for_the_next_worker() -> None:
    harness = Harness()
    harness.submit(*requests(3))
    harness.executor.die()
    assert harness.error("r0").message == "worker died"
    assert harness.answered == ["r0"]
    harness.executor.become(ExecutorState.IDLE)
    assert harness.executor.ids == [["r0"], ["r1"]]


def test_a_worker_that_dies_idle_gets_no_batch_until_it_is_replaced() -> None:
    harness = Harness()
    harness.executor.die()
    harness.submit(make_request("r0"))
    assert harness.executor.ids == []
    harness.executor.become(ExecutorState.IDLE)
    assert harness.executor.ids == [["r0"]]


def test_the_other_instances_take_over() -> None:
    harness = Harness(instance_count=2)
    harness.submit(*requests(4))
    first, second = harness.executors
    first.die(ExecutorState.DOWN)
    second.finish()
    second.finish()
    assert second.ids == [["r1"], ["r2"], ["r3"]]
    assert harness.answered == ["r0", "r1", "r2"]


def test_when_no_worker_starts_again_requests_fail_instead_of_waiting() -> None:
    harness = Harness(instance_count=2)
    harness.submit(*requests(4))
    first, second = harness.executors
    first.die(ExecutorState.DOWN)
    assert harness.answered == ["r0"]
    second.die(ExecutorState.DOWN)
    for name in ("r2", "r3"):
        assert isinstance(harness.error(name), UnavailableError)
        assert harness.error(name).message == (
            f"[request id: {name}] model 'M' cannot run: none of its workers starts again after a failure. The server "
            "keeps trying; ask again later."
        )
    harness.submit(make_request("new"))
    assert isinstance(harness.error("new"), UnavailableError)
    assert harness.statistics.failures[FailureReason.OTHER] == 3
    assert harness.statistics.pending_count == harness.dispatcher.in_flight_count == 0
    second.become(ExecutorState.IDLE)
    harness.submit(make_request("later"))
    assert second.ids == [["r1"], ["later"]]


def test_a_request_cancelled_in_the_queue_is_not_answered_again_when_all_workers_are_down() -> None:
    harness = Harness()
    _, _, last = queued = requests(3)
    harness.submit(*queued)
    last.cancel()
    harness.executor.die(ExecutorState.DOWN)
    assert isinstance(harness.error("r1"), UnavailableError)
    assert isinstance(harness.error("r2"), CancelledError)
    assert harness.dispatcher.in_flight_count == 0
