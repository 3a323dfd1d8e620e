"""Runs batches on an executor and waits for what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from tritonpy.backends.contract import BatchResult
from tritonpy.backends.executor import Executor, ExecutorState
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.tensor import Tensor


def request_of(values: Any, **fields: Any) -> InferenceRequest:
    """A request with the FP32 input X."""
    tensor = Tensor.from_array("X", np.asarray(values, dtype=np.float32))
    return InferenceRequest("m", {"X": tensor}, **fields)


class BatchRun:
    """One batch on its way: the result, and the responses that came apart from it."""

    def __init__(self, executor: Executor, requests: Sequence[InferenceRequest]) -> None:
        loop = asyncio.get_running_loop()
        self.result: asyncio.Future[BatchResult] = loop.create_future()
        self.sent: list[tuple[int, InferenceResponse]] = []
        self.finals: asyncio.Queue[int] = asyncio.Queue()
        executor.execute(requests, self._on_response, self.result.set_result)

    def _on_response(self, index: int, response: InferenceResponse) -> None:
        self.sent.append((index, response))
        if response.final:
            self.finals.put_nowait(index)


async def run(executor: Executor, *values: Any) -> list[InferenceResponse | None]:
    """The responses of a batch with one request for each of `values`."""
    return list((await BatchRun(executor, [request_of(value) for value in values]).result).responses)


async def wait_for_state(executor: Executor, state: ExecutorState) -> None:
    """Wait until the executor says that it is in `state`."""
    changed = asyncio.Event()
    executor.on_state_change = changed.set
    while executor.state is not state:
        await asyncio.wait_for(changed.wait(), 20)
        changed.clear()


def output(response: InferenceResponse | None) -> list[float]:
    """The only output of a good response."""
    assert response is not None
    assert response.error is None, response.error
    values: list[float] = response.outputs[0].array.tolist()
    return values


def error_text(response: InferenceResponse | None) -> str:
    assert response is not None
    assert response.error is not None
    return response.error.message
