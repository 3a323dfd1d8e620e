"""What becomes of the responses of a batch: early, late, too many, out of order."""

from __future__ import annotations

import pytest

from tests.scheduler.batcher_cases import MAX_2, MAX_8, requests, with_timeout
from tests.scheduler.fake_executor import Harness
from tests.scheduler.fakes import make_request
from tritonpy.backends.errors import InternalError
from tritonpy.backends.executor import ExecutorState
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.response_order import ResponseOrder


def error_response(message: str = "bad") -> InferenceResponse:
    return InferenceResponse(error=InternalError(message))


# Responses.


def test_a_decoupled_request_gets_its_responses_as_they_come_and_the_instance_goes_on() -> None:
    harness = Harness(decoupled=True)
    harness.submit(*requests(2))
    partial, last = InferenceResponse(final=False), InferenceResponse()
    harness.executor.send(0, partial)
    harness.executor.finish(None)
    assert harness.executor.ids == [["r0"], ["r1"]]
    assert harness.dispatcher.in_flight_count == 2
    harness.executor.send(0, last, batch=0)
    assert harness.responses("r0") == [partial, last]
    assert harness.dispatcher.in_flight_count == 1


def test_responses_to_the_requests_of_a_decoupled_batch_may_come_in_any_order() -> None:
    harness = Harness(DynamicBatcher(MAX_8), decoupled=True)
    harness.submit(*requests(3))
    harness.executor.finish(None)
    harness.executor.finish(None, None)
    harness.executor.send(1, InferenceResponse())
    harness.executor.send(0, InferenceResponse(final=False))
    harness.executor.send(0, InferenceResponse())
    assert harness.answered == ["r2", "r1", "r1"]
    harness.executor.send(0, InferenceResponse(), batch=0)
    assert harness.dispatcher.in_flight_count == 0


def test_a_sender_may_answer_after_the_batch_is_done() -> None:
    harness = Harness()
    harness.submit(make_request("r0"))
    harness.executor.finish(None)
    assert harness.answers == []
    harness.executor.send(0, InferenceResponse())
    assert len(harness.responses("r0")) == 1
    assert harness.statistics.success.count == 1


def test_the_first_response_of_a_model_that_is_not_decoupled_is_its_last() -> None:
    harness = Harness()
    harness.submit(make_request("r0"))
    harness.executor.send(0, InferenceResponse(final=False))
    (response,) = harness.responses("r0")
    assert response.final
    assert harness.dispatcher.in_flight_count == 0


def test_a_second_response_is_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness()
    harness.submit(make_request("r0"))
    harness.executor.send(0, InferenceResponse())
    harness.executor.send(0, error_response())
    harness.executor.finish(error_response())
    assert len(harness.answers) == 1
    assert caplog.messages == ["model 'M' sent a response after the last one of a request"] * 2
    assert harness.statistics.success.count == 1
    assert harness.statistics.fail.count == 0


def test_a_separate_end_mark_after_the_only_response_is_nothing_to_complain_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = Harness()
    harness.submit(make_request("r0"))
    harness.executor.send(0, InferenceResponse(final=False))
    harness.executor.send(0, InferenceResponse(final=True))
    harness.executor.finish(None)
    assert len(harness.answers) == 1
    assert caplog.messages == []


def test_what_a_finished_batch_returns_ends_its_requests() -> None:
    harness = Harness(decoupled=True)
    harness.submit(make_request("r0"))
    harness.executor.finish(InferenceResponse(final=False))
    assert harness.responses("r0")[0].final
    assert harness.dispatcher.in_flight_count == 0


def test_responses_are_finished_before_they_leave() -> None:
    finished: list[tuple[str, InferenceResponse]] = []

    def finish(request: InferenceRequest, response: InferenceResponse) -> None:
        finished.append((request.id, response))

    harness = Harness(DynamicBatcher(MAX_8), finish_response=finish)
    harness.submit(*requests(3))
    good = InferenceResponse([make_request().inputs["IN"]])
    harness.executor.finish(good)
    harness.executor.finish(error_response(), InferenceResponse())
    assert finished == [("r0", good)]
    assert harness.answered == ["r0", "r1", "r2"]


# Order of responses.


def test_d14_answers_leave_in_the_order_of_requests_across_instances() -> None:
    harness = Harness(DynamicBatcher(MAX_2), instance_count=2, response_order=ResponseOrder())
    slow, fast = harness.executors
    harness.submit(*requests(3))
    fast.finish()
    fast.finish()
    assert harness.answers == []
    assert harness.dispatcher.in_flight_count == 3
    slow.finish()
    assert harness.answered == ["r0", "r1", "r2"]


def test_without_ordering_answers_leave_as_they_come() -> None:
    harness = Harness(DynamicBatcher(MAX_2), instance_count=2)
    harness.submit(*requests(2))
    harness.executors[1].finish()
    assert harness.answered == ["r1"]


def test_errors_keep_their_place_and_dropped_requests_do_not_wait_for_one() -> None:
    harness = Harness(DynamicBatcher(with_timeout(MAX_2, 100)), instance_count=2, response_order=ResponseOrder())
    slow, fast = harness.executors
    harness.submit(*requests(3))
    fast.fail(InternalError("failed"))
    harness.submit(make_request("late"))
    harness.time.move_to(50)
    slow_batch, fast_batch = slow.ids, fast.ids
    assert (slow_batch, fast_batch) == ([["r0"]], [["r1"], ["r2"]])
    harness.time.move_to(100)
    assert harness.answered == ["late"]
    slow.die(ExecutorState.DOWN)
    assert harness.answered == ["late", "r0", "r1"]
    assert harness.error("r0").message == "worker died"
    assert harness.error("r1").message == "failed"


def test_a_decoupled_stream_holds_later_answers_back_until_it_ends() -> None:
    harness = Harness(DynamicBatcher(MAX_2), instance_count=2, decoupled=True, response_order=ResponseOrder())
    first, second = harness.executors
    harness.submit(*requests(2))
    second.finish()
    first.send(0, InferenceResponse(final=False))
    first.finish(None)
    assert harness.answered == ["r0"]
    first.send(0, InferenceResponse())
    assert harness.answered == ["r0", "r0", "r1"]
