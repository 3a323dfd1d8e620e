"""Runs one batch on an instance, on whatever thread or process the instance lives, and leaves no request behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from tritonpy.backends.contract import BatchResult, Execution, Instance
from tritonpy.backends.errors import InternalError, TritonpyError
from tritonpy.backends.request import InferenceRequest, InferenceResponse

Send = Callable[[int, InferenceResponse], None]

logger = logging.getLogger(__name__)


def run_batch(
    instance_name: str,
    instance: Instance,
    requests: Sequence[InferenceRequest],
    send: Send,
    poll_cancellation: Callable[[], None] | None = None,
) -> BatchResult:
    """Execute `requests` and return the result; never raises.

    When the instance raises, every request without a final response gets that error. `send` receives what the
    instance sends on its own, from any thread.
    """
    finished: set[int] = set()

    def send_unless_finished(index: int, response: InferenceResponse) -> None:
        if index in finished:
            return  # answered already, for instance with an error: nobody waits for more
        if response.final:
            finished.add(index)
        send(index, response)

    execution = Execution(send_unless_finished, poll_cancellation)
    try:
        responses = instance.execute(requests, execution)
        if len(responses) != len(requests):
            raise InternalError(f"'{instance_name}' gave {len(responses)} responses to {len(requests)} requests")
    except BaseException as error:  # a model may raise anything, SystemExit included
        responses = _fail_unfinished(requests, finished, error_for_clients(instance_name, error))
    execution.finish()
    return BatchResult(
        responses, execution.start_ns, execution.inputs_ready_ns, execution.outputs_begin_ns, execution.end_ns
    )


def _fail_unfinished(
    requests: Sequence[InferenceRequest], finished: set[int], error: TritonpyError
) -> list[InferenceResponse | None]:
    responses = [None if index in finished else InferenceResponse(error=error) for index in range(len(requests))]
    finished.update(range(len(requests)))
    return responses


def error_for_clients(instance_name: str, error: BaseException) -> TritonpyError:
    """The error that clients get when `execute` raised: the backend's own, or one that names type and message."""
    if isinstance(error, TritonpyError):
        return error
    logger.error("instance '%s' raised while it ran a batch", instance_name, exc_info=error)
    text = f"{type(error).__name__}: {error}"
    return InternalError(f"Failed to process the request(s) for model '{instance_name}', message: {text}")
