"""What crosses between front ends, schedulers and instances: requests and responses."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from tritonpy.backends.errors import TritonpyError
from tritonpy.backends.tensor import Tensor

Parameter = bool | int | float | str


class SequenceFlag(enum.IntFlag):
    """Marks of a request that is part of a sequence; the numbers are what Python models see."""

    START = 1
    END = 2


@dataclass(slots=True, eq=False)
class InferenceResponse:
    """One response to a request: outputs or an error.

    `final` marks the last response of the request. A response with neither outputs nor error and `final` set
    only ends the request (decoupled models).
    """

    outputs: list[Tensor] = field(default_factory=list)
    error: TritonpyError | None = None
    parameters: dict[str, Parameter] = field(default_factory=dict)
    final: bool = True

    @property
    def is_empty(self) -> bool:
        return not self.outputs and self.error is None


Reply = Callable[[InferenceResponse], None]


def _unanswered(response: InferenceResponse) -> None:
    raise RuntimeError("the request was not submitted: it has nobody to answer to")


@dataclass(slots=True, eq=False)
class InferenceRequest:
    """One inference request. All times are of the monotonic clock (`time.monotonic_ns`), 0 when not reached.

    `model_version` is -1 for "the server chooses" until the request is accepted. `requested_outputs` is empty
    for "all". `timeout_us` and `priority` are the client's wishes for the queue (0 = none); `deadline_ns` is when
    the client stops waiting (0 = never).
    """

    model_name: str
    inputs: dict[str, Tensor]
    model_version: int = -1
    id: str = ""
    requested_outputs: tuple[str, ...] = ()
    parameters: dict[str, Parameter] = field(default_factory=dict)
    correlation_id: int | str = 0
    flags: int = 0
    priority: int = 0
    timeout_us: int = 0
    deadline_ns: int = 0
    # Filled in on the way through the server.
    batch_size: int = 1
    reply: Reply = _unanswered
    cancelled: bool = False
    on_cancel: Callable[[], None] | None = None
    arrival_ns: int = 0
    queue_start_ns: int = 0

    @property
    def id_prefix(self) -> str:
        """How messages about this request begin: `[request id: <id>] `."""
        return f"[request id: {self.id or '<id_unknown>'}] "

    def cancel(self) -> None:
        """The client gave up. Whoever holds the request (queue or instance) is told through `on_cancel`."""
        if not self.cancelled:
            self.cancelled = True
            if self.on_cancel is not None:
                self.on_cancel()

    def wants(self, output_name: str) -> bool:
        """Whether the client asked for this output."""
        return not self.requested_outputs or output_name in self.requested_outputs
