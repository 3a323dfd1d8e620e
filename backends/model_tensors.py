"""The tensors that a model file declares: compared with the configuration, or turned into one.

The rules and texts are those that Triton's backends share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tritonpy.backends.contract import Completion, ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.parameters import integer_parameter
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.protos.datatypes import Datatype

DEFAULT_MAX_BATCH_SIZE = 4


@dataclass(frozen=True, slots=True)
class ModelTensor:
    """An input or output as the model file declares it.

    `shape` is complete, with the batch dimension if there is one; -1 is any size; () is a scalar, or says nothing
    where a framework cannot tell the two apart. `optional`: the file has a value for it.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    optional: bool = False


# Checking.


def check_count(model_name: str, kind: str, configured: int, provided: int) -> None:
    """Raise unless as many tensors of `kind` ("input", "output") are configured as the model has."""
    if configured != provided:
        raise InvalidArgumentError(
            f"unable to load model '{model_name}', configuration expects {configured} {kind}s, model provides "
            f"{provided}"
        )


def check_name(kind: str, name: str, allowed: Iterable[str]) -> None:
    """Raise unless the model has a tensor called `name`."""
    names = sorted(allowed)
    if name not in names:
        raise InvalidArgumentError(f"unexpected inference {kind} '{name}', allowed {kind}s are: {', '.join(names)}")


def check_tensor(model_name: str, kind: str, configured: TensorSpec, model: ModelTensor, batching: bool) -> None:
    """Raise unless datatype and shape of a configured tensor fit those of the model's."""
    if configured.datatype is not model.datatype:
        expected = configured.datatype.config_name if configured.datatype else "TYPE_INVALID"
        raise InvalidArgumentError(
            f"unable to load model '{model_name}', configuration expects datatype {expected} for {kind} "
            f"'{configured.name}', model provides {model.datatype.config_name}"
        )
    if configured.allow_ragged_batch:
        _check_ragged(model_name, model)
    elif batching:
        _check_batched_shape(model_name, configured, model)
    else:
        _check_shape(model_name, configured, model)


def _check_ragged(model_name: str, model: ModelTensor) -> None:
    if model.shape != (-1,):
        raise InvalidArgumentError(
            f"model '{model_name}', tensor '{model.name}': for a ragged batch the model must take the shape [-1] (the "
            f"elements of all requests one after the other); but shape expected by the model is {_text(model.shape)}"
        )


def _check_batched_shape(model_name: str, configured: TensorSpec, model: ModelTensor) -> None:
    if not model.shape or model.shape[0] != -1:
        raise InvalidArgumentError(
            f"model '{model_name}', tensor '{model.name}': for the model to support batching the shape should have at "
            "least 1 dimension and the first dimension must be -1; but shape expected by the model is "
            f"{_text(model.shape)}"
        )
    full = (-1, *configured.backend_dims)
    if not _fits(full, model.shape):
        raise InvalidArgumentError(
            f"{_expectation(model_name, model)} {len(full)} dimensions (an initial batch dimension because "
            "max_batch_size > 0 followed by the explicit tensor shape, making complete shape "
            f"{_text(full)})"
        )


def _check_shape(model_name: str, configured: TensorSpec, model: ModelTensor) -> None:
    dims = configured.backend_dims
    if model.shape and not _fits(dims, model.shape):
        raise InvalidArgumentError(f"{_expectation(model_name, model)} {len(dims)} dimensions (shape {_text(dims)})")


def _expectation(model_name: str, model: ModelTensor) -> str:
    return (
        f"model '{model_name}', tensor '{model.name}': the model expects {len(model.shape)} dimensions (shape "
        f"{_text(model.shape)}) but the model configuration specifies"
    )


def _fits(configured: Sequence[int], model: Sequence[int]) -> bool:
    return len(configured) == len(model) and all(
        model_dim in (-1, dim) for dim, model_dim in zip(configured, model, strict=True)
    )


def _text(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


# Completing.


def needs_completion(signature: ModelSignature) -> bool:
    """Whether the configuration leaves out all inputs or all outputs; otherwise it is taken as it is."""
    return not (signature.inputs and signature.outputs)


def complete_from_tensors(
    spec: ModelSpec,
    inputs: Sequence[ModelTensor],
    outputs: Sequence[ModelTensor],
    can_batch: bool,
    batch_limit: int | None = None,
) -> Completion:
    """The configuration of a model with these tensors; only the side that the configuration leaves out is given.

    If the model can batch, `max_batch_size` becomes `batch_limit` or, when there is no limit, the setting
    `default-max-batch-size`. Raises InternalError if the configuration asks for batching and the model cannot.
    """
    max_batch_size = _max_batch_size(spec, can_batch, batch_limit)
    return Completion(
        max_batch_size=max_batch_size,
        inputs=None if spec.signature.inputs else _tensor_specs(inputs, max_batch_size),
        outputs=None if spec.signature.outputs else _tensor_specs(outputs, max_batch_size),
        dynamic_batching=max_batch_size > 1 and spec.has_no_scheduler,
    )


def all_first_dims_vary(tensors: Iterable[ModelTensor]) -> bool:
    """Whether the first dimension of every tensor may have any size: what Triton takes for support of batching."""
    return all(tensor.shape[:1] == (-1,) for tensor in tensors if not tensor.optional)


def _max_batch_size(spec: ModelSpec, can_batch: bool, batch_limit: int | None) -> int:
    configured = spec.signature.max_batch_size
    if can_batch:
        default = integer_parameter(spec.backend_config, "default-max-batch-size", DEFAULT_MAX_BATCH_SIZE)
        return configured or (default if batch_limit is None else batch_limit)
    if configured:
        raise InternalError(
            f"autofill failed for model '{spec.name}': model does not support batching while non-zero max_batch_size "
            "is specified"
        )
    return 0


def _tensor_specs(tensors: Iterable[ModelTensor], max_batch_size: int) -> tuple[TensorSpec, ...]:
    """Optional inputs are offered only by models without batching, as Triton has it."""
    batching = max_batch_size > 0
    return tuple(_tensor_spec(tensor, batching) for tensor in tensors if not (batching and tensor.optional))


def _tensor_spec(tensor: ModelTensor, batching: bool) -> TensorSpec:
    """A configuration cannot say "scalar": it says [1], and with batching that the backend sees no such dimension."""
    dims = tensor.shape[1:] if batching else tensor.shape
    reshape = () if batching and not dims else None
    return TensorSpec(tensor.name, tensor.datatype, dims or (1,), reshape, tensor.optional)
