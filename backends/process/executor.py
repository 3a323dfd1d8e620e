"""The executor whose instance lives in a worker process, which it replaces when it dies."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tritonpy.backends.contract import BatchResult, Completion, InstanceSpec, ModelSpec
from tritonpy.backends.errors import InternalError, TritonpyError, UnavailableError
from tritonpy.backends.executor import ExecutorState, OnDone, OnResponse, nobody_listens
from tritonpy.backends.process import wire
from tritonpy.backends.process.channel import Message, Packet, encode_packet
from tritonpy.backends.process.connection import WorkerConnection
from tritonpy.backends.process.progress import Progress
from tritonpy.backends.process.shared_memory import BlockPool, PeerBlocks
from tritonpy.backends.request import InferenceRequest, InferenceResponse

FIRST_RESTART_DELAY_S = 0.1
LONGEST_RESTART_DELAY_S = 10.0
# Copying this much into shared memory takes about a millisecond, the longest the event loop may be held.
LOOP_COPY_LIMIT_BYTES = 4 * 1024 * 1024

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Batch:
    """A batch the worker holds. `open` are the requests without final response. `was_sent_again`: another worker died
    before it began with it."""

    requests: Sequence[InferenceRequest]
    on_response: OnResponse
    on_done: OnDone
    start_ns: int
    open: set[int]
    done: bool = False
    was_sent_again: bool = False


class ProcessExecutor:
    """An `Executor` over a worker process.

    When the worker dies, the requests it was running fail with the reason, a batch it had not begun goes to its
    replacement, and it is replaced at once; while replacing fails, the state is DOWN and the next try waits longer each
    time.
    """

    def __init__(self, spec: ModelSpec, instance: InstanceSpec, loop: asyncio.AbstractEventLoop) -> None:
        self.name = instance.name
        self.state = ExecutorState.STARTING
        self.restart_count = 0
        self.on_state_change: Callable[[], None] = nobody_listens
        self._spec = spec
        self._instance = instance
        self._loop = loop
        self._batches: dict[int, _Batch] = {}
        self._next_batch_id = 0
        self._restarting: asyncio.Task[None] | None = None
        self._idle: asyncio.Future[None] | None = None
        self._handlers = {"done": self._on_done, "response": self._on_response}
        self._reset_connection()

    def _reset_connection(self) -> None:
        self._connection = WorkerConnection(self._loop, self._on_packet, self._on_lost)
        self._pool = BlockPool()
        self._peer_blocks = PeerBlocks()
        self._progress: Progress | None = None
        self._loading: asyncio.Future[None] | None = None

    @property
    def process_id(self) -> int:
        """The process id of the current worker; 0 before the first start."""
        return self._connection.process_id

    # Starting and stopping.

    async def start(self) -> None:
        await self._start_worker()
        self.state = ExecutorState.IDLE

    async def _start_worker(self) -> None:
        self._reset_connection()
        self._progress = Progress.create()
        self._loading = self._loop.create_future()
        await self._connection.spawn()
        message: Message = {
            "op": "load",
            "spec": wire.spec_entry(self._spec),
            "instance": wire.instance_entry(self._instance),
        }
        self._connection.send(self._progress.packet(message))
        try:
            await self._loading
        except BaseException:
            self._connection.kill()
            await self._connection.end()
            raise

    async def stop(self) -> None:
        if self._restarting is not None:
            self._restarting.cancel()
        if self._batches:
            self._idle = self._loop.create_future()
            await self._idle
        self.state = ExecutorState.STOPPED
        self._connection.send(encode_packet({"op": "stop"}))
        await self._connection.end()
        self._pool.clear()
        self._peer_blocks.clear()
        self._progress = None

    # Running batches.

    def execute(self, requests: Sequence[InferenceRequest], on_response: OnResponse, on_done: OnDone) -> None:
        assert self.state is ExecutorState.IDLE, f"instance '{self.name}' cannot take a batch: {self.state}"
        self.state = ExecutorState.BUSY
        batch_id = self._next_batch_id
        self._next_batch_id += 1
        batch = _Batch(requests, on_response, on_done, time.monotonic_ns(), set(range(len(requests))))
        self._batches[batch_id] = batch
        for index, request in enumerate(requests):
            request.on_cancel = functools.partial(self._send_cancel, batch_id, index)
        self._send_batch(batch_id, batch)

    def _send_batch(self, batch_id: int, batch: _Batch) -> None:
        writer = wire.TensorWriter()
        message: Message = {
            "op": "execute",
            "batch": batch_id,
            "requests": [wire.request_entry(request, writer) for request in batch.requests],
        }
        if writer.size_bytes > LOOP_COPY_LIMIT_BYTES:
            self._send_large(message, writer)
        else:
            self._send(message, writer.place(self._pool))

    def _send(self, message: Message, placed: wire.PlacedData) -> None:
        if released := self._peer_blocks.take_released():
            message["free"] = released
        self._connection.send(placed.packet(message))

    def _send_large(self, message: Message, writer: wire.TensorWriter) -> None:
        connection = self._connection
        copying = self._loop.run_in_executor(None, writer.place, self._pool)

        def send(done: asyncio.Future[wire.PlacedData]) -> None:
            if connection is self._connection:  # else the worker died meanwhile and the batch has failed
                self._send(message, done.result())

        copying.add_done_callback(send)

    def _send_cancel(self, batch_id: int, index: int) -> None:
        batch = self._batches.get(batch_id)
        if batch is not None and index in batch.open:
            self._connection.send(encode_packet({"op": "cancel", "batch": batch_id, "index": index}))

    # What the worker says.

    def _on_packet(self, packet: Packet) -> None:
        message = packet.message
        for block_id in message.get("free", ()):
            self._pool.release(block_id)
        handler = self._handlers.get(message["op"])
        if handler is not None:
            handler(packet)
        elif self._loading is not None and not self._loading.done():
            if message["op"] == "loaded":
                self._loading.set_result(None)
            else:
                self._loading.set_exception(wire.read_error(message["error"]))

    def _on_response(self, packet: Packet) -> None:
        batch_id, index = packet.message["batch"], packet.message["index"]
        batch = self._batches[batch_id]
        response = wire.read_response(packet.message["response"], wire.tensor_data(packet, self._peer_blocks))
        assert response is not None
        if response.final:
            batch.open.discard(index)
            self._forget_if_complete(batch_id, batch)
        batch.on_response(index, response)

    def _on_done(self, packet: Packet) -> None:
        batch_id = packet.message["batch"]
        batch = self._batches[batch_id]
        data = wire.tensor_data(packet, self._peer_blocks)
        responses = [wire.read_response(entry, data) for entry in packet.message["responses"]]
        batch.open.difference_update(index for index, response in enumerate(responses) if response)
        batch.done = True
        self._forget_if_complete(batch_id, batch)
        self.state = ExecutorState.IDLE
        inputs_ready_ns, outputs_begin_ns = packet.message["times"]
        batch.on_done(BatchResult(responses, batch.start_ns, inputs_ready_ns, outputs_begin_ns, time.monotonic_ns()))
        self.on_state_change()

    def _forget_if_complete(self, batch_id: int, batch: _Batch) -> None:
        if batch.done and not batch.open:
            del self._batches[batch_id]
            self._report_if_idle()

    def _report_if_idle(self) -> None:
        if not self._batches and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    # When the worker dies.

    def _on_lost(self, how: str) -> None:
        error = InternalError(f"Stub process '{self.name}' is not healthy. The worker process {how}.")
        if self._loading is not None and not self._loading.done():
            self._loading.set_exception(error)
            return
        if self.state is ExecutorState.STOPPED:
            return
        logger.error("the worker process of instance '%s' %s; starting another", self.name, how)
        self.state = ExecutorState.STARTING
        self._fail_held_requests(error, self._progress.begun_count if self._progress else 0)
        self._restarting = self._loop.create_task(self._restart())
        self.on_state_change()

    def _fail_held_requests(self, error: TritonpyError, begun_count: int) -> None:
        """Answer everything that the lost worker had begun. A batch it had not begun stays, once, for the next one."""
        batches, self._batches = self._batches, {}
        for batch_id, batch in batches.items():
            if batch_id >= begun_count and not batch.was_sent_again:
                batch.was_sent_again = True
                self._batches[batch_id] = batch
            elif batch.done:
                for index in sorted(batch.open):
                    batch.on_response(index, InferenceResponse(error=error))
            else:
                batch.on_done(self._failed_result(batch, error))
        self._report_if_idle()

    def _failed_result(self, batch: _Batch, error: TritonpyError) -> BatchResult:
        now_ns = time.monotonic_ns()
        responses = [
            InferenceResponse(error=error) if index in batch.open else None for index in range(len(batch.requests))
        ]
        return BatchResult(responses, batch.start_ns, batch.start_ns, now_ns, now_ns)

    async def _restart(self) -> None:
        delay_s = 0.0
        while True:
            await asyncio.sleep(delay_s)
            try:
                await self._start_worker()
            except TritonpyError as error:
                delay_s = min(max(2 * delay_s, FIRST_RESTART_DELAY_S), LONGEST_RESTART_DELAY_S)
                self.state = ExecutorState.DOWN
                self._fail_held_requests(self._cannot_restart(error), begun_count=self._next_batch_id)
                self.on_state_change()
                logger.error("instance '%s' cannot be restarted, trying again in %.1f s: %s", self.name, delay_s, error)
            else:
                break
        self.restart_count += 1
        self.state = ExecutorState.BUSY if self._batches else ExecutorState.IDLE
        for batch_id, batch in self._batches.items():
            self._send_batch(batch_id, batch)
        self.on_state_change()

    def _cannot_restart(self, error: TritonpyError) -> UnavailableError:
        return UnavailableError(
            f"Stub process '{self.name}' is not healthy, and it does not start again: {error.message}"
        )


async def complete_in_process(spec: ModelSpec, loop: asyncio.AbstractEventLoop) -> Completion | None:
    """Ask the model for its configuration in a worker process of its own, which ends afterwards.

    Raises TritonpyError with what the model said, or that the process died.
    """
    answer: asyncio.Future[Completion | None] = loop.create_future()

    def on_packet(packet: Packet) -> None:
        if packet.message["op"] == "completed":
            answer.set_result(wire.read_completion(packet.message["completion"]))
        else:
            answer.set_exception(wire.read_error(packet.message["error"]))

    def on_lost(how: str) -> None:
        if not answer.done():
            answer.set_exception(
                InternalError(f"the process that completes the configuration of model '{spec.name}' {how}")
            )

    connection = WorkerConnection(loop, on_packet, on_lost)
    await connection.spawn()
    connection.send(encode_packet({"op": "complete", "spec": wire.spec_entry(spec)}))
    try:
        return await answer
    finally:
        connection.kill()
        await connection.end()
