"""Label files: the names of the classes of an output, one a line."""

from __future__ import annotations

from pathlib import Path

from tritonpy.backends.errors import InternalError, InvalidArgumentError, UnsupportedError
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
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InternalError(
            f"failed to open text file for read {model_name}/{filename}: {error.strerror or 'cannot be read'}"
        ) from None
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"label file {model_name}/{filename} is not UTF-8 text") from None
    return tuple(lines if lines[-1] else lines[:-1])
