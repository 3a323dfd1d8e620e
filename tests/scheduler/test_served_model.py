"""A model version as front ends see it: submit, the shapes that clients get back, and the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from google.protobuf import text_format

from tests.scheduler.fake_executor import FakeExecutor, FakeTime
from tests.scheduler.fakes import make_request, make_tensor
from tritonpy.backends.errors import InternalError, InvalidArgumentError, UnavailableError
from tritonpy.backends.executor import ExecutorState
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.protos import datatypes
from tritonpy.protos.generated import model_config_pb2
from tritonpy.scheduler.served_model import ServedModel

T = TypeVar("T")

IN = TensorSpec("IN", datatypes.INT32, (1,))
OUT = TensorSpec("OUT", datatypes.INT32, (-1, 2), reshape=(2, -1))
SIGNATURE = ModelSignature(4, (IN,), (OUT,))
STOPPING = "Server is stopping, scheduler for model has stopped accepting new inference requests"


class Served:
    """A served model over one fake instance, and the answers that came."""

    def __init__(self, config_text: str = "", signature: ModelSignature = SIGNATURE, instance_count: int = 1) -> None:
        config = text_format.Parse(f"name: 'M' max_batch_size: 4 {config_text}", model_config_pb2.ModelConfig())
        self.executors = [FakeExecutor(FakeTime(), f"M_0_{number}") for number in range(instance_count)]
        self.executor = self.executors[0]
        self.model = ServedModel(3, config, b"{}", signature, self.executors, labels={"OUT": ["cat"]})
        self.answers: list[InferenceResponse] = []

    def submit(self, request: InferenceRequest) -> InferenceRequest:
        self.model.submit(request, self.answers.append)
        return request


def on_loop(test: Callable[[], Awaitable[T]]) -> T:
    async def run() -> T:
        return await asyncio.wait_for(test(), 20)

    return asyncio.run(run())


async def let_others_run() -> None:
    """Let every task go on until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


# Submit.


def test_it_says_what_it_is() -> None:
    async def test() -> None:
        model = Served("model_transaction_policy { decoupled: true }").model
        assert (model.name, model.version, model.decoupled, model.config_json) == ("M", 3, True, b"{}")
        assert model.labels == {"OUT": ["cat"]}
        assert model.in_flight_count == 0

    on_loop(test)


def test_a_request_is_stamped_and_answered() -> None:
    async def test() -> None:
        served = Served()
        before_ns = time.monotonic_ns()
        request = served.submit(make_request(size=2))
        assert before_ns <= request.arrival_ns <= request.queue_start_ns <= time.monotonic_ns()
        assert (request.model_version, request.batch_size) == (3, 2)
        assert served.model.in_flight_count == 1
        served.executor.finish()
        assert len(served.answers) == 1
        assert served.model.in_flight_count == 0
        assert served.model.statistics.inference_count == 2

    on_loop(test)


def test_a_request_that_does_not_fit_is_refused_and_counted_nowhere() -> None:
    async def test() -> None:
        served = Served()
        with pytest.raises(InvalidArgumentError, match="batch-size must be <= 4"):
            served.submit(make_request(size=5))
        assert not served.answers
        assert not served.executor.batches
        assert served.model.in_flight_count == served.model.statistics.fail.count == 0

    on_loop(test)


def test_a_full_queue_refuses_and_counts_nothing() -> None:
    async def test() -> None:
        served = Served("dynamic_batching { default_queue_policy { max_queue_size: 1 } }")
        served.submit(make_request("r0"))
        served.submit(make_request("r1"))
        with pytest.raises(UnavailableError) as caught:
            served.submit(make_request("r2"))
        assert caught.value.message == "[request id: r2] Exceeds maximum queue size"
        assert served.model.in_flight_count == 2
        assert served.model.statistics.fail.count == 0

    on_loop(test)


def test_the_scheduler_of_the_configuration_is_used() -> None:
    async def test() -> None:
        merging, plain = Served("dynamic_batching {}"), Served()
        for served in (merging, plain):
            for number in range(3):
                served.submit(make_request(f"r{number}"))
            served.executor.finish()
        assert merging.executor.ids == [["r0"], ["r1", "r2"]]
        assert plain.executor.ids == [["r0"], ["r1"]]

    on_loop(test)


def test_ordering_is_kept_where_the_configuration_asks_for_it() -> None:
    async def test() -> None:
        kept = Served("dynamic_batching { preserve_ordering: true }", instance_count=2)
        free = Served("dynamic_batching {}", instance_count=2)
        for served in (kept, free):
            served.submit(make_request("r0"))
            served.submit(make_request("r1"))
            served.executors[1].finish()
        assert (len(kept.answers), len(free.answers)) == (0, 1)
        kept.executor.finish()
        assert len(kept.answers) == 2

    on_loop(test)


@pytest.mark.parametrize("decoupled", [True, False])
def test_only_decoupled_models_send_more_than_one_response(decoupled: bool) -> None:
    async def test() -> None:
        served = Served("model_transaction_policy { decoupled: true }" if decoupled else "")
        served.submit(make_request())
        for final in (False, False, True):
            served.executor.send(0, InferenceResponse([make_tensor("OUT", (1, 2, 1))], final=final))
        assert [answer.final for answer in served.answers] == ([False, False, True] if decoupled else [True])

    on_loop(test)


def test_responses_are_reshaped_on_their_way() -> None:
    async def test() -> None:
        served = Served()
        served.submit(make_request())
        served.executor.finish(InferenceResponse([make_tensor("OUT", (1, 2, 3))]))
        assert served.answers[0].outputs[0].shape == (1, 3, 2)

    on_loop(test)


# The end.


def test_stopping_refuses_new_requests_and_waits_for_the_others() -> None:
    async def test() -> None:
        served = Served()
        served.submit(make_request("running"))
        served.submit(make_request("queued"))
        stopping = asyncio.ensure_future(served.model.stop())
        await let_others_run()
        with pytest.raises(UnavailableError) as caught:
            served.submit(make_request("X"))
        assert caught.value.message == f"[request id: X] {STOPPING}"
        with pytest.raises(UnavailableError, match=r"^\[request id: <id_unknown>\] Server is stopping"):
            served.submit(make_request(""))
        served.executor.finish()
        await let_others_run()
        assert not stopping.done()
        assert served.executor.stop_count == 0
        served.executor.finish()
        await stopping
        assert served.executor.state is ExecutorState.STOPPED
        assert served.executor.ids == [["running"], ["queued"]]
        assert len(served.answers) == 2

    on_loop(test)


def test_stopping_waits_for_a_stream_whose_batch_is_done() -> None:
    async def test() -> None:
        served = Served("model_transaction_policy { decoupled: true }")
        served.submit(make_request())
        served.executor.finish(None)
        stopping = asyncio.ensure_future(served.model.stop())
        await let_others_run()
        assert not stopping.done()
        served.executor.send(0, InferenceResponse())
        await stopping

    on_loop(test)


def test_stopping_an_idle_model_stops_every_instance() -> None:
    async def test() -> None:
        served = Served(instance_count=3)
        await served.model.stop()
        assert [executor.stop_count for executor in served.executors] == [1, 1, 1]

    on_loop(test)


def test_requests_that_fail_or_are_cancelled_do_not_hold_up_the_end() -> None:
    async def test() -> None:
        served = Served()
        served.submit(make_request("running"))
        queued = served.submit(make_request("queued"))
        stopping = asyncio.ensure_future(served.model.stop())
        await let_others_run()
        queued.cancel()
        served.executor.fail(InternalError("raised"))
        await stopping
        assert len(served.answers) == 2

    on_loop(test)


def test_refusing_comes_before_waiting() -> None:
    async def test() -> None:
        served = Served()
        served.submit(make_request())
        served.model.refuse_new_requests()
        with pytest.raises(UnavailableError, match=STOPPING):
            served.submit(make_request())
        served.executor.finish()
        assert len(served.answers) == 1
        assert served.executor.state is ExecutorState.IDLE

    on_loop(test)


def test_the_delay_of_a_batch_runs_on_the_loops_timers() -> None:
    async def test() -> None:
        served = Served("dynamic_batching { max_queue_delay_microseconds: 1000 }")
        ran = asyncio.Event()
        served.executor.on_execute = ran.set
        served.submit(make_request("r0"))
        assert served.executor.ids == []
        await ran.wait()
        assert served.executor.ids == [["r0"]]

    on_loop(test)
