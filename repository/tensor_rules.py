"""The rules of `input` and `output` entries, in Triton's order and with its texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.protos.generated import model_config_pb2

ModelConfig = model_config_pb2.ModelConfig
Entry = model_config_pb2.ModelInput | model_config_pb2.ModelOutput
_TENSORRT_PLATFORM = "tensorrt_plan"
_IMAGE_RANK = 3
_LARGEST_COUNT = 2**63 - 1


def validate_tensors(config: ModelConfig) -> None:
    """Check every input and output; raises InvalidArgumentError for the first mistake."""
    for kind, entries in (("input", config.input), ("output", config.output)):
        for entry in entries:
            for problem in _problems(entry, config):
                raise InvalidArgumentError(f"model {kind} {problem} for {config.name}")
        _check_unique(kind, [entry.name for entry in entries], config.name)


def _check_unique(kind: str, names: Sequence[str], model_name: str) -> None:
    """Triton accepts duplicates, of which the second can never be reached."""
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgumentError(
                f"model {kind} '{name}' is listed more than once: duplicate {kind} name for {model_name}"
            )


def _problems(entry: Entry, config: ModelConfig) -> Iterator[str]:
    """What is wrong with an entry, the first thing first."""
    name = f"'{entry.name}' " if entry.name else ""
    yield from (name + problem for problem in _shape_problems(entry, config))
    if isinstance(entry, model_config_pb2.ModelInput) and entry.format and len(entry.dims) != _IMAGE_RANK:
        yield "NHWC/NCHW require 3 dims"  # without the name, as in Triton
    if entry.is_shape_tensor and config.platform != _TENSORRT_PLATFORM:
        yield f"{name}shape tensors are only supported for TensorRT platform"
    if entry.is_non_linear_format_io and config.platform != _TENSORRT_PLATFORM:
        yield f"{name}Non-linear IO format is only supported for the TensorRT platform"
    if entry.is_non_linear_format_io and len(entry.dims) != _IMAGE_RANK:
        yield f"{name}Non-linear IO format input requires 3 dims"


def _shape_problems(entry: Entry, config: ModelConfig) -> Iterator[str]:
    if not entry.name:
        yield "must specify 'name'"
    if entry.data_type == model_config_pb2.TYPE_INVALID:
        yield "must specify 'data_type'"
    if not entry.dims:
        yield "must specify 'dims'"
    if entry.HasField("reshape") and not entry.reshape.shape and config.max_batch_size == 0:
        yield "cannot have empty reshape for non-batching model as scalar tensors are not supported"
    if not all(_is_dim(dim) for dim in entry.dims):
        yield "dimension must be integer >= 1, or -1 to indicate a variable-size dimension"
    if math.prod(dim for dim in entry.dims if dim > 0) > _LARGEST_COUNT:
        yield f"has dims of more than {_LARGEST_COUNT} elements, which no tensor can have"
    if entry.HasField("reshape"):
        yield from _reshape_problems(entry.dims, entry.reshape.shape)


def _is_dim(dim: int) -> bool:
    return dim >= 1 or dim == -1


def _reshape_problems(dims: Sequence[int], reshape: Sequence[int]) -> Iterator[str]:
    if not all(_is_dim(dim) for dim in reshape):
        yield "reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension"
    if (-1 in dims) != (-1 in reshape):
        yield "has different size for dims and reshape"
    if list(dims).count(-1) != list(reshape).count(-1):
        yield "has different number of variable-size dimensions for dims and reshape"
    if _fixed_sizes(dims) != _fixed_sizes(reshape):
        yield "has different size for dims and reshape"


def _fixed_sizes(dims: Sequence[int]) -> list[int]:
    """The element counts before, between and behind the variable dimensions."""
    sizes = [1]
    for is_variable, run in groupby(dims, lambda dim: dim == -1):
        if is_variable:
            sizes += [1 for _ in run]
        else:
            sizes[-1] *= math.prod(run)
    return sizes
