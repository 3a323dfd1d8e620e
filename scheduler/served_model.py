"""A model version that can be asked: everything about it that the floors above need, and `submit`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from tritonpy.backends.errors import UnavailableError
from tritonpy.backends.executor import Executor
from tritonpy.backends.request import InferenceRequest, InferenceResponse, Reply
from tritonpy.backends.signature import ModelSignature
from tritonpy.protos.generated import model_config_pb2
from tritonpy.scheduler.admission import Admission, carry_over, fits
from tritonpy.scheduler.dispatcher import Dispatcher, FinishResponse
from tritonpy.scheduler.make import make_response_order, make_scheduler
from tritonpy.scheduler.statistics import ModelStatistics


class ServedModel:
    """One loaded version of a model.

    `config` is normalised and completed, `config_json` its form on the wire. `executors` have been started.
    `labels` maps outputs to the names of their classes. `load_duration_s` is how long loading took.
    """

    def __init__(
        self,
        version: int,
        config: model_config_pb2.ModelConfig,
        config_json: bytes,
        signature: ModelSignature,
        executors: Sequence[Executor],
        *,
        labels: Mapping[str, Sequence[str]] | None = None,
        load_duration_s: float = 0.0,
        hold_until_count: int = 0,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.name = config.name
        self.version = version
        self.config = config
        self.config_json = config_json
        self.signature = signature
        self.decoupled = config.model_transaction_policy.decoupled
        self.labels = labels or {}
        self.load_duration_s = load_duration_s
        self.executors = executors
        self.statistics = ModelStatistics()
        self.admission = Admission(self.name, signature)
        self.dispatcher = Dispatcher(
            make_scheduler(config, signature, hold_until_count),
            executors,
            self.statistics,
            (loop or asyncio.get_running_loop()).call_later,
            decoupled=self.decoupled,
            response_order=make_response_order(config),
            finish_response=output_reshaper(signature),
        )
        self._stopping = False

    @property
    def in_flight_count(self) -> int:
        """Requests accepted and not yet fully answered."""
        return self.dispatcher.in_flight_count

    def submit(self, request: InferenceRequest, reply: Reply) -> None:
        """Run a request. Raises TritonpyError if it is refused (then it counts in no statistics); afterwards only
        `reply` speaks: once for each response, on the loop."""
        if self._stopping:
            raise UnavailableError(
                f"{request.id_prefix}Server is stopping, scheduler for model has stopped accepting new inference "
                "requests"
            )
        request.arrival_ns = time.monotonic_ns()
        request.model_name, request.model_version = self.name, self.version
        self.admission.check(request)
        request.reply = reply
        self.dispatcher.submit(request)

    def refuse_new_requests(self) -> None:
        """From now on `submit` refuses; requests in flight go on."""
        self._stopping = True

    async def stop(self) -> None:
        """Refuse new requests, wait until those in flight have ended, and free the instances."""
        self.refuse_new_requests()
        if self.in_flight_count:
            drained = asyncio.Event()
            self.dispatcher.on_drained = drained.set
            await drained.wait()
        await asyncio.gather(*(executor.stop() for executor in self.executors))


def output_reshaper(signature: ModelSignature) -> FinishResponse | None:
    """Gives outputs with `reshape` in the configuration the shape that clients see; None if there are none.

    Variable sizes are carried over in order. A backend's output that does not have the configured shape is left
    as it is.
    """
    reshaped = {spec.name: spec for spec in signature.outputs if spec.reshape is not None}
    if not reshaped:
        return None
    batch_rank = 1 if signature.batching else 0

    def finish(_: InferenceRequest, response: InferenceResponse) -> None:
        for position, tensor in enumerate(response.outputs):
            spec = reshaped.get(tensor.name)
            if spec is not None and fits(dims := tensor.shape[batch_rank:], spec.backend_dims):
                shape = tensor.shape[:batch_rank] + carry_over(dims, spec.backend_dims, spec.dims)
                response.outputs[position] = tensor.with_shape(shape)

    return finish
