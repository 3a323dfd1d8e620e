"""What a program of torch.export says about its inputs and outputs: enough for a whole configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tritonpy.backends.contract import Completion, ModelSpec
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.pytorch.conversion import DATATYPES
from tritonpy.backends.signature import TensorSpec

DEFAULT_MAX_BATCH_SIZE = 4
# What torch uses for "no upper bound" of a symbolic size.
_UNBOUNDED = 2**31


def complete_from_exported(spec: ModelSpec, path: Path) -> Completion | None:
    """Names, types and shapes of an exported program; None if the configuration lists inputs and outputs.

    Inputs have the names of the arguments, outputs are `OUTPUT__<index>`. If the first dimension of every tensor is
    symbolic the model batches, up to the range of that symbol or the backend's default.
    """
    signature = spec.signature
    if signature.inputs and signature.outputs:
        return None
    exported = torch.export.load(str(path))
    values = {node.name: node.meta.get("val") for node in exported.graph.nodes}
    inputs = [(name, values[name]) for name in exported.graph_signature.user_inputs]
    outputs = [(f"OUTPUT__{index}", values[name]) for index, name in enumerate(exported.graph_signature.user_outputs)]
    can_batch = all(isinstance(value, torch.Tensor) and _is_symbolic(value, 0) for _, value in (*inputs, *outputs))
    if not can_batch and signature.max_batch_size > 0:
        raise InvalidArgumentError(
            f"autofill failed for model '{spec.name}': model does not support batching while non-zero max_batch_size "
            "is specified"
        )
    max_batch_size = signature.max_batch_size
    if can_batch and max_batch_size == 0:
        max_batch_size = _largest_batch(exported, inputs[0][1], spec)
    return Completion(
        max_batch_size=max_batch_size,
        inputs=None if signature.inputs else _specs(inputs, max_batch_size > 0),
        outputs=None if signature.outputs else _specs(outputs, max_batch_size > 0),
        dynamic_batching=max_batch_size > 1 and spec.has_no_scheduler,
    )


def _is_symbolic(value: torch.Tensor, dimension: int) -> bool:
    return value.dim() > dimension and not isinstance(value.shape[dimension], int)


def _largest_batch(exported: Any, value: torch.Tensor, spec: ModelSpec) -> int:  # a torch.export.ExportedProgram
    symbol = value.shape[0].node.expr  # type: ignore[attr-defined]  # a SymInt here
    limits = exported.range_constraints.get(symbol)
    upper = int(limits.upper) if limits is not None and limits.upper < _UNBOUNDED else 0
    return upper or int(spec.backend_config.get("default-max-batch-size", DEFAULT_MAX_BATCH_SIZE))


def _specs(tensors: Sequence[tuple[str, Any]], batching: bool) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, DATATYPES[value.dtype], _dims(value, batching))
        for name, value in tensors
        if isinstance(value, torch.Tensor)
    )


def _dims(value: torch.Tensor, batching: bool) -> tuple[int, ...]:
    dims = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    return (dims[1:] if batching else dims) or (1,)
