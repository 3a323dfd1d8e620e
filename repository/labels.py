"""Label files: the names of the classes of an output, one a line."""

from __future__ import annotations

from pathlib import Path

from tritonpy.backends.errors import InternalError, UnsupportedError
from tritonpy.backends.signature import ModelSignature


def read_labels(signature: ModelSignature, model_name: str, model_directory: Path) -> dict[str, tuple[str, ...]]:
    """The labels of each output that names a file. Raises TritonpyError if a file cannot be read or lies outside
    the model's folder."""
    return {
        spec.name: _read(model_directory, spec.label_filename, spec.name, model_name)
        for spec in signature.outputs
        if spec.label_filename
    }


def _read(model_directory: Path, filename: str, output: str, model_name: str) -> tuple[str, ...]:
    path = model_directory / filename
    if not path.resolve().is_relative_to(model_directory.resolve()):
        raise UnsupportedError(
            f"label file path '{filename}' for output '{output}' in model '{model_name}' is outside model directory"
        )
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except OSError as error:
        raise InternalError(
            f"failed to open text file for read {model_name}/{filename}: {error.strerror or 'cannot be read'}"
        ) from None
