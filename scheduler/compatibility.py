"""Which requests may share a batch, as far as their inputs decide it.

Triton's rule: the shapes (without batch dimension) of all inputs with a variable dimension must be equal, unless
the input allows ragged batches; shape tensors must have equal contents, too; and a model with optional inputs
needs the same set of inputs in every request. Inputs of fixed shape are equal by validation. Parameters, requested
outputs and ids do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from tritonpy.backends.request import InferenceRequest
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.backends.tensor import Tensor

Compatibility = Callable[[InferenceRequest], Hashable]
"""Gives the key of a request: two requests may share a batch if their keys are equal."""


def compatibility(signature: ModelSignature) -> Compatibility:
    """The rule for a model; for most models every request has the same key, which costs nothing."""
    compared = tuple(spec for spec in signature.inputs if _is_compared(spec))
    has_optional = any(spec.optional for spec in signature.inputs)
    if not compared and not has_optional:
        return always_compatible
    first_dim = 1 if signature.batching else 0

    def key(request: InferenceRequest) -> Hashable:
        inputs = request.inputs
        parts: list[Hashable] = [_tensor_key(spec, inputs.get(spec.name), first_dim) for spec in compared]
        if has_optional:
            parts.append(frozenset(inputs))
        return tuple(parts)

    return key


def always_compatible(request: InferenceRequest) -> Hashable:
    """The rule of models whose inputs are compared in nothing."""
    return None


def _is_compared(spec: TensorSpec) -> bool:
    return spec.is_shape_tensor or (-1 in spec.dims and not spec.allow_ragged_batch)


def _tensor_key(spec: TensorSpec, tensor: Tensor | None, first_dim: int) -> Hashable:
    if tensor is None:
        return None
    if spec.is_shape_tensor:  # has no batch dimension; Triton compares it as a C string, which misses differences
        return tensor.shape, bytes(tensor.buffer)
    return tensor.shape[first_dim:]
