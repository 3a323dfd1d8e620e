"""Instances, a clock and timers that tests move by hand, and a dispatcher on top of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.scheduler.fakes import NS_PER_MS
from tritonpy.backends.contract import BatchResult
from tritonpy.backends.errors import InternalError, TritonpyError
from tritonpy.backends.executor import ExecutorState, OnDone, OnResponse
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.scheduler.default_scheduler import DefaultScheduler
from tritonpy.scheduler.dispatcher import Dispatcher, FinishResponse
from tritonpy.scheduler.response_order import ResponseOrder
from tritonpy.scheduler.scheduler import Scheduler
from tritonpy.scheduler.statistics import ModelStatistics

INPUT_NS, OUTPUT_NS = 1000, 2000
"""What a fake batch takes before and after the model runs; the model itself takes as long as the test lets it."""


@dataclass(slots=True, eq=False)
class FakeTimer:
    """A timer; `due_ns` is when its function is to be called."""

    due_ns: int
    function: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass(slots=True)
class FakeTime:
    """The clock, and the timers that were set on it."""

    now_ns: int = 0
    timers: list[FakeTimer] = field(default_factory=list)

    def clock_ns(self) -> int:
        return self.now_ns

    def call_later(self, delay_s: float, function: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.now_ns + round(delay_s * 1_000_000_000), function)
        self.timers.append(timer)
        return timer

    @property
    def armed(self) -> list[float]:
        """When timers will fire, in ms."""
        return [timer.due_ns / NS_PER_MS for timer in self.timers if not timer.cancelled]

    def move_to(self, time_ms: float) -> None:
        """Go on to a time, and call what is due on the way."""
        target_ns = round(time_ms * NS_PER_MS)
        while due := [timer for timer in self.timers if not timer.cancelled and timer.due_ns <= target_ns]:
            timer = min(due, key=lambda each: each.due_ns)
            self.timers.remove(timer)
            self.now_ns = max(self.now_ns, timer.due_ns)
            timer.function()
        self.now_ns = target_ns


@dataclass(slots=True)
class FakeBatch:
    """A batch that an executor was given."""

    requests: Sequence[InferenceRequest]
    on_response: OnResponse
    on_done: OnDone
    start_ns: int

    @property
    def ids(self) -> list[str]:
        return [request.id for request in self.requests]


class FakeExecutor:
    """An `Executor` that does what the test says. `batches` are all it was given, in order; their requests' ids are
    added to `started`, which executors may share."""

    def __init__(self, time: FakeTime, name: str = "M_0_0", started: list[str] | None = None) -> None:
        self.name = name
        self.state = ExecutorState.IDLE
        self.restart_count = 0
        self.on_state_change: Callable[[], None] = lambda: None
        self.on_execute: Callable[[], None] = lambda: None
        self.batches: list[FakeBatch] = []
        self.stop_count = 0
        self._time = time
        self._started = [] if started is None else started

    async def start(self) -> None:
        self.state = ExecutorState.IDLE

    async def stop(self) -> None:
        self.stop_count += 1
        self.state = ExecutorState.STOPPED

    def execute(self, requests: Sequence[InferenceRequest], on_response: OnResponse, on_done: OnDone) -> None:
        assert self.state is ExecutorState.IDLE, "a batch was sent to an instance that is not idle"
        assert requests, "an empty batch was sent"
        self.state = ExecutorState.BUSY
        self.batches.append(FakeBatch(tuple(requests), on_response, on_done, self._time.now_ns))
        self._started += self.batches[-1].ids
        self.on_execute()

    @property
    def ids(self) -> list[list[str]]:
        """The requests of each batch."""
        return [batch.ids for batch in self.batches]

    def send(self, index: int, response: InferenceResponse, batch: int = -1) -> None:
        """Let the instance send a response by itself."""
        self.batches[batch].on_response(index, response)

    def finish(self, *responses: InferenceResponse | None) -> None:
        """Finish the batch in hand now, by default with a good response to every request."""
        assert self.state is ExecutorState.BUSY
        batch = self.batches[-1]
        self._report(batch, responses or [InferenceResponse() for _ in batch.requests], ExecutorState.IDLE)

    def fail(self, error: TritonpyError) -> None:
        """Finish the batch in hand with `error` for every request."""
        self.finish(*(InferenceResponse(error=error) for _ in self.batches[-1].requests))

    def die(self, state: ExecutorState = ExecutorState.STARTING) -> None:
        """Lose the worker, and with it the batch in hand."""
        was_busy = self.state is ExecutorState.BUSY
        if was_busy:
            responses = [InferenceResponse(error=InternalError("worker died")) for _ in self.batches[-1].requests]
            self._report(self.batches[-1], responses, state)
        else:
            self.become(state)

    def become(self, state: ExecutorState) -> None:
        """Change the state on its own, as when a worker is replaced or cannot be."""
        self.state = state
        self.on_state_change()

    def _report(
        self, batch: FakeBatch, responses: Sequence[InferenceResponse | None], next_state: ExecutorState
    ) -> None:
        self.state = next_state
        end_ns = self._time.now_ns
        batch.on_done(BatchResult(responses, batch.start_ns, batch.start_ns + INPUT_NS, end_ns - OUTPUT_NS, end_ns))
        self.on_state_change()


class Harness:
    """A dispatcher over fakes. `answers` are all responses in the order in which they left, by request id;
    `started` are the ids of the requests that ran, in order."""

    def __init__(
        self,
        scheduler: Scheduler | None = None,
        instance_count: int = 1,
        *,
        decoupled: bool = False,
        response_order: ResponseOrder | None = None,
        finish_response: FinishResponse | None = None,
    ) -> None:
        self.time = FakeTime()
        self.started: list[str] = []
        self.executors = [FakeExecutor(self.time, f"M_0_{number}", self.started) for number in range(instance_count)]
        self.statistics = ModelStatistics()
        self.answers: list[tuple[str, InferenceResponse]] = []
        self.dispatcher = Dispatcher(
            scheduler or DefaultScheduler(),
            self.executors,
            self.statistics,
            self.time.call_later,
            decoupled=decoupled,
            response_order=response_order,
            finish_response=finish_response,
            clock_ns=self.time.clock_ns,
        )

    @property
    def executor(self) -> FakeExecutor:
        """The only instance."""
        (executor,) = self.executors
        return executor

    def submit(self, *requests: InferenceRequest) -> None:
        for request in requests:
            request.arrival_ns = self.time.now_ns
            request.reply = self._reply_to(request)
            self.dispatcher.submit(request)

    def _reply_to(self, request: InferenceRequest) -> Callable[[InferenceResponse], None]:
        return lambda response: self.answers.append((request.id, response))

    @property
    def answered(self) -> list[str]:
        """The ids of the requests, once for each response, in order."""
        return [request_id for request_id, _ in self.answers]

    def responses(self, request_id: str) -> list[InferenceResponse]:
        return [response for answered_id, response in self.answers if answered_id == request_id]

    def error(self, request_id: str) -> TritonpyError:
        """The error of a request that had exactly one response, its last one."""
        (response,) = self.responses(request_id)
        assert response.final
        assert response.error is not None
        return response.error
