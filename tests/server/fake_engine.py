"""An engine without models or schedulers, for tests of the front ends.

Its models check requests as real ones do, then answer with whatever the test's handler returns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from google.protobuf import json_format

from tritonpy.backends.errors import InvalidArgumentError, NotFoundError, TritonpyError
from tritonpy.backends.request import InferenceRequest, InferenceResponse, Reply
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.protos import datatypes
from tritonpy.protos.datatypes import Datatype
from tritonpy.protos.generated import model_config_pb2
from tritonpy.repository.states import IndexEntry
from tritonpy.scheduler.admission import Admission
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.scheduler.statistics import ModelStatistics
from tritonpy.server.engine import Engine, ModelMetadata, ServerMetadata, TensorMetadata, parse_version

Handler = Callable[[InferenceRequest], InferenceResponse]


def echo(request: InferenceRequest) -> InferenceResponse:
    """Every input as the output of the same place: INPUT0 as OUTPUT0."""
    outputs = []
    for tensor in request.inputs.values():
        output = tensor.with_shape(tensor.shape)
        output.name = tensor.name.replace("INPUT", "OUTPUT")
        outputs.append(output)
    return InferenceResponse(outputs=[output for output in outputs if request.wants(output.name)])


def signature(
    max_batch_size: int,
    inputs: Mapping[str, tuple[Datatype, tuple[int, ...]]],
    outputs: Mapping[str, tuple[Datatype, tuple[int, ...]]] | None = None,
) -> ModelSignature:
    """A signature from name -> (datatype, dims); by default the outputs mirror the inputs, as `echo` does."""
    if outputs is None:
        outputs = {name.replace("INPUT", "OUTPUT"): kind for name, kind in inputs.items()}
    return ModelSignature(
        max_batch_size,
        tuple(TensorSpec(name, *kind) for name, kind in inputs.items()),
        tuple(TensorSpec(name, *kind) for name, kind in outputs.items()),
    )


class FakeModel:
    """What front ends see of a served model."""

    def __init__(
        self,
        name: str,
        model_signature: ModelSignature,
        handler: Handler = echo,
        version: int = 1,
        decoupled: bool = False,
    ) -> None:
        self.name = name
        self.version = version
        self.signature = model_signature
        self.decoupled = decoupled
        self.labels: dict[str, list[str]] = {}
        self.load_duration_s = 0.25
        self.statistics = ModelStatistics()
        self.admission = Admission(name, model_signature)
        self.config = model_config_pb2.ModelConfig(
            name=name, backend="python", max_batch_size=model_signature.max_batch_size
        )
        self.handler = handler
        self.refusal: TritonpyError | None = None
        self.held: list[Callable[[], None]] | None = None
        self.requests: list[InferenceRequest] = []

    @property
    def config_json(self) -> bytes:
        return json.dumps(json_format.MessageToDict(self.config), separators=(",", ":")).encode()

    def hold_replies(self) -> None:
        """Keep the answers to the next requests until `release`."""
        self.held = []

    def release(self) -> None:
        """Send the answers that were kept."""
        held, self.held = self.held or [], None
        for send in held:
            send()

    def submit(self, request: InferenceRequest, reply: Reply) -> None:
        """Check the request, then answer with the handler's response; or raise `refusal`."""
        if self.refusal is not None:
            raise self.refusal
        self.admission.check(request)
        request.model_version = self.version
        request.reply = reply
        self.requests.append(request)
        if self.held is None:
            reply(self._run(request))
        else:
            self.held.append(lambda: reply(self._run(request)))

    def _run(self, request: InferenceRequest) -> InferenceResponse:
        try:
            return self.handler(request)
        except TritonpyError as error:
            return InferenceResponse(error=error)


@dataclass
class FakeEngine:
    """Answers as the real engine does, from fields that tests set."""

    models: list[FakeModel] = field(default_factory=list)
    live: bool = True
    ready: bool = True
    not_ready_models: set[str] = field(default_factory=set)
    index: list[IndexEntry] = field(default_factory=list)
    failure: TritonpyError | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def as_engine(self) -> Engine:
        """Itself, for signatures that ask for the real engine."""
        return cast(Engine, self)

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _versions(self, name: str) -> list[FakeModel]:
        return sorted((model for model in self.models if model.name == name), key=lambda model: model.version)

    def model(self, name: str, version: str = "") -> ServedModel:
        number = parse_version(version)
        versions = self._versions(name)
        if not versions:
            raise NotFoundError(f"Request for unknown model: '{name}' is not found")
        found = versions[-1:] if number < 0 else [model for model in versions if model.version == number]
        if not found:
            raise NotFoundError(f"Request for unknown model: '{name}' version {number} is not found")
        return cast(ServedModel, found[0])

    def submit(self, request: InferenceRequest, reply: Reply) -> None:
        version = "" if request.model_version < 0 else str(request.model_version)
        self.model(request.model_name, version).submit(request, reply)

    def is_live(self) -> bool:
        self._raise_failure()
        return self.live

    def is_ready(self) -> bool:
        self._raise_failure()
        return self.ready

    def is_model_ready(self, name: str, version: str = "") -> bool:
        self._raise_failure()
        return self.model(name, version).name not in self.not_ready_models

    def metadata(self) -> ServerMetadata:
        return ServerMetadata("triton", "0.0.1", ("binary_tensor_data", "statistics"))

    def model_metadata(self, name: str, version: str = "") -> ModelMetadata:
        model = self.model(name, version)
        versions = [model] if version else self._versions(name)
        return ModelMetadata(
            name=name,
            versions=tuple(str(item.version) for item in versions),
            platform="python",
            inputs=_tensors(model.signature, model.signature.inputs),
            outputs=_tensors(model.signature, model.signature.outputs),
        )

    def served_models(self) -> list[ServedModel]:
        ordered = sorted(self.models, key=lambda model: (model.name, model.version))
        return cast("list[ServedModel]", ordered)

    def statistics(self, name: str = "", version: str = "") -> list[ServedModel]:
        found = [model for model in self.served_models() if name in ("", model.name)]
        if name and not found:
            raise InvalidArgumentError(f"requested model '{name}' is not available")
        if version:
            found = [model for model in found if model.version == parse_version(version)]
            if not found:
                raise InvalidArgumentError(f"requested model version is not available for model '{name}'")
        return found

    def repository_index(self, ready_only: bool = False) -> list[IndexEntry]:
        self._raise_failure()
        return [entry for entry in self.index if not ready_only or entry.state == "READY"]

    async def load_model(self, name: str, config: str | None = None, files: Mapping[str, bytes] | None = None) -> None:
        self._raise_failure()
        self.calls.append(("load", name, config, dict(files or {})))

    async def unload_model(self, name: str, unload_dependents: bool = False) -> None:
        self._raise_failure()
        self.calls.append(("unload", name, unload_dependents))


def _tensors(model_signature: ModelSignature, specs: Sequence[TensorSpec]) -> tuple[TensorMetadata, ...]:
    return tuple(
        TensorMetadata(spec.name, spec.datatype.wire_name if spec.datatype else "", model_signature.full_dims(spec))
        for spec in specs
    )


def example_engine() -> FakeEngine:
    """Models as the protocol's reference uses them: identity (FP32), ident_str, add_sub's inputs, raw_str, types of
    half precision, two versions, one decoupled."""
    variable, fp32 = (-1,), datatypes.FP32
    pair = {"INPUT0": (datatypes.INT32, (16,)), "INPUT1": (datatypes.INT32, (16,))}
    return FakeEngine(
        [
            FakeModel("identity", signature(64, {"INPUT0": (fp32, variable)})),
            FakeModel("pair", signature(8, pair)),
            FakeModel("ident_str", signature(0, {"INPUT0": (datatypes.BYTES, variable)})),
            FakeModel("raw_str", signature(0, {"INPUT0": (datatypes.BYTES, (1,))})),
            FakeModel("half", signature(0, {"INPUT0": (datatypes.FP16, variable)})),
            FakeModel("grid", signature(0, {"INPUT0": (fp32, (-1, -1))})),
            FakeModel("two", signature(0, {"INPUT0": (fp32, variable)}), version=1),
            FakeModel("two", signature(0, {"INPUT0": (fp32, variable)}), version=3),
            FakeModel("repeat", signature(0, {"INPUT0": (fp32, variable)}), decoupled=True),
        ]
    )
