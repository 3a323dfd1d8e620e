"""The executor for frameworks that release the interpreter lock: one dedicated thread of the server per instance.

A thread of its own, not a pool: frameworks keep device, stream and inference mode per thread.
"""

from __future__ import annotations

import asyncio
import queue
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tritonpy.backends.contract import BatchResult, Instance, InstanceSpec, Model, ModelSpec
from tritonpy.backends.errors import InternalError, TritonpyError
from tritonpy.backends.executor import ExecutorState, OnDone, OnResponse, nobody_listens
from tritonpy.backends.registry import load_backend
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.run_batch import run_batch


class SharedModel:
    """A model version loaded once, by the first instance thread that needs it."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._lock = threading.Lock()
        self._model: Model | None = None

    def get(self) -> Model:
        """The loaded model; loads it if nobody has. Raises what the backend raises."""
        with self._lock:
            if self._model is None:
                self._model = load_backend(self._spec.backend).load(self._spec)
            return self._model


@dataclass(slots=True)
class _Job:
    requests: Sequence[InferenceRequest]
    on_response: OnResponse
    on_done: OnDone


class ThreadExecutor:
    """An `Executor` whose instance runs on a thread of the server process."""

    def __init__(self, instance: InstanceSpec, model: SharedModel, loop: asyncio.AbstractEventLoop) -> None:
        self.name = instance.name
        self.state = ExecutorState.STARTING
        self.restart_count = 0
        self.on_state_change: Callable[[], None] = nobody_listens
        self._instance_spec = instance
        self._model = model
        self._loop = loop
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._started: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._run, name=f"instance {instance.name}", daemon=True)

    async def start(self) -> None:
        self._thread.start()
        await self._started
        self.state = ExecutorState.IDLE

    def execute(self, requests: Sequence[InferenceRequest], on_response: OnResponse, on_done: OnDone) -> None:
        assert self.state is ExecutorState.IDLE, f"instance '{self.name}' cannot take a batch: {self.state}"
        self.state = ExecutorState.BUSY
        self._jobs.put(_Job(requests, on_response, on_done))

    async def stop(self) -> None:
        self._jobs.put(None)
        if self._thread.is_alive():
            await asyncio.shield(self._ended)
        self.state = ExecutorState.STOPPED

    # On the loop.

    def _finish(self, job: _Job, result: BatchResult) -> None:
        self.state = ExecutorState.IDLE
        job.on_done(result)
        self.on_state_change()

    def _set_started(self, error: TritonpyError | None) -> None:
        if self._started.done():
            return
        if error is None:
            self._started.set_result(None)
        else:
            self._started.set_exception(error)

    def _set_ended(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    # On the instance's thread.

    def _run(self) -> None:
        try:
            instance = self._model.get().create_instance(self._instance_spec)
        except BaseException as error:  # reported to whoever awaits start(), whatever it is
            self._call_on_loop(self._set_started, load_error(error))
        else:
            self._call_on_loop(self._set_started, None)
            self._serve(instance)
            instance.close()
        self._call_on_loop(self._set_ended)

    def _serve(self, instance: Instance) -> None:
        while (job := self._jobs.get()) is not None:
            result = run_batch(self.name, instance, job.requests, self._sender(job.on_response))
            self._call_on_loop(self._finish, job, result)
            del job, result  # let go of the tensors while waiting for the next batch

    def _sender(self, on_response: OnResponse) -> OnResponse:
        def send(index: int, response: InferenceResponse) -> None:
            self._call_on_loop(on_response, index, response)

        return send

    def _call_on_loop(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            # The loop is closed: the server is gone and nobody waits for this any more.
            if not self._loop.is_closed():
                raise


_FOLDERS = re.compile(r"/(?:[^\s/'\"():]+/)+")


def load_error(error: BaseException) -> TritonpyError:
    """What a failed load is reported as: the backend's own error, or one that names type and message, without the
    folders of files in it."""
    if isinstance(error, TritonpyError):
        return error
    return InternalError(_FOLDERS.sub("", f"{type(error).__name__}: {error}"))
