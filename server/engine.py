"""The engine: what front ends see of the server. Every way in makes the same call, `submit(request, reply)`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from tritonpy.backends.errors import InvalidArgumentError, UnavailableError
from tritonpy.backends.request import InferenceRequest, Reply
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.repository.manager import ModelManager
from tritonpy.repository.states import IndexEntry
from tritonpy.scheduler.served_model import ServedModel

LATEST_VERSION = -1
_LARGEST_VERSION = 2**63 - 1
_LONGEST_VERSION = 1000
_LEADING_INTEGER = re.compile(r"\s*([+-]?[0-9]+)")

# In the order of the real server; perf_analyzer looks for `statistics`. Extensions that are not here yet are left
# out, so that clients can tell.
EXTENSIONS = (
    "classification",
    "model_repository",
    "schedule_policy",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
)


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What the server says of itself."""

    name: str
    version: str
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """A model's tensor as clients see it; `shape` has -1 for the batch dimension and every variable one."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What the server says of a model."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


def parse_version(text: str) -> int:
    """The version that a client's text means: "" is LATEST_VERSION, else its leading integer.

    Raises InvalidArgumentError if there is none, or if it is negative or too large.
    """
    if not text:
        return LATEST_VERSION
    match = _LEADING_INTEGER.match(text)
    # Long texts are refused before they are converted: int() takes no more than a few thousand digits.
    version = int(match[1]) if match and len(match[1]) <= _LONGEST_VERSION else None
    if version is None or abs(version) > _LARGEST_VERSION:
        raise InvalidArgumentError(
            f"failed to get model version from specified version string '{text}' (details: stol), version should be "
            "an integral value > 0"
        )
    if version < 0:
        raise InvalidArgumentError(
            f"invalid model version specified '{text}' , version should be an integral value > 0"
        )
    return version


class Engine:
    """A facade over the model manager: it looks models up and says how they are.

    `name` is the server's name in its metadata (`--id`).
    """

    def __init__(self, models: ModelManager, name: str = "triton") -> None:
        self._models = models
        self._name = name
        self._exiting = False

    # Inference.

    def model(self, name: str, version: str = "") -> ServedModel:
        """The ready model version that requests for `name` and `version` go to; raises the lookup errors."""
        return self._models.find(name, parse_version(version))

    def submit(self, request: InferenceRequest, reply: Reply) -> None:
        """Run a request. Raises TritonpyError if it is refused; afterwards only `reply` speaks, once for each
        response, on the event loop."""
        self._models.find(request.model_name, request.model_version).submit(request, reply)

    # Health.

    def begin_exit(self) -> None:
        """The server is going down: it is no longer live or ready."""
        self._exiting = True

    def is_live(self) -> bool:
        """Whether the server runs. Raises UnavailableError while it goes down."""
        self._refuse_while_exiting("Server exiting")
        return True

    def is_ready(self) -> bool:
        """Whether all models that should be are ready. Raises UnavailableError while the server goes down."""
        self._refuse_while_exiting("Server exiting")
        return self._models.all_ready()

    def is_model_ready(self, name: str, version: str = "") -> bool:
        """Whether a model version (the latest for "") can be asked. Raises NotFoundError if there is no such
        model or version, UnavailableError while the server goes down."""
        self._refuse_while_exiting("Server not ready")
        return self._models.is_ready(name, parse_version(version))

    def _refuse_while_exiting(self, message: str) -> None:
        if self._exiting:
            raise UnavailableError(message)

    # Descriptions.

    def metadata(self) -> ServerMetadata:
        return ServerMetadata(self._name, metadata.version("tritonpy"), EXTENSIONS)

    def model_metadata(self, name: str, version: str = "") -> ModelMetadata:
        """What a model takes and gives; raises the lookup errors."""
        model = self.model(name, version)
        versions = (model.version,) if version else self._models.ready_versions(name)
        signature = model.signature
        return ModelMetadata(
            name=model.name,
            versions=tuple(str(number) for number in versions),
            platform=model.config.platform or model.config.backend,
            inputs=_tensors(signature, signature.inputs),
            outputs=_tensors(signature, signature.outputs),
        )

    def served_models(self) -> list[ServedModel]:
        """Every ready model version, by name and version."""
        return self._models.served()

    def statistics(self, name: str = "", version: str = "") -> list[ServedModel]:
        """The model versions whose statistics are asked for: all for "", else one model's, or one version's.

        Raises InvalidArgumentError if there is no ready one.
        """
        wanted = parse_version(version)
        of_model = [model for model in self.served_models() if name in ("", model.name)]
        if name and not of_model:
            raise InvalidArgumentError(f"requested model '{name}' is not available")
        if not name or wanted == LATEST_VERSION:
            return of_model
        of_version = [model for model in of_model if model.version == wanted]
        if not of_version:
            raise InvalidArgumentError(f"requested model version is not available for model '{name}'")
        return of_version

    # Repository.

    def repository_index(self, ready_only: bool = False) -> list[IndexEntry]:
        """Every model version that the server knows, with state and reason."""
        self._refuse_while_exiting("Server not ready")
        return self._models.index(ready_only)

    async def load_model(self, name: str, config: str | None = None, files: Mapping[str, bytes] | None = None) -> None:
        """Load or reload a model (control mode explicit); returns when it is ready. `config` replaces its
        configuration (JSON), `files` its files."""
        self._refuse_while_exiting("Server not ready")
        await self._models.load(name, config, dict(files or {}))

    async def unload_model(self, name: str, unload_dependents: bool = False) -> None:
        """Stop serving a model (control mode explicit); requests it has taken are still answered."""
        self._refuse_while_exiting("Server not ready")
        await self._models.unload(name, unload_dependents)


def _tensors(signature: ModelSignature, specs: tuple[TensorSpec, ...]) -> tuple[TensorMetadata, ...]:
    return tuple(
        TensorMetadata(spec.name, spec.datatype.wire_name if spec.datatype else "<invalid>", signature.full_dims(spec))
        for spec in specs
    )
