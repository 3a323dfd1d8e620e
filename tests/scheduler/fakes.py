"""Requests made up for tests, and a simulation that drives a scheduler as a server would, on a fake clock."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from tritonpy.backends.errors import TritonpyError, UnavailableError
from tritonpy.backends.request import InferenceRequest
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes
from tritonpy.scheduler.scheduler import Scheduler
from tritonpy.scheduler.statistics import FailureReason

NS_PER_MS = 1_000_000

Shapes = Mapping[str, tuple[int, ...]]


def make_tensor(name: str, shape: tuple[int, ...], values: Sequence[int] | None = None) -> Tensor:
    """An INT32 tensor of this full shape; zeros unless `values` are given."""
    numbers = values or [0] * math.prod(shape)
    data = b"".join(number.to_bytes(4, "little", signed=True) for number in numbers)
    return Tensor(name, datatypes.INT32, shape, data)


def make_request(
    request_id: str = "r0",
    size: int = 1,
    *,
    shapes: Shapes | None = None,
    model_name: str = "M",
    priority: int = 0,
    timeout_us: int = 0,
    deadline_ns: int = 0,
) -> InferenceRequest:
    """A request of batch size `size` as it is after admission; `shapes` exclude the batch dimension, which every
    input gets (one input `IN` of shape [1] unless given)."""
    inputs = {name: make_tensor(name, (size, *shape)) for name, shape in (shapes or {"IN": (1,)}).items()}
    return InferenceRequest(
        model_name=model_name,
        inputs=inputs,
        id=request_id,
        priority=priority,
        timeout_us=timeout_us,
        deadline_ns=deadline_ns,
        batch_size=size,
    )


@dataclass(frozen=True, slots=True)
class Run:
    """A batch that was run: start, instance, and the requests by id."""

    start_ms: float
    instance: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """A request that was answered without being run."""

    at_ms: float
    id: str
    message: str
    reason: FailureReason


@dataclass(slots=True)
class Simulation:
    """A scheduler, some instances that are busy for a while with each batch, and things that happen at times.

    `duration_ms` is a number, or gives the time for a batch. After `run()`: `runs` in order of start, `drops` in
    order of answer, `refused` {id: error of `enqueue`}. Times are in ms.
    """

    scheduler: Scheduler
    duration_ms: float | Callable[[Sequence[InferenceRequest]], float] = 0
    instance_count: int = 1
    now_ns: int = 0
    runs: list[Run] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    refused: dict[str, TritonpyError] = field(default_factory=dict)
    on_run: Callable[[Sequence[InferenceRequest]], None] = lambda batch: None
    on_finish: Callable[[Sequence[InferenceRequest], float], None] = lambda batch, now_ms: None
    _events: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _idle: list[int] = field(default_factory=list)

    def at(self, time_ms: float, action: Callable[[], None]) -> None:
        """Let something happen; what is due at the same time happens in order of these calls."""
        heapq.heappush(self._events, (round(time_ms * NS_PER_MS), next(self._numbers), action))

    def arrive(self, time_ms: float, *requests: InferenceRequest) -> None:
        """Let requests arrive one after the other at the same time."""
        for request in requests:
            self.at(time_ms, partial(self._enqueue, request))

    def cancel(self, time_ms: float, request: InferenceRequest) -> None:
        self.at(time_ms, request.cancel)

    def run(self) -> Simulation:
        """Play everything until nothing is left to happen."""
        self._idle = list(range(self.instance_count))
        while (time_ns := self._next_time_ns()) is not None:
            self.now_ns = time_ns
            if self._events and self._events[0][0] <= time_ns:
                heapq.heappop(self._events)[2]()
            self._pump()
        return self

    @property
    def batches(self) -> list[list[str]]:
        return [list(run.ids) for run in self.runs]

    @property
    def starts_ms(self) -> list[float]:
        return [run.start_ms for run in self.runs]

    @property
    def now_ms(self) -> float:
        return self.now_ns / NS_PER_MS

    def _next_time_ns(self) -> int | None:
        wakeup_ns = self.scheduler.wakeup_ns()
        times = [self._events[0][0]] if self._events else []
        if wakeup_ns is not None:
            times.append(wakeup_ns)
        return min(times, default=None)

    def _enqueue(self, request: InferenceRequest) -> None:
        try:
            self.scheduler.enqueue(request, self.now_ns)
        except UnavailableError as error:
            self.refused[request.id] = error

    def _pump(self) -> None:
        while self._idle and (batch := self.scheduler.next_batch(self.now_ns)):
            self._start(self._idle.pop(0), batch)
        for dropped in self.scheduler.take_dropped(self.now_ns):
            drop = Drop(self.now_ms, dropped.request.id, dropped.error.message, dropped.reason)
            self.drops.append(drop)
        wakeup_ns = self.scheduler.wakeup_ns()
        assert wakeup_ns is None or wakeup_ns > self.now_ns, "the scheduler would be asked again and again"

    def _start(self, instance: int, batch: list[InferenceRequest]) -> None:
        self.runs.append(Run(self.now_ms, instance, tuple(request.id for request in batch)))
        self.on_run(batch)
        duration_ms = self.duration_ms(batch) if callable(self.duration_ms) else self.duration_ms
        self.at(self.now_ms + duration_ms, partial(self._finish, instance, batch))

    def _finish(self, instance: int, batch: Sequence[InferenceRequest]) -> None:
        self.on_finish(batch, self.now_ms)
        heapq.heappush(self._idle, instance)
