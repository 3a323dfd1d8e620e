"""Checks a request against what its model takes, before it may enter a queue.

The order of the checks and their texts are the real server's; one rule differs: required inputs are looked for by
name, where the real server only counts them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.request import InferenceRequest
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import bytes_codec, datatypes
from tritonpy.protos.bytes_codec import Buffer
from tritonpy.protos.datatypes import Datatype
from tritonpy.scheduler.string_elements import MAX_CHECKED_ON_LOOP, check_string_elements

RAW_INPUT = "raw_input"
_BATCHING_NOTE = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try "
    "setting max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)


@dataclass(frozen=True, slots=True)
class _InputRule:
    """What one input must be. `shape` is what clients see, with -1 for any size and for the batch dimension."""

    name: str
    datatype: Datatype | None
    shape: tuple[int, ...]


class Admission:
    """The checks of one model."""

    def __init__(self, model_name: str, signature: ModelSignature) -> None:
        self._name = model_name
        self._signature = signature
        self._batching = signature.batching
        self._rules = {
            spec.name: _InputRule(spec.name, spec.datatype, signature.full_dims(spec)) for spec in signature.inputs
        }
        self._required = tuple(spec.name for spec in signature.inputs if not spec.optional)
        self._reshaped = tuple(spec for spec in signature.inputs if spec.reshape is not None)

    def check(self, request: InferenceRequest) -> None:
        """Raise InvalidArgumentError unless the model can run `request`.

        Sets `batch_size`, and gives inputs whose configuration has `reshape` the shape that the backend sees.
        """
        for output in request.requested_outputs:
            if output not in self._signature.output_by_name:
                raise InvalidArgumentError(f"unexpected inference output '{output}' for model '{self._name}'")
        inputs = request.inputs
        if inputs.keys() != self._rules.keys():
            self._check_names(request)
        batch_size = self._batch_size(request) if self._batching else 1
        for name, tensor in inputs.items():
            self._check_type_and_shape(request, self._rules[name], tensor)
        for tensor in inputs.values():
            self._check_size(request, tensor, batch_size)
        if batch_size < 1:
            raise InvalidArgumentError(
                f"{request.id_prefix}inference request batch-size must be >= 1 for '{self._name}'"
            )
        for spec in self._reshaped:
            self._reshape(request, spec)
        request.batch_size = batch_size

    # Which inputs are there.

    def _check_names(self, request: InferenceRequest) -> None:
        if not len(self._required) <= len(request.inputs) <= len(self._rules):
            self._refuse_inputs(request)
        for name in request.inputs:
            if name not in self._rules:
                raise InvalidArgumentError(f"unexpected inference input '{name}' for model '{self._name}'")
        if any(name not in request.inputs for name in self._required):
            self._refuse_inputs(request)

    def _refuse_inputs(self, request: InferenceRequest) -> NoReturn:
        required, total, got = len(self._required), len(self._rules), len(request.inputs)
        expected = f"{total} inputs" if required == total else f"number of inputs between {required} and {total}"
        missing = [name for name in self._required if name not in request.inputs]
        # With nothing missing the real server prints a lone bracket, which clients may look for.
        missing_text = _quoted(missing) if missing else "]"
        raise InvalidArgumentError(
            f"{request.id_prefix}expected {expected} but got {got} inputs for model '{self._name}'. Got input(s) "
            f"{_quoted(request.inputs)}, but missing required input(s) {missing_text}. Please provide all required "
            "input(s)."
        )

    # Batch size, types, shapes.

    def _batch_size(self, request: InferenceRequest) -> int:
        batch_size: int | None = None
        for name, tensor in request.inputs.items():
            if not tensor.shape:
                raise InvalidArgumentError(
                    f"{request.id_prefix}input '{name}' has no shape but model requires batch dimension for "
                    f"'{self._name}'"
                )
            if batch_size is None:
                batch_size = tensor.shape[0]
            elif tensor.shape[0] != batch_size:
                raise InvalidArgumentError(
                    f"{request.id_prefix}input '{name}' batch size does not match other inputs for '{self._name}'"
                )
        if batch_size is not None and batch_size > self._signature.max_batch_size:
            raise InvalidArgumentError(
                f"{request.id_prefix}inference request batch-size must be <= {self._signature.max_batch_size} for "
                f"'{self._name}'"
            )
        return 1 if batch_size is None else batch_size

    def _check_type_and_shape(self, request: InferenceRequest, rule: _InputRule, tensor: Tensor) -> None:
        if tensor.datatype is not rule.datatype:
            expected = rule.datatype.wire_name if rule.datatype else "<invalid>"
            raise InvalidArgumentError(
                f"{request.id_prefix}inference input '{rule.name}' data-type is '{tensor.datatype.wire_name}', but "
                f"model '{self._name}' expects '{expected}'"
            )
        if not fits(tensor.shape, rule.shape):
            self._refuse_shape(request, rule, tensor)

    def _refuse_shape(self, request: InferenceRequest, rule: _InputRule, tensor: Tensor) -> NoReturn:
        got = _shape_text(tensor.shape)
        if -1 in tensor.shape:
            raise InvalidArgumentError(
                f"{request.id_prefix}All input dimensions should be specified for input '{rule.name}' for model "
                f"'{self._name}', got {got}"
            )
        note = _BATCHING_NOTE if self._batching else ""
        raise InvalidArgumentError(
            f"{request.id_prefix}unexpected shape for input '{rule.name}' for model '{self._name}'. Expected "
            f"{_shape_text(rule.shape)}, got {got}. {note}"
        )

    # Data.

    def _check_size(self, request: InferenceRequest, tensor: Tensor, batch_size: int) -> None:
        # The real server leaves a batch dimension of 0 out of the product, and so misses data in a batch of none.
        expected_count = math.prod(tensor.shape if batch_size else tensor.shape[1:])
        element_size_bytes = tensor.datatype.size_bytes
        if element_size_bytes:
            if tensor.size_bytes != expected_count * element_size_bytes:
                self._refuse_size(request, tensor.name, expected_count * element_size_bytes, tensor.size_bytes)
        elif expected_count <= MAX_CHECKED_ON_LOOP:
            check_string_elements(request, tensor, expected_count, self._name)

    def _refuse_size(self, request: InferenceRequest, name: str, expected_bytes: int, got_bytes: int) -> NoReturn:
        raise InvalidArgumentError(
            f"{request.id_prefix}input byte size mismatch for input '{name}' for model '{self._name}'. Expected "
            f"{expected_bytes}, got {got_bytes}"
        )

    def _reshape(self, request: InferenceRequest, spec: TensorSpec) -> None:
        tensor = request.inputs.get(spec.name)
        if tensor is not None:
            batch_rank = 1 if self._batching else 0
            dims = carry_over(tensor.shape[batch_rank:], spec.dims, spec.backend_dims)
            request.inputs[spec.name] = tensor.with_shape(tensor.shape[:batch_rank] + dims)

    # Requests that are only bytes.

    def raw_input(self, body: Buffer) -> Tensor:
        """The input that the bare `body` of a raw request is: the model's only one, of batch size 1, its one
        variable dimension as large as the data.

        Raises InvalidArgumentError if the model has not exactly one input, or if the shape is not determined.
        """
        request = InferenceRequest(self._name, {})
        if len(self._signature.inputs) != 1:
            raise InvalidArgumentError(
                f"{request.id_prefix}Raw request must only have 1 input (found 1) to be deduced but got "
                f"{len(self._signature.inputs)} inputs in '{self._name}' model configuration"
            )
        (spec,) = self._signature.inputs
        batch_dims = (1,) if self._batching else ()
        if spec.datatype is datatypes.BYTES:
            return self._raw_string(request, spec, batch_dims, body)
        assert spec.datatype is not None
        shape = batch_dims + self._raw_dims(request, spec, len(body))
        expected = math.prod(shape) * spec.datatype.size_bytes
        if expected != len(body):
            self._refuse_size(request, RAW_INPUT, expected, len(body))
        return Tensor(spec.name, spec.datatype, shape, body)

    def _raw_string(
        self, request: InferenceRequest, spec: TensorSpec, batch_dims: tuple[int, ...], body: Buffer
    ) -> Tensor:
        if spec.dims != (1,):
            raise InvalidArgumentError(
                f"{request.id_prefix}For BYTE datatype raw input '{spec.name}', the model must have input shape [1]"
            )
        return Tensor(spec.name, datatypes.BYTES, (*batch_dims, 1), bytes_codec.encode_elements([bytes(body)]))

    def _raw_dims(self, request: InferenceRequest, spec: TensorSpec, size_bytes: int) -> tuple[int, ...]:
        assert spec.datatype is not None
        if spec.dims.count(-1) > 1:
            raise InvalidArgumentError(
                f"{request.id_prefix}The shape of the raw input '{spec.name}' can not be deduced because there are "
                "more than one variable-sized dimension"
            )
        fixed_bytes = math.prod(dim for dim in spec.dims if dim != -1) * spec.datatype.size_bytes
        return tuple(size_bytes // fixed_bytes if dim == -1 else dim for dim in spec.dims)


def carry_over(shape: Iterable[int], dims: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
    """`target` with its -1s replaced, in order, by the sizes that `shape` has where `dims` has -1."""
    variable = iter([size for size, dim in zip(shape, dims, strict=False) if dim == -1])
    return tuple(next(variable, dim) if dim == -1 else dim for dim in target)


def fits(shape: tuple[int, ...], dims: tuple[int, ...]) -> bool:
    """Whether `shape` is one of those that `dims` allows, where -1 is any size."""
    if len(shape) != len(dims):
        return False
    for size, dim in zip(shape, dims, strict=True):  # noqa: SIM110 - a generator takes twice as long, for each input
        if size < 0 or dim not in (-1, size):
            return False
    return True


def _quoted(names: Iterable[str]) -> str:
    return "[" + ",".join(f"'{name}'" for name in names) + "]"


def _shape_text(shape: Iterable[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
