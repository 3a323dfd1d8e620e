"""Both executors keep one contract: the same model gives the same answers on a thread and in a worker process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.backends.executor_support import BatchRun, error_text, output, request_of, run
from tests.backends.python.models import DOUBLE, instance_spec, write_model
from tritonpy.backends.contract import ExecutionMode, ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.executor import Executor, ExecutorState
from tritonpy.backends.executors import create_executors, execution_mode

MODES = ("thread", "process")


def spec_in_mode(repository: Path, body: str, mode: str, **config: object) -> ModelSpec:
    return write_model(repository, body, parameters={"EXECUTION": {"string_value": mode}}, **config)


async def started(spec: ModelSpec) -> Executor:
    (executor,) = create_executors(spec, [instance_spec()], asyncio.get_running_loop())
    await executor.start()
    return executor


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_is_answered_in_order(tmp_path: Path, mode: str) -> None:
    async def scenario() -> None:
        executor = await started(spec_in_mode(tmp_path, DOUBLE, mode))
        responses = await run(executor, [1, 2], [3])
        assert [output(response) for response in responses] == [[2, 4], [6]]
        assert executor.state is ExecutorState.IDLE
        await executor.stop()
        assert executor.state is ExecutorState.STOPPED

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", [0, 1, 8_000, 8_193, 200_000, 3_000_000])
def test_tensors_of_every_size_survive(tmp_path: Path, mode: str, count: int) -> None:
    async def scenario() -> None:
        executor = await started(spec_in_mode(tmp_path, DOUBLE, mode))
        values = np.arange(count, dtype=np.float32)
        for _ in range(3):
            (response,) = await run(executor, values)
            assert response is not None
            assert np.array_equal(response.outputs[0].array, values * 2)
        await executor.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", MODES)
def test_an_exception_fails_the_batch_and_the_next_one_works(tmp_path: Path, mode: str) -> None:
    body = """
        class TritonPythonModel:
            def execute(self, requests):
                if pb_utils.get_input_tensor_by_name(requests[0], "X").as_numpy()[0] < 0:
                    raise ValueError("boom")
                return [pb_utils.InferenceResponse([]) for _ in requests]
    """

    async def scenario() -> None:
        executor = await started(spec_in_mode(tmp_path, body, mode))
        responses = await run(executor, [-1], [1])
        expected = (
            "Failed to process the request(s) for model 'm_0', message: ValueError: boom\n\nAt:\n"
            "  m/1/model.py(8): execute\n"
        )
        assert [error_text(response) for response in responses] == [expected, expected]
        (response,) = await run(executor, [1])
        assert response is not None
        assert response.error is None
        await executor.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", MODES)
def test_times_are_in_order(tmp_path: Path, mode: str) -> None:
    async def scenario() -> None:
        executor = await started(spec_in_mode(tmp_path, DOUBLE, mode))
        result = await BatchRun(executor, [request_of([1])]).result
        assert result.start_ns <= result.inputs_ready_ns <= result.outputs_begin_ns <= result.end_ns
        await executor.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", MODES)
def test_a_failed_load_is_told_with_its_place(tmp_path: Path, mode: str) -> None:
    body = """
        class TritonPythonModel:
            def initialize(self, args):
                raise RuntimeError("no weights")
    """

    async def scenario() -> None:
        with pytest.raises(InternalError, match=r"RuntimeError: no weights\n\nAt:\n  m/1/model.py\(7\): initialize"):
            await started(spec_in_mode(tmp_path, body, mode))

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", MODES)
def test_cancellation_reaches_a_running_model(tmp_path: Path, mode: str) -> None:
    body = """
        class TritonPythonModel:
            def execute(self, requests):
                deadline = time.monotonic() + 20
                while not requests[0].is_cancelled() and time.monotonic() < deadline:
                    time.sleep(0.001)
                seen = np.array([requests[0].is_cancelled()], dtype=np.float32)
                return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", seen)])]
    """

    async def scenario() -> None:
        executor = await started(spec_in_mode(tmp_path, body, mode))
        request = request_of([1])
        batch = BatchRun(executor, [request])
        request.cancel()
        assert output((await batch.result).responses[0]) == [1]
        await executor.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", MODES)
def test_a_decoupled_model_answers_after_execute_returned(tmp_path: Path, mode: str) -> None:
    body = """
        import threading

        class TritonPythonModel:
            def execute(self, requests):
                for request in requests:
                    threading.Thread(target=self.answer, args=(request.get_response_sender(),)).start()

            def answer(self, sender):
                for number in range(3):
                    tensor = pb_utils.Tensor("Y", np.array([number], dtype=np.float32))
                    sender.send(pb_utils.InferenceResponse([tensor]))
                sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
    """

    async def scenario() -> None:
        spec = spec_in_mode(tmp_path, body, mode, model_transaction_policy={"decoupled": True})
        executor = await started(spec)
        batch = BatchRun(executor, [request_of([1])])
        assert (await batch.result).responses == [None]
        assert await asyncio.wait_for(batch.finals.get(), 20) == 0
        assert [output(response) for _, response in batch.sent[:-1]] == [[0], [1], [2]]
        assert batch.sent[-1][1].is_empty
        await executor.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", MODES)
def test_a_decoupled_model_that_forgets_the_final_response_does_not_hang_the_client(tmp_path: Path, mode: str) -> None:
    body = """
        class TritonPythonModel:
            def execute(self, requests):
                return None
    """

    async def scenario() -> None:
        spec = spec_in_mode(tmp_path, body, mode, model_transaction_policy={"decoupled": True})
        executor = await started(spec)
        batch = BatchRun(executor, [request_of([1])])
        assert (await batch.result).responses == [None]
        assert await asyncio.wait_for(batch.finals.get(), 20) == 0
        assert "without a final response" in error_text(batch.sent[0][1])
        await executor.stop()

    asyncio.run(scenario())


def test_the_execution_parameter_chooses_where_instances_run(tmp_path: Path) -> None:
    assert execution_mode(write_model(tmp_path, DOUBLE, "a")) is ExecutionMode.PROCESS
    thread = write_model(tmp_path, DOUBLE, "b", parameters={"EXECUTION": {"string_value": "THREAD"}})
    assert execution_mode(thread) is ExecutionMode.THREAD
    wrong = write_model(tmp_path, DOUBLE, "c", parameters={"EXECUTION": {"string_value": "gpu"}})
    with pytest.raises(InvalidArgumentError, match="'EXECUTION' must be 'thread' or 'process' for c, got 'gpu'"):
        execution_mode(wrong)
