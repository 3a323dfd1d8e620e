"""What an ONNX model declares: its inputs and outputs, in our terms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import onnxruntime

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.model_tensors import ModelTensor, check_count, check_name, check_tensor
from tritonpy.backends.signature import ModelSignature
from tritonpy.protos import datatypes

DATATYPES = {
    "bool": datatypes.BOOL,
    "uint8": datatypes.UINT8,
    "uint16": datatypes.UINT16,
    "uint32": datatypes.UINT32,
    "uint64": datatypes.UINT64,
    "int8": datatypes.INT8,
    "int16": datatypes.INT16,
    "int32": datatypes.INT32,
    "int64": datatypes.INT64,
    "float16": datatypes.FP16,
    "float": datatypes.FP32,
    "double": datatypes.FP64,
    "string": datatypes.BYTES,
    "bfloat16": datatypes.BF16,
}
_TYPE = re.compile(r"(?P<kind>\w+)\((?P<element>.*)\)")
_KINDS = {"seq": "SEQUENCE", "map": "MAP", "optional": "OPTIONAL", "sparse_tensor": "SPARSETENSOR"}


@dataclass(frozen=True, slots=True)
class Graph:
    """The tensors of a model. Optional inputs are those that have a default value in the file."""

    inputs: dict[str, ModelTensor]
    outputs: dict[str, ModelTensor]


def read_graph(session: onnxruntime.InferenceSession) -> Graph:
    """The graph of a loaded model; raises InvalidArgumentError if it has anything but tensors of known datatypes."""
    required = [_tensor(node) for node in session.get_inputs()]
    optional = [_tensor(node, optional=True) for node in session.get_overridable_initializers()]
    outputs = [_tensor(node) for node in session.get_outputs()]
    return Graph({tensor.name: tensor for tensor in required + optional}, {tensor.name: tensor for tensor in outputs})


def _tensor(node: onnxruntime.NodeArg, optional: bool = False) -> ModelTensor:
    """`node.type` is like `tensor(float)`; a dimension in `node.shape` is a number, a symbol, or None. The shape of
    a tensor of unknown rank is [], like that of a scalar."""
    match = _TYPE.fullmatch(node.type)
    kind = match["kind"] if match else node.type
    if match is None or kind != "tensor":
        raise InvalidArgumentError(
            f"Unsupported ONNX Type 'ONNX_TYPE_{_KINDS.get(kind, kind.upper())}' for I/O '{node.name}', expected "
            "'ONNX_TYPE_TENSOR'."
        )
    datatype = DATATYPES.get(match["element"])
    if datatype is None:
        raise InvalidArgumentError(f"unsupported ONNX element type '{match['element']}' for I/O '{node.name}'")
    shape = tuple(dim if isinstance(dim, int) else -1 for dim in node.shape)
    return ModelTensor(node.name, datatype, shape, optional)


def check_graph(graph: Graph, signature: ModelSignature, model_name: str) -> None:
    """Raise InvalidArgumentError unless the configured tensors fit the model's. Outputs may be left out."""
    required_count = sum(not tensor.optional for tensor in graph.inputs.values())
    if not required_count <= len(signature.inputs) <= len(graph.inputs):
        check_count(model_name, "input", len(signature.inputs), required_count)
    for kind, configured, tensors in (
        ("input", signature.inputs, graph.inputs),
        ("output", signature.outputs, graph.outputs),
    ):
        for spec in configured:
            check_name(kind, spec.name, tensors)
            check_tensor(model_name, kind, spec, tensors[spec.name], signature.batching)
    _check_required(graph, signature, model_name)
    _check_optional(graph, signature)


def _check_required(graph: Graph, signature: ModelSignature, model_name: str) -> None:
    for name, tensor in graph.inputs.items():
        configured = signature.input_by_name.get(name)
        if tensor.optional:
            continue
        if configured is None:
            raise InvalidArgumentError(f"model '{model_name}' needs the input '{name}', which is not configured")
        if configured.optional:
            raise InvalidArgumentError(
                f"'optional' is set to true for input '{name}' while model '{model_name}' has no default value for it"
            )


def _check_optional(graph: Graph, signature: ModelSignature) -> None:
    for spec in signature.inputs:
        if signature.batching and graph.inputs[spec.name].optional:
            raise InvalidArgumentError(
                f"optional input '{spec.name}' is not supported for models that support batching"
            )


def scalar_inputs(graph: Graph, signature: ModelSignature) -> Sequence[str]:
    """The configured inputs that the model takes as scalars, where clients send one element of shape [1]."""
    return [
        spec.name
        for spec in signature.inputs
        if not signature.batching and not graph.inputs[spec.name].shape and set(spec.backend_dims) <= {1}
    ]
