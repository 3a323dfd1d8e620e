"""Chooses where a model's instances run, and makes their executors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tritonpy.backends.contract import Completion, ExecutionMode, InstanceSpec, ModelSpec
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.executor import Executor
from tritonpy.backends.process.executor import ProcessExecutor, complete_in_process
from tritonpy.backends.registry import find_backend, load_backend
from tritonpy.backends.thread_executor import SharedModel, ThreadExecutor

EXECUTION_PARAMETER = "EXECUTION"


def execution_mode(spec: ModelSpec) -> ExecutionMode:
    """Where the instances of a model run: the config parameter `EXECUTION` (`thread` or `process`), else the
    backend's default. Raises InvalidArgumentError for another value, and what `find_backend` raises."""
    entry = find_backend(spec.backend)
    value = spec.parameters.get(EXECUTION_PARAMETER)
    if value is None:
        return entry.default_execution
    try:
        return ExecutionMode(value.lower())
    except ValueError:
        raise InvalidArgumentError(
            f"parameter '{EXECUTION_PARAMETER}' must be 'thread' or 'process' for {spec.name}, got '{value}'"
        ) from None


def create_executors(
    spec: ModelSpec, instances: Sequence[InstanceSpec], loop: asyncio.AbstractEventLoop
) -> list[Executor]:
    """One executor for each instance of a model version; they share the loaded model where they share a process.
    Nothing is loaded before their `start`."""
    if execution_mode(spec) is ExecutionMode.PROCESS:
        return [ProcessExecutor(spec, instance, loop) for instance in instances]
    model = SharedModel(spec)
    return [ThreadExecutor(instance, model, loop) for instance in instances]


async def complete(spec: ModelSpec, loop: asyncio.AbstractEventLoop) -> Completion | None:
    """What the model file says about its configuration, asked where its instances would run: on a thread, or in
    a worker process that ends afterwards. Raises TritonpyError when the two contradict each other."""
    if execution_mode(spec) is ExecutionMode.PROCESS:
        return await complete_in_process(spec, loop)
    return await loop.run_in_executor(None, lambda: load_backend(spec.backend).complete(spec))
