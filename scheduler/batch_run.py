"""One batch on an instance: collects what comes back, counts it, and passes the responses on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from tritonpy.backends.contract import BatchResult
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.scheduler.statistics import FailureReason, ModelStatistics

NS_PER_MS = 1_000_000

Deliver = Callable[[InferenceRequest, InferenceResponse], None]
"""Takes a response to a request on its way to the client."""

logger = logging.getLogger(__name__)


class BatchRun:
    """A batch from its start until every request in it has had its last response.

    Responses may come one by one, before or after the batch is done (decoupled models, response senders). A
    request is counted when both its last response and the times of its batch are known. The first response to a
    request of a model that is not decoupled is its last, whatever the instance says.
    """

    __slots__ = ("_batch", "_clock_ns", "_decoupled", "_deliver", "_failed", "_finished", "_result", "_statistics")

    def __init__(
        self,
        batch: Sequence[InferenceRequest],
        decoupled: bool,
        statistics: ModelStatistics,
        clock_ns: Callable[[], int],
        deliver: Deliver,
    ) -> None:
        self._batch = batch
        self._decoupled = decoupled
        self._statistics = statistics
        self._clock_ns = clock_ns
        self._deliver = deliver
        self._result: BatchResult | None = None
        self._finished: set[int] = set()
        self._failed: set[int] = set()

    def on_response(self, index: int, response: InferenceResponse) -> None:
        """A response that the instance sent by itself."""
        self._take(index, response, response.final or not self._decoupled)

    def on_done(self, result: BatchResult) -> None:
        """The instance has finished the batch; the responses that it returned are last ones."""
        self._result = result
        batch_size = sum(request.batch_size for request in self._batch)
        self._statistics.record_execution(batch_size, result, time.time_ns() // NS_PER_MS)
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
        self._deliver(request, response)

    def _record(self, index: int, result: BatchResult) -> None:
        now_ns = self._clock_ns()
        if index in self._failed:
            self._statistics.record_failure(self._batch[index], FailureReason.BACKEND, now_ns)
        else:
            self._statistics.record_success(self._batch[index], result, now_ns)
