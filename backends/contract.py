"""The contract of a backend: how a framework loads a model, makes instances of it, and runs batches.

    Backend --load--> Model --create_instance--> Instance --execute--> responses

A backend is a module of this folder that has a `BACKEND` object (see `registry`). It knows tensors, requests and
its framework, and nothing of schedulers or protocols. Its objects are called on the thread, or in the worker
process, of the executor that runs them; `execute` of one instance is never called twice at the same time.
"""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.signature import ModelSignature, TensorSpec, signature_from_config


class DeviceKind(enum.Enum):
    """Where an instance runs; the value is the text that Python models get."""

    CPU = "CPU"
    GPU = "GPU"
    MODEL = "MODEL"


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """One instance of a model: its name `<group>_<index>`, its device, and how many instances share the host."""

    name: str
    kind: DeviceKind
    device_id: int
    instance_count: int


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """All that a backend is told about a model version. Rebuilt from `config_json` in worker processes.

    `config_json` is the whole configuration in its JSON form; the other fields are what backends commonly need
    of it. `backend_config` holds the server's `--backend-config` settings for this backend.
    """

    name: str
    version: int
    model_directory: Path
    version_directory: Path
    config_json: str
    backend_config: Mapping[str, str]
    signature: ModelSignature
    platform: str
    backend: str
    runtime: str
    filename: str
    parameters: Mapping[str, str]
    graph_level: int
    decoupled: bool
    has_no_scheduler: bool

    @property
    def model_path(self) -> Path:
        """The model file (or folder) that the configuration names."""
        return self.version_directory / self.filename


_SCHEDULERS = ("dynamic_batching", "sequence_batching", "ensemble_scheduling")


def model_spec(
    version: int,
    model_directory: Path,
    version_directory: Path,
    config_json: str,
    backend_config: Mapping[str, str],
) -> ModelSpec:
    """The spec of a model version from its configuration in JSON form."""
    config = json.loads(config_json)
    parameters = {key: value.get("string_value", "") for key, value in config.get("parameters", {}).items()}
    return ModelSpec(
        name=config["name"],
        version=version,
        model_directory=model_directory,
        version_directory=version_directory,
        config_json=config_json,
        backend_config=dict(backend_config),
        signature=signature_from_config(config),
        platform=config.get("platform", ""),
        backend=config.get("backend", ""),
        runtime=config.get("runtime", ""),
        filename=config.get("default_model_filename", ""),
        parameters=parameters,
        graph_level=config.get("optimization", {}).get("graph", {}).get("level", 0),
        decoupled=config.get("model_transaction_policy", {}).get("decoupled", False),
        has_no_scheduler=not any(key in config for key in _SCHEDULERS),
    )


@dataclass(frozen=True, slots=True)
class Completion:
    """What a backend found out about a model, to complete its configuration. None leaves a field as it is.

    `inputs` and `outputs` replace the configuration's; they exclude the batch dimension if `max_batch_size` > 0.
    """

    max_batch_size: int | None = None
    inputs: tuple[TensorSpec, ...] | None = None
    outputs: tuple[TensorSpec, ...] | None = None
    dynamic_batching: bool = False
    decoupled: bool | None = None


class Execution:
    """One run of a batch: the time stamps that statistics need, and the way out for early responses.

    All times are `time.monotonic_ns`. An instance calls `inputs_ready` when its inputs are gathered and
    `outputs_begin` when the model has returned; what it leaves out counts as model time.
    """

    __slots__ = ("_poll", "_send", "end_ns", "inputs_ready_ns", "outputs_begin_ns", "start_ns")

    def __init__(
        self,
        send: Callable[[int, InferenceResponse], None],
        poll_cancellation: Callable[[], None] | None = None,
    ) -> None:
        self._send = send
        self._poll = poll_cancellation
        self.start_ns = time.monotonic_ns()
        self.inputs_ready_ns = 0
        self.outputs_begin_ns = 0
        self.end_ns = 0

    def inputs_ready(self) -> None:
        self.inputs_ready_ns = time.monotonic_ns()

    def outputs_begin(self) -> None:
        self.outputs_begin_ns = time.monotonic_ns()

    def finish(self) -> None:
        """Called by the executor when `execute` has returned."""
        self.end_ns = time.monotonic_ns()
        self.inputs_ready_ns = self.inputs_ready_ns or self.start_ns
        self.outputs_begin_ns = self.outputs_begin_ns or self.end_ns

    def poll_cancellation(self) -> None:
        """Bring `request.cancelled` of the batch up to date (in a worker process the server's word has to be
        read first; elsewhere it is always current)."""
        if self._poll is not None:
            self._poll()

    def send(self, index: int, response: InferenceResponse) -> None:
        """Answer request number `index` of the batch now. Callable from any thread, also after `execute` returned,
        until a response with `final` was sent for that request."""
        self._send(index, response)


class Instance(Protocol):
    """One runnable copy of a model."""

    def execute(self, requests: Sequence[InferenceRequest], execution: Execution) -> Sequence[InferenceResponse | None]:
        """Run one batch and return one final response for each request, in order.

        None in place of a response means that the request's responses go through `execution.send`. An exception
        answers every request of the batch that has no final response yet.
        """

    def close(self) -> None:
        """Free what the instance holds; called once, after its last `execute`."""


class Model(Protocol):
    """A loaded model version."""

    def create_instance(self, instance: InstanceSpec) -> Instance:
        """Make an instance, on the thread that will run it."""


class Backend(Protocol):
    """A framework."""

    def complete(self, spec: ModelSpec) -> Completion | None:
        """What the model file says about its tensors, or None if it says nothing. Raises TritonpyError when the
        configuration contradicts it."""

    def load(self, spec: ModelSpec) -> Model:
        """Load the model. Raises TritonpyError with a text for whoever wrote the model or its configuration."""


class ExecutionMode(enum.Enum):
    """Where instances run; the value is what the config parameter `EXECUTION` says."""

    THREAD = "thread"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What an executor reports when an instance has finished a batch.

    `responses` are the final responses, None where they come separately; the times are those of Execution.
    """

    responses: Sequence[InferenceResponse | None]
    start_ns: int
    inputs_ready_ns: int
    outputs_begin_ns: int
    end_ns: int
