"""What is counted for a model version: the numbers behind `/stats` and the `nv_inference_*` metrics.

Triton's rules. A request counts once, when its last response is there: as success with its times, or as failure
with a reason. Requests that were refused on arrival count nowhere. An execution counts once for the whole batch,
also when it failed; its size is the sum of the batch sizes of its requests. Durations are nanoseconds; every
request of a batch gets the times of the batch. Counters start at zero when the version is loaded.

Unlike Triton, an error that a model returns for one request counts as a failure.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from tritonpy.backends.contract import BatchResult
from tritonpy.backends.request import InferenceRequest


class FailureReason(enum.Enum):
    """Why requests failed; the value is the label `reason` of the failure metric."""

    REJECTED = "REJECTED"
    CANCELED = "CANCELED"
    BACKEND = "BACKEND"
    OTHER = "OTHER"


@dataclass(slots=True)
class DurationCounter:
    """How often, and for how long in all."""

    count: int = 0
    ns: int = 0

    def add(self, duration_ns: int) -> None:
        self.count += 1
        self.ns += duration_ns


@dataclass(slots=True)
class BatchStatistics:
    """The executions of one batch size."""

    compute_input: DurationCounter = field(default_factory=DurationCounter)
    compute_infer: DurationCounter = field(default_factory=DurationCounter)
    compute_output: DurationCounter = field(default_factory=DurationCounter)

    def add(self, result: BatchResult) -> None:
        self.compute_input.add(result.inputs_ready_ns - result.start_ns)
        self.compute_infer.add(result.outputs_begin_ns - result.inputs_ready_ns)
        self.compute_output.add(result.end_ns - result.outputs_begin_ns)


@dataclass(slots=True)
class ModelStatistics:
    """The counters of one model version. `pending_count` is of now: requests accepted and not yet executing.

    `last_inference_ms` is the wall-clock time of the last execution, 0 if there was none. The cache counters stay
    zero without a response cache.
    """

    success: DurationCounter = field(default_factory=DurationCounter)
    fail: DurationCounter = field(default_factory=DurationCounter)
    queue: DurationCounter = field(default_factory=DurationCounter)
    compute_input: DurationCounter = field(default_factory=DurationCounter)
    compute_infer: DurationCounter = field(default_factory=DurationCounter)
    compute_output: DurationCounter = field(default_factory=DurationCounter)
    cache_hit: DurationCounter = field(default_factory=DurationCounter)
    cache_miss: DurationCounter = field(default_factory=DurationCounter)
    inference_count: int = 0
    execution_count: int = 0
    last_inference_ms: int = 0
    pending_count: int = 0
    batch_stats: dict[int, BatchStatistics] = field(default_factory=dict)
    failures: dict[FailureReason, int] = field(default_factory=lambda: dict.fromkeys(FailureReason, 0))

    def record_success(self, request: InferenceRequest, result: BatchResult, now_ns: int) -> None:
        """A request whose last response is good, executed in the batch of `result`."""
        self.success.add(now_ns - request.arrival_ns)
        self.queue.add(result.start_ns - request.queue_start_ns)
        self.compute_input.add(result.inputs_ready_ns - result.start_ns)
        self.compute_infer.add(result.outputs_begin_ns - result.inputs_ready_ns)
        self.compute_output.add(result.end_ns - result.outputs_begin_ns)
        self.inference_count += request.batch_size

    def record_failure(self, request: InferenceRequest, reason: FailureReason, now_ns: int) -> None:
        """A request that was accepted and failed."""
        self.fail.add(now_ns - request.arrival_ns)
        self.failures[reason] += 1

    def record_execution(self, batch_size: int, result: BatchResult, now_ms: int) -> None:
        """A batch that an instance has run, whatever came of it. `now_ms` is wall-clock time."""
        self.execution_count += 1
        self.last_inference_ms = now_ms
        batch = self.batch_stats.get(batch_size)
        if batch is None:
            batch = self.batch_stats[batch_size] = BatchStatistics()
        batch.add(result)
