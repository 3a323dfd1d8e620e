"""What runs instances, as schedulers see it. Two kinds exist: a thread of the server, and a worker process."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Protocol

from tritonpy.backends.contract import BatchResult
from tritonpy.backends.request import InferenceRequest, InferenceResponse

OnResponse = Callable[[int, InferenceResponse], None]
OnDone = Callable[[BatchResult], None]


def nobody_listens() -> None:
    """The `on_state_change` of an executor whose owner has not set one yet."""


class ExecutorState(enum.Enum):
    """STARTING until `start` returned, and while a lost worker is replaced for the first time; IDLE can take a batch;
    BUSY runs one; DOWN lost its worker and failed to replace it (it tries again with back-off); STOPPED for good."""

    STARTING = enum.auto()
    IDLE = enum.auto()
    BUSY = enum.auto()
    DOWN = enum.auto()
    STOPPED = enum.auto()


class Executor(Protocol):
    """Runs the batches of one instance, one at a time. Every method and call-back is on the event loop."""

    name: str
    state: ExecutorState
    restart_count: int
    """How often the worker had to be replaced since `start`."""
    on_state_change: Callable[[], None]
    """Called after `state` changed on its own: to IDLE after a batch or a restart, to DOWN. Set by the owner."""

    async def start(self) -> None:
        """Load the model and make the instance. Raises TritonpyError with the reason when that fails."""

    def execute(self, requests: Sequence[InferenceRequest], on_response: OnResponse, on_done: OnDone) -> None:
        """Run a batch; only in state IDLE, which becomes BUSY before this returns.

        `on_response(index, response)` gets responses that the instance sends early or late (decoupled models,
        response senders), in order for each request, the last one with `final`; they may come after `on_done`.
        `on_done(result)` comes once, when the instance has finished the batch, with the other responses; then the
        state is IDLE again (or STARTING, if the worker died) and `on_state_change` is called. A batch whose worker
        dies is reported through both in the same way, with errors in place of responses. Never raises.
        """

    async def stop(self) -> None:
        """Wait for the batch in hand, close the instance, free its memory."""
