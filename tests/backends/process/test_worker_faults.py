"""What happens to requests, memory and descriptors when worker processes die or misbehave."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.backends.executor_support import BatchRun, error_text, output, request_of, run, wait_for_state
from tests.backends.python.models import DOUBLE, instance_spec, write_model
from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.errors import InternalError, Kind
from tritonpy.backends.executor import ExecutorState
from tritonpy.backends.process.executor import ProcessExecutor, complete_in_process

EXIT_OR_DOUBLE = """
    class TritonPythonModel:
        def execute(self, requests):
            x = pb_utils.get_input_tensor_by_name(requests[0], "X").as_numpy()
            if x[0] == -1:
                os._exit(3)
            if x[0] == -2:
                time.sleep(60)
            return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", x + x)]) for _ in requests]
"""


async def started(spec: ModelSpec) -> ProcessExecutor:
    executor = ProcessExecutor(spec, instance_spec(), asyncio.get_running_loop())
    await executor.start()
    return executor


def test_exit_in_execute_fails_only_what_the_worker_held(tmp_path: Path) -> None:
    async def scenario() -> None:
        executor = await started(write_model(tmp_path, EXIT_OR_DOUBLE))
        responses = await run(executor, [-1], [5])
        text = "Stub process 'm_0' is not healthy. The worker process exited with status 3."
        assert [error_text(response) for response in responses] == [text, text]
        assert responses[0] is not None
        assert responses[0].error is not None
        assert responses[0].error.kind is Kind.INTERNAL
        await wait_for_state(executor, ExecutorState.IDLE)
        assert output((await run(executor, [5]))[0]) == [10]
        assert executor.restart_count == 1
        await executor.stop()

    asyncio.run(scenario())


def test_a_killed_worker_is_replaced_while_idle_and_while_busy(tmp_path: Path) -> None:
    async def scenario() -> None:
        executor = await started(write_model(tmp_path, EXIT_OR_DOUBLE))
        batch = BatchRun(executor, [request_of([-2])])
        await asyncio.sleep(0.05)  # the worker should be inside execute; both cases must end the same
        os.kill(executor.process_id, signal.SIGKILL)
        assert "was killed by SIGKILL" in error_text((await batch.result).responses[0])
        await wait_for_state(executor, ExecutorState.IDLE)
        os.kill(executor.process_id, signal.SIGKILL)
        await wait_for_state(executor, ExecutorState.STARTING)
        await wait_for_state(executor, ExecutorState.IDLE)
        assert output((await run(executor, [2]))[0]) == [4]
        assert executor.restart_count == 2
        await executor.stop()

    asyncio.run(scenario())


def test_a_batch_that_a_dead_worker_never_began_is_run_by_the_next_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        executor = await started(write_model(tmp_path, DOUBLE))
        worker = psutil.Process(executor.process_id)
        worker.suspend()
        batch = BatchRun(executor, [request_of([3]), request_of([4])])
        worker.kill()
        assert [output(response) for response in (await batch.result).responses] == [[6], [8]]
        assert executor.restart_count == 1
        await executor.stop()

    asyncio.run(scenario())


def test_exit_in_initialize_is_a_load_error(tmp_path: Path) -> None:
    body = """
        class TritonPythonModel:
            def initialize(self, args):
                os._exit(7)
    """

    async def scenario() -> None:
        with pytest.raises(InternalError, match=r"Stub process 'm_0' is not healthy\. .* exited with status 7"):
            await started(write_model(tmp_path, body))

    asyncio.run(scenario())


def test_a_model_that_cannot_start_again_is_tried_with_growing_delay(tmp_path: Path) -> None:
    body = """
        class TritonPythonModel:
            def initialize(self, args):
                flag = os.path.join(args["model_repository"], "started")
                if os.path.exists(flag) and not os.path.exists(flag + ".mended"):
                    raise RuntimeError("still broken")
                open(flag, "w").close()

            def execute(self, requests):
                os._exit(1)
    """

    async def scenario() -> None:
        executor = await started(write_model(tmp_path, body))
        await run(executor, [1])
        await wait_for_state(executor, ExecutorState.DOWN)
        (tmp_path / "m" / "started.mended").touch()
        await wait_for_state(executor, ExecutorState.IDLE)
        await executor.stop()

    asyncio.run(scenario())


def test_nothing_is_left_after_stop(tmp_path: Path) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: None)
        me = psutil.Process()
        await cycle(write_model(tmp_path, DOUBLE, "warmup"))
        gc.collect()  # what other tests of this process left behind must not go away in between
        descriptors, children = me.num_fds(), len(me.children())
        for number in range(3):
            await cycle(write_model(tmp_path, DOUBLE, f"m{number}"))
        assert (me.num_fds(), len(me.children())) == (descriptors, children)

    async def cycle(spec: ModelSpec) -> None:
        executor = await started(spec)
        await run(executor, [1.0] * 100_000)
        await executor.stop()

    asyncio.run(scenario())


def test_shared_blocks_are_used_again_and_all_come_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        executor = await started(write_model(tmp_path, DOUBLE))
        for _ in range(20):
            await run(executor, [1.0] * 100_000)
        await run(executor, [1.0])
        assert executor._pool.lent_count == 0
        assert executor._pool.created_count <= 2
        await executor.stop()

    asyncio.run(scenario())


def test_a_model_may_keep_an_input_without_it_being_overwritten(tmp_path: Path) -> None:
    body = """
        class TritonPythonModel:
            def initialize(self, args):
                self.kept = None

            def execute(self, requests):
                x = pb_utils.get_input_tensor_by_name(requests[0], "X").as_numpy()
                if self.kept is None:
                    self.kept = x
                return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", self.kept)])]
    """

    async def scenario() -> None:
        executor = await started(write_model(tmp_path, body))
        for number in range(5):
            (response,) = await run(executor, [number] * 50_000)
            assert set(output(response)) == {0}
        await executor.stop()

    asyncio.run(scenario())


def test_messages_larger_than_a_packet_arrive(tmp_path: Path) -> None:
    body = """
        class TritonPythonModel:
            def execute(self, requests):
                raise ValueError(requests[0].request_id())
    """

    async def scenario() -> None:
        executor = await started(write_model(tmp_path, body))
        request = request_of([1.0] * 4000, id="x" * 300_000)
        result = await BatchRun(executor, [request]).result
        assert "x" * 300_000 in error_text(result.responses[0])
        await executor.stop()

    asyncio.run(scenario())


def test_auto_complete_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    body = """
        class TritonPythonModel:
            @staticmethod
            def auto_complete_config(config):
                config.set_max_batch_size(4)
                config.set_dynamic_batching()
                config.add_output({"name": "PID", "data_type": "TYPE_INT64", "dims": [1]})
                config.add_input({"name": str(os.getpid()), "data_type": "TYPE_INT64", "dims": [1]})
                return config
    """

    async def scenario() -> None:
        completion = await complete_in_process(write_model(tmp_path, body), asyncio.get_running_loop())
        assert completion is not None
        assert completion.max_batch_size == 4
        assert completion.dynamic_batching
        assert completion.inputs is not None
        assert completion.inputs[-1].name != str(os.getpid())
        assert completion.outputs is not None
        assert [spec.name for spec in completion.outputs] == ["Y", "PID"]

    asyncio.run(scenario())


def test_a_process_that_dies_while_completing_is_reported(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(InternalError, match=r"completes the configuration of model 'm' exited with status 5"):
            await complete_in_process(write_model(tmp_path, "os._exit(5)"), asyncio.get_running_loop())

    asyncio.run(scenario())
