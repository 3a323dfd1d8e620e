"""The driver of a scheduler: connects it to the loop's timers, the instances, the statistics and the clients.

    submit -> scheduler.enqueue -> pump -> executor.execute -> BatchRun -> reply

It alone asks the clock and sets timers; which requests run together is the scheduler's business.
"""

from __future__ import annotations

import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from tritonpy.backends.contract import BatchResult
from tritonpy.backends.errors import CancelledError, UnavailableError
from tritonpy.backends.executor import Executor, ExecutorState
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.scheduler.response_order import ResponseOrder
from tritonpy.scheduler.scheduler import Dropped, QueueStatistics, Scheduler
from tritonpy.scheduler.statistics import FailureReason, ModelStatistics

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

logger = logging.getLogger(__name__)


class Timer(Protocol):
    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], Timer]
"""Calls a function after some seconds, like `loop.call_later`."""

FinishResponse = Callable[[InferenceRequest, InferenceResponse], None]
"""Gives a response of the backend the form that clients see."""


class Dispatcher:
    """Runs the requests of one model version on its instances. Everything happens on the event loop.

    `decoupled` is whether a request may have any number of responses instead of exactly one. `on_drained` is called
    whenever the last request in flight has been answered.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        executors: Sequence[Executor],
        statistics: ModelStatistics,
        call_later: CallLater,
        *,
        decoupled: bool = False,
        response_order: ResponseOrder | None = None,
        finish_response: FinishResponse | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._scheduler = scheduler
        self._executors = executors
        self._statistics = statistics
        self._call_later = call_later
        self._decoupled = decoupled
        self._response_order = response_order
        self._finish_response = finish_response
        self._clock_ns = clock_ns
        self._idle = deque(executor for executor in executors if executor.state is ExecutorState.IDLE)
        self._timer: Timer | None = None
        self._timer_ns = 0
        self._answered_in_queue: set[InferenceRequest] = set()
        self.in_flight_count = 0
        self.on_drained: Callable[[], None] | None = None
        for executor in executors:
            executor.on_state_change = functools.partial(self._on_state_change, executor)

    # Requests come in.

    def submit(self, request: InferenceRequest) -> None:
        """Queue an admitted request, and run it now if an instance is idle. Raises UnavailableError if the queue
        is full."""
        now_ns = self._clock_ns()
        self._scheduler.enqueue(request, now_ns)
        self.in_flight_count += 1
        self._statistics.pending_count += 1
        request.on_cancel = functools.partial(self._cancel, request)
        self._pump(now_ns)

    def pump(self) -> None:
        """Run what can be run now, answer what will not be run, and see to being called again in time."""
        self._pump(self._clock_ns())

    def _pump(self, now_ns: int) -> None:
        scheduler = self._scheduler
        while self._idle:
            batch = scheduler.next_batch(now_ns)
            if not batch:
                break
            self._run(self._idle.popleft(), batch)
        for dropped in scheduler.take_dropped(now_ns):
            self._drop(dropped, now_ns)
        if not self._idle and scheduler.waiting_count and self._all_down():
            self._fail_waiting(now_ns)
        self._set_timer(scheduler.wakeup_ns(), now_ns)

    def _cancel(self, request: InferenceRequest) -> None:
        """The client of a queued request gave up. Schedulers drop it when they come across it; behind others that
        may take long, so it is answered now, and what the scheduler says of it later is not passed on."""
        now_ns = self._clock_ns()
        self._pump(now_ns)
        if request.on_cancel is not None:
            self._drop(Dropped(request, CancelledError(""), FailureReason.CANCELED), now_ns)
            self._answered_in_queue.add(request)

    def _set_timer(self, wakeup_ns: int | None, now_ns: int) -> None:
        if self._timer is not None:
            if wakeup_ns == self._timer_ns:
                return
            self._timer.cancel()
            self._timer = None
        if wakeup_ns is not None:
            self._timer_ns = wakeup_ns
            self._timer = self._call_later(max(0, wakeup_ns - now_ns) / NS_PER_S, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.pump()

    def queue_statistics(self) -> QueueStatistics:
        """How many requests wait, and for how long."""
        return self._scheduler.statistics(self._clock_ns())

    # Batches run.

    def _run(self, executor: Executor, batch: list[InferenceRequest]) -> None:
        self._statistics.pending_count -= len(batch)
        for request in batch:
            request.on_cancel = None
            if self._response_order is not None:
                self._response_order.reserve(request)
        run = BatchRun(self, batch, self._decoupled)
        executor.execute(batch, run.on_response, run.on_done)

    def _on_state_change(self, executor: Executor) -> None:
        if executor.state is ExecutorState.IDLE:
            if executor not in self._idle:
                self._idle.append(executor)
        elif executor in self._idle:
            self._idle.remove(executor)
        self.pump()

    def record_execution(self, batch: Sequence[InferenceRequest], result: BatchResult) -> None:
        """Count a batch that an instance has finished."""
        batch_size = sum(request.batch_size for request in batch)
        self._statistics.record_execution(batch_size, result, time.time_ns() // NS_PER_MS)

    def record_request(self, request: InferenceRequest, result: BatchResult, failed: bool) -> None:
        """Count a request that has had its last response."""
        now_ns = self._clock_ns()
        if failed:
            self._statistics.record_failure(request, FailureReason.BACKEND, now_ns)
        else:
            self._statistics.record_success(request, result, now_ns)

    # Responses go out.

    def deliver(self, request: InferenceRequest, response: InferenceResponse) -> None:
        """Answer `request`, or hold the response back until those before it have left."""
        if self._finish_response is not None and response.outputs:
            self._finish_response(request, response)
        if self._response_order is None:
            self._reply(request, response)
            return
        for next_request, next_response in self._response_order.release(request, response):
            self._reply(next_request, next_response)

    def _reply(self, request: InferenceRequest, response: InferenceResponse) -> None:
        try:
            request.reply(response)
        except Exception:  # a front end's fault must not keep other requests from their answers
            logger.exception("a response of model '%s' could not be handed to its front end", request.model_name)
        if response.final:
            self.in_flight_count -= 1
            if not self.in_flight_count and self.on_drained is not None:
                self.on_drained()

    def _drop(self, dropped: Dropped, now_ns: int) -> None:
        request = dropped.request
        if request in self._answered_in_queue:
            self._answered_in_queue.remove(request)
            return
        request.on_cancel = None
        self._statistics.pending_count -= 1
        self._statistics.record_failure(request, dropped.reason, now_ns)
        self._reply(request, InferenceResponse(error=dropped.error))

    def _all_down(self) -> bool:
        return all(executor.state is ExecutorState.DOWN for executor in self._executors)

    def _fail_waiting(self, now_ns: int) -> None:
        for request in self._scheduler.drain():
            error = UnavailableError(
                f"{request.id_prefix}model '{request.model_name}' cannot run: none of its workers starts again after "
                "a failure. The server keeps trying; ask again later."
            )
            self._drop(Dropped(request, error, FailureReason.OTHER), now_ns)


class BatchRun:
    """One batch on an instance: what has come back so far, and what it counts as.

    Responses may come one by one, before or after the batch is done (decoupled models, response senders). A
    request is counted when both its last response and the times of its batch are known. The first response to a
    request of a model that is not decoupled is its last, whatever the instance says.
    """

    __slots__ = ("_batch", "_decoupled", "_dispatcher", "_failed", "_finished", "_result")

    def __init__(self, dispatcher: Dispatcher, batch: Sequence[InferenceRequest], decoupled: bool) -> None:
        self._dispatcher = dispatcher
        self._batch = batch
        self._decoupled = decoupled
        self._result: BatchResult | None = None
        self._finished: set[int] = set()
        self._failed: set[int] = set()

    def on_response(self, index: int, response: InferenceResponse) -> None:
        """A response that the instance sent by itself."""
        self._take(index, response, response.final or not self._decoupled)

    def on_done(self, result: BatchResult) -> None:
        """The instance has finished the batch; the responses that it returned are last ones."""
        self._result = result
        self._dispatcher.record_execution(self._batch, result)
        for index in sorted(self._finished):
            self._record(index, result)
        for index, response in enumerate(result.responses):
            if response is not None:
                self._take(index, response, final=True)

    def _take(self, index: int, response: InferenceResponse, final: bool) -> None:
        request = self._batch[index]
        if index in self._finished:
            if not response.is_empty:  # an empty one only says again that the request has ended
                logger.warning("model '%s' sent a response after the last one of a request", request.model_name)
            return
        response.final = final
        if response.error is not None:
            self._failed.add(index)
        if final:
            self._finished.add(index)
            if self._result is not None:
                self._record(index, self._result)
        self._dispatcher.deliver(request, response)

    def _record(self, index: int, result: BatchResult) -> None:
        self._dispatcher.record_request(self._batch[index], result, index in self._failed)
