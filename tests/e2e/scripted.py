"""The client's side of the `scripted` model: queues requests in a known order and reads what their execution was.

Nothing here sleeps for a guessed time. An instance is kept busy by a request that waits for a gate, a file that the
test creates when it is ready; and a request is known to wait in the queue when the pending gauge has counted it.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from .repository import write_python_model
from .server import Server, wait_until

ANSWER_TIMEOUT_S = 30.0
MS = 1_000_000
"""Nanoseconds in a millisecond."""

_gate_numbers = itertools.count()


def write_scripted_model(
    repository: Path, name: str, options: str = "", max_batch_size: int = 8, instance_count: int = 1
) -> Path:
    """A scripted model; `options` is more text for its config.pbtxt, such as its `dynamic_batching`."""
    config = f"""
backend: "python"
max_batch_size: {max_batch_size}
input [ {{ name: "COMMAND" data_type: TYPE_STRING dims: [ 1 ] }} ]
output [ {{ name: "REPORT" data_type: TYPE_STRING dims: [ 1 ] }} ]
instance_group [ {{ count: {instance_count} kind: KIND_CPU }} ]
{options}
"""
    return write_python_model(repository, name, "scripted", config)


@dataclass(frozen=True, slots=True)
class Report:
    """One execution, as the model saw it. `members` are the (request id, batch size) of its batch, in order."""

    execution: int
    instance: str
    pid: int
    start_ns: int
    members: tuple[tuple[str, int], ...]

    @property
    def ids(self) -> list[str]:
        return [request_id for request_id, _ in self.members]

    @property
    def sizes(self) -> list[int]:
        return [size for _, size in self.members]


@dataclass(slots=True)
class Pending:
    """A request that has been sent. Times are monotonic, comparable with the model's."""

    request_id: str
    sent_ns: int
    answer: Future[Any] = field(default_factory=Future)
    answered_ns: int = 0
    call: Any = None

    def on_answer(self, result: Any, error: InferenceServerException | None) -> None:
        self.answered_ns = time.monotonic_ns()
        if error is None:
            self.answer.set_result(result)
        else:
            self.answer.set_exception(error)

    @property
    def done(self) -> bool:
        return self.answer.done()

    def report(self) -> Report:
        """Wait for the answer; raises InferenceServerException if it is an error."""
        entry = json.loads(self.answer.result(ANSWER_TIMEOUT_S).as_numpy("REPORT").flat[0])
        members = tuple((request_id, size) for request_id, size in entry.pop("members"))
        return Report(members=members, **entry)

    def error(self) -> InferenceServerException:
        """Wait for the answer, which must be an error."""
        error = self.answer.exception(ANSWER_TIMEOUT_S)
        assert isinstance(error, InferenceServerException), f"{self.request_id} was answered without an error"
        return error

    def error_text(self) -> str:
        return str(self.error().message())

    def cancel(self) -> None:
        self.call.cancel()


@dataclass(slots=True)
class Gate:
    """Holds up the execution of the requests whose command it is, until it is opened."""

    path: Path

    @property
    def command(self) -> str:
        return f"gate:{self.path}"

    @property
    def entered(self) -> Path:
        return Path(f"{self.path}.entered")

    @property
    def pid(self) -> int:
        """The process that waits at the gate."""
        return int(self.entered.read_text())

    def wait_until_entered(self) -> None:
        """Wait until a request that has this gate is being executed."""
        wait_until(self.entered.exists, "the model reaches the gate")

    def open(self) -> None:
        self.path.touch()


class ScriptedModel:
    """Sends requests to one scripted model."""

    def __init__(self, server: Server, client: triton.InferenceServerClient, name: str, gates: Path) -> None:
        self.server = server
        self.name = name
        self._client = client
        self._gates = gates

    def gate(self) -> Gate:
        return Gate(self._gates / f"gate{next(_gate_numbers)}")

    def send(
        self,
        request_id: str,
        command: str = "",
        size: int = 1,
        inputs: Mapping[str, npt.NDArray[Any]] | None = None,
        **options: Any,
    ) -> Pending:
        """Send a request of batch size `size` (0 for a model that does not batch). `options` are the client's own,
        such as `priority`, `timeout` in microseconds, or `parameters`."""
        shape = (size, 1) if size else (1,)
        arrays = {"COMMAND": np.full(shape, command.encode(), dtype=np.object_), **(inputs or {})}
        tensors = []
        for name, array in arrays.items():
            tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensors.append(tensor.set_data_from_numpy(array))
        pending = Pending(request_id, time.monotonic_ns())
        pending.call = self._client.async_infer(self.name, tensors, pending.on_answer, request_id=request_id, **options)
        return pending

    def queue(self, request_id: str, command: str = "", **options: Any) -> Pending:
        """Send a request and return when it waits in the model's queue."""
        expected_count = self.server.pending_count(self.name) + 1
        pending = self.send(request_id, command, **options)
        wait_until(
            lambda: self.server.pending_count(self.name) == expected_count, f"{request_id} of {self.name} is queued"
        )
        return pending

    def queue_all(self, request_ids: str, **options: Any) -> list[Pending]:
        """Queue requests with these ids (separated by spaces), in this order."""
        return [self.queue(request_id, **options) for request_id in request_ids.split()]

    def run(self, request_id: str = "run", command: str = "", **options: Any) -> Report:
        """Send a request and wait for its answer."""
        return self.send(request_id, command, **options).report()

    def occupy(self, request_id: str = "busy", **options: Any) -> tuple[Gate, Pending]:
        """Keep one idle instance busy until the gate is opened."""
        gate = self.gate()
        pending = self.send(request_id, gate.command, **options)
        gate.wait_until_entered()
        return gate, pending

    @contextmanager
    def busy(self, instance_count: int = 1, **options: Any) -> Iterator[list[Pending]]:
        """Keep all instances busy for the length of the block, then wait until they are through."""
        occupied = [self.occupy(f"busy{number}", **options) for number in range(instance_count)]
        try:
            yield [pending for _, pending in occupied]
        finally:
            for gate, _ in occupied:
                gate.open()
        for _, pending in occupied:
            pending.report()


Models = Callable[[str], ScriptedModel]
"""Gives the model of that name."""


def batches(pendings: Sequence[Pending]) -> list[list[str]]:
    """The request ids of each execution that these requests were part of, in the order of the executions."""
    return [report.ids for report in executions(pendings)]


def batch_sizes(pendings: Sequence[Pending]) -> list[list[int]]:
    """The batch sizes of the members of each of those executions."""
    return [report.sizes for report in executions(pendings)]


def executions(pendings: Sequence[Pending]) -> list[Report]:
    reports = {pending.report() for pending in pendings}
    return sorted(reports, key=lambda report: report.start_ns)
