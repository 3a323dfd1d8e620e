"""What an ONNX graph says about its inputs and outputs, held against the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tritonpy.backends.contract import Completion, ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, UnsupportedError
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.protos import datatypes
from tritonpy.protos.datatypes import Datatype

DEFAULT_MAX_BATCH_SIZE = 4
_ELEMENT_TYPES = {
    "tensor(bool)": datatypes.BOOL,
    "tensor(uint8)": datatypes.UINT8,
    "tensor(uint16)": datatypes.UINT16,
    "tensor(uint32)": datatypes.UINT32,
    "tensor(uint64)": datatypes.UINT64,
    "tensor(int8)": datatypes.INT8,
    "tensor(int16)": datatypes.INT16,
    "tensor(int32)": datatypes.INT32,
    "tensor(int64)": datatypes.INT64,
    "tensor(float16)": datatypes.FP16,
    "tensor(float)": datatypes.FP32,
    "tensor(double)": datatypes.FP64,
    "tensor(string)": datatypes.BYTES,
    "tensor(bfloat16)": datatypes.BF16,
}


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """An input or output of the graph; -1 is any size. `optional` inputs have a default in the graph."""

    name: str
    datatype: Datatype
    dims: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """The inputs and outputs of a graph."""

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]

    @property
    def can_batch(self) -> bool:
        """Whether the first dimension of every input and output is variable."""
        return all(one.dims[:1] == (-1,) for one in (*self.inputs, *self.outputs))

    def datatype_of(self, name: str) -> Datatype | None:
        return next((one.datatype for one in (*self.inputs, *self.outputs) if one.name == name), None)

    def is_string(self, name: str) -> bool:
        return self.datatype_of(name) is datatypes.BYTES


def read_graph(session: Any) -> Graph:  # an onnxruntime.InferenceSession, which has no types
    """The graph of a session. Raises UnsupportedError for inputs and outputs that are no tensors."""
    optional = tuple(_tensor(node, optional=True) for node in session.get_overridable_initializers())
    return Graph(
        inputs=tuple(_tensor(node) for node in session.get_inputs()) + optional,
        outputs=tuple(_tensor(node) for node in session.get_outputs()),
    )


def _tensor(node: Any, optional: bool = False) -> GraphTensor:
    datatype = _ELEMENT_TYPES.get(node.type)
    if datatype is None:
        raise UnsupportedError(f"Unsupported ONNX Type '{node.type}' for I/O '{node.name}', expected a tensor")
    dims = tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in node.shape)
    return GraphTensor(node.name, datatype, dims, optional)


# Completing a configuration.


def complete_from_graph(spec: ModelSpec, graph: Graph) -> Completion | None:
    """What the graph adds to a configuration that lacks inputs or outputs; None if it lacks neither.

    A graph whose every input and output has a variable first dimension can batch: `max_batch_size` 0 becomes the
    backend's default, and dynamic batching is switched on. Raises InvalidArgumentError if a batch size is configured
    and the graph cannot batch.
    """
    signature = spec.signature
    if signature.inputs and signature.outputs:
        return None
    if not graph.can_batch and signature.max_batch_size > 0:
        raise InvalidArgumentError(
            f"autofill failed for model '{spec.name}': model does not support batching while non-zero max_batch_size "
            "is specified"
        )
    max_batch_size = signature.max_batch_size
    if graph.can_batch and max_batch_size == 0:
        max_batch_size = int(spec.backend_config.get("default-max-batch-size", DEFAULT_MAX_BATCH_SIZE))
    batching = max_batch_size > 0
    return Completion(
        max_batch_size=max_batch_size,
        inputs=None if signature.inputs else _specs([one for one in graph.inputs if not one.optional], batching),
        outputs=None if signature.outputs else _specs(graph.outputs, batching),
        dynamic_batching=max_batch_size > 1 and spec.has_no_scheduler,
    )


def _specs(tensors: Sequence[GraphTensor], batching: bool) -> tuple[TensorSpec, ...]:
    return tuple(_spec(tensor, batching) for tensor in tensors)


def _spec(tensor: GraphTensor, batching: bool) -> TensorSpec:
    dims = tensor.dims[1:] if batching else tensor.dims
    if dims:
        return TensorSpec(tensor.name, tensor.datatype, dims)
    # A configuration cannot say "no dimensions"; with a batch dimension a reshape takes the extra one away again.
    return TensorSpec(tensor.name, tensor.datatype, (1,), reshape=() if batching else None)


# Checking a configuration.


def check_graph(spec: ModelSpec, graph: Graph) -> None:
    """Raise InternalError or InvalidArgumentError, with both sides in the text, if the configuration does not fit."""
    signature = spec.signature
    required = [one for one in graph.inputs if not one.optional]
    if not len(required) <= len(signature.inputs) <= len(graph.inputs):
        raise InvalidArgumentError(
            f"unable to load model '{spec.name}', configuration expects {len(signature.inputs)} inputs, model provides "
            f"{len(required)}"
        )
    _check_side("input", signature.inputs, graph.inputs, spec)
    _check_side("output", signature.outputs, graph.outputs, spec)


def _check_side(kind: str, specs: Sequence[TensorSpec], tensors: Sequence[GraphTensor], model: ModelSpec) -> None:
    by_name = {tensor.name: tensor for tensor in tensors}
    for spec in specs:
        tensor = by_name.get(spec.name)
        if tensor is None:
            allowed = ", ".join(by_name)
            raise InvalidArgumentError(f"unexpected inference {kind} '{spec.name}', allowed {kind}s are: {allowed}")
        _check_tensor(kind, spec, tensor, model)


def _check_tensor(kind: str, spec: TensorSpec, tensor: GraphTensor, model: ModelSpec) -> None:
    if spec.datatype is not tensor.datatype:
        configured = spec.datatype.config_name if spec.datatype else "TYPE_INVALID"
        raise InvalidArgumentError(
            f"unable to load model '{model.name}', configuration expects datatype {configured} for {kind} "
            f"'{spec.name}', model provides {tensor.datatype.config_name}"
        )
    if not _dims_fit(spec, tensor, model.signature):
        raise InternalError(_dims_text(spec, tensor, model))


def _dims_fit(spec: TensorSpec, tensor: GraphTensor, signature: ModelSignature) -> bool:
    configured = ((-1,) if signature.batching else ()) + spec.backend_dims
    if spec.allow_ragged_batch:
        return tensor.dims == (-1,)
    if tensor.dims == () and not signature.batching:
        return all(dim == 1 for dim in configured)
    return len(configured) == len(tensor.dims) and all(
        ours == theirs or -1 in (ours, theirs) for ours, theirs in zip(configured, tensor.dims, strict=True)
    )


def _dims_text(spec: TensorSpec, tensor: GraphTensor, model: ModelSpec) -> str:
    batch_note = ""
    if model.signature.batching:
        complete = _shape_text((-1, *spec.backend_dims))
        batch_note = (
            " (an initial batch dimension because max_batch_size > 0 followed by the explicit tensor shape, making "
            f"complete shape {complete})"
        )
    return (
        f"model '{model.name}', tensor '{tensor.name}': the model expects {len(tensor.dims)} dimensions (shape "
        f"{_shape_text(tensor.dims)}) but the model configuration specifies "
        f"{len(spec.backend_dims) + int(model.signature.batching)} dimensions{batch_note} (shape "
        f"{_shape_text(spec.backend_dims)})"
    )


def _shape_text(dims: Sequence[int]) -> str:
    return "[" + ",".join(map(str, dims)) + "]"
