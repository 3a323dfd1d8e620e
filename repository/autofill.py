"""Finds out which backend a model is for, from its configuration and its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.protos.generated import model_config_pb2
from tritonpy.repository.layout import first_version_directory


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model file that tells its backend. The first platform goes with `filename`; `platforms` are all that the
    backend has (none: any platform text is accepted)."""

    filename: str
    backend: str
    platforms: tuple[str, ...] = ()


# In the order in which they are looked for.
ARTIFACTS = (
    Artifact("model.savedmodel", "tensorflow", ("tensorflow_savedmodel",)),
    Artifact("model.graphdef", "tensorflow", ("tensorflow_graphdef",)),
    Artifact("model.plan", "tensorrt", ("tensorrt_plan",)),
    Artifact("model.onnx", "onnxruntime", ("onnxruntime_onnx",)),
    Artifact("model.xml", "openvino"),
    Artifact("model.pt", "pytorch", ("pytorch_libtorch", "libtorch")),
    Artifact("model.pt2", "pytorch", ("torch_aoti",)),
    Artifact("model.py", "python"),
)
PLATFORM_ALIASES = {"libtorch": "pytorch_libtorch"}
ENSEMBLE_PLATFORM = "ensemble"


def autofill(config: model_config_pb2.ModelConfig, model_directory: Path) -> None:
    """Fill in `name`, `backend`, `platform` and `default_model_filename`, as far as they are missing.

    Raises InvalidArgumentError if nothing tells the backend.
    """
    config.name = config.name or model_directory.name
    config.platform = PLATFORM_ALIASES.get(config.platform, config.platform)
    if config.platform == ENSEMBLE_PLATFORM or config.HasField("ensemble_scheduling"):
        return
    artifact = _find_artifact(config, first_version_directory(model_directory))
    if artifact is not None:
        _fill_from(config, artifact)
    elif not (config.backend or config.platform or config.default_model_filename):
        _fill_from_name(config, model_directory.name)


def _find_artifact(config: model_config_pb2.ModelConfig, version_directory: Path | None) -> Artifact | None:
    candidates = [one for one in ARTIFACTS if config.backend in ("", one.backend)]
    if config.platform:
        return next((one for one in candidates if config.platform in one.platforms), None) or _by_filename(
            config, candidates
        )
    if config.default_model_filename:
        return _by_filename(config, candidates)
    present = [one for one in candidates if version_directory and (version_directory / one.filename).exists()]
    if present:
        return present[0]
    return _default(config, candidates)


def _by_filename(config: model_config_pb2.ModelConfig, candidates: list[Artifact]) -> Artifact | None:
    for artifact in candidates:
        if artifact.filename == config.default_model_filename:
            return artifact
    return _default(config, candidates)


def _default(config: model_config_pb2.ModelConfig, candidates: list[Artifact]) -> Artifact | None:
    """A configured backend has a usual file, except TensorFlow, which has two that differ in platform."""
    return candidates[0] if config.backend not in ("", "tensorflow") and candidates else None


def _fill_from(config: model_config_pb2.ModelConfig, artifact: Artifact) -> None:
    config.backend = config.backend or artifact.backend
    if artifact.platforms and not config.platform:
        config.platform = artifact.platforms[0]
    config.default_model_filename = config.default_model_filename or artifact.filename


def _fill_from_name(config: model_config_pb2.ModelConfig, model_name: str) -> None:
    """The last resort: a model called `<anything>.<backend>`."""
    _, dot, backend = model_name.partition(".")
    if not dot:
        raise InvalidArgumentError(
            f"Invalid model name: Could not determine backend for model '{model_name}' with no backend in model "
            "configuration. Expected model name of the form 'model.<backend_name>'."
        )
    config.backend = backend
    config.default_model_filename = config.default_model_filename or f"model.{backend}"
