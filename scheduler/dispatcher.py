"""The driver of a scheduler: connects it to the loop's timers, the instances, the statistics and the clients.

    submit -> scheduler.enqueue -> pump -> executor.execute -> BatchRun -> reply

It alone sets timers; which requests run together is the scheduler's business.
"""

from __future__ import annotations

import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from tritonpy.backends.errors import CancelledError, UnavailableError
from tritonpy.backends.executor import Executor, ExecutorState
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.scheduler.batch_run import BatchRun
from tritonpy.scheduler.response_order import ResponseOrder
from tritonpy.scheduler.scheduler import Dropped, QueueStatistics, Scheduler
from tritonpy.scheduler.statistics import FailureReason, ModelStatistics

NS_PER_S = 1_000_000_000

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
            self._answered_in_queue.add(request)
            self._fail(Dropped(request, CancelledError(""), FailureReason.CANCELED), now_ns)

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
        run = BatchRun(batch, self._decoupled, self._statistics, self._clock_ns, self._deliver)
        executor.execute(batch, run.on_response, run.on_done)

    def _on_state_change(self, executor: Executor) -> None:
        if executor.state is ExecutorState.IDLE:
            if executor not in self._idle:
                self._idle.append(executor)
        elif executor in self._idle:
            self._idle.remove(executor)
        self.pump()

    # Responses go out.

    def _deliver(self, request: InferenceRequest, response: InferenceResponse) -> None:
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
        if dropped.request in self._answered_in_queue:
            self._answered_in_queue.remove(dropped.request)
        else:
            self._fail(dropped, now_ns)

    def _fail(self, dropped: Dropped, now_ns: int) -> None:
        request = dropped.request
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
