"""Makes one batch of many requests, and many responses of one batch.

A batch of one request is not copied; for more, each input is copied once, into the batch. Outputs are views.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.signature import ModelSignature
from tritonpy.backends.tensor import Array, Tensor
from tritonpy.protos import bytes_codec, datatypes

ReadTensor = Callable[[Tensor], Array]


def read_array(tensor: Tensor) -> Array:
    """The array of an input, read-only if it shares the request's bytes.

    Raises InvalidArgumentError if the elements of a BYTES input do not fit its shape.
    """
    try:
        return tensor.array
    except bytes_codec.BytesFormatError as error:
        raise InvalidArgumentError(_format_problem(error, tensor)) from None


def read_text(tensor: Tensor) -> Array:
    """As `read_array`, but a BYTES input gives `str` elements, for frameworks whose strings are text.

    Raises InvalidArgumentError if an element is not UTF-8.
    """
    array = read_array(tensor)
    if tensor.datatype is not datatypes.BYTES:
        return array
    text = np.empty(array.size, dtype=object)
    try:
        text[:] = [element.decode() for element in array.ravel()]
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"the strings of inference input '{tensor.name}' must be UTF-8 for this model, got the bytes "
            f"{error.object[:32]!r}: {error.reason}"
        ) from None
    return text.reshape(array.shape)


def _format_problem(error: bytes_codec.BytesFormatError, tensor: Tensor) -> str:
    where, expected = f"for inference input '{tensor.name}'", tensor.element_count
    if isinstance(error, bytes_codec.TooManyElements):
        return f"unexpected number of string elements {expected + 1} {where}, expecting {expected}"
    if isinstance(error, bytes_codec.TooFewElements):
        return f"expected {expected} strings {where}, got {error.found_count}"
    if isinstance(error, bytes_codec.IncompleteElement):
        return (
            f"incomplete string data {where}, expecting string of length {error.length_bytes} but only "
            f"{error.available_bytes} bytes available"
        )
    assert isinstance(error, bytes_codec.IncompleteLength)
    return (
        f"incomplete string length indicator {where}, expecting 4 bytes but only {error.available_bytes} bytes "
        "available"
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that run together.

    `inputs` are whole: with batching the first dimension counts the rows of all requests, except for ragged inputs,
    which are one flat row of elements. `row_counts` says how many rows are whose, by place of the request;
    requests without an entry could not be read, and have their error in `responses` already.
    """

    requests: Sequence[InferenceRequest]
    responses: list[InferenceResponse | None]
    row_counts: Mapping[int, int]
    inputs: dict[str, Array]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to run."""
        return not self.row_counts

    def wants(self, output_name: str) -> bool:
        """Whether any request of the batch asks for this output."""
        return any(self.requests[index].wants(output_name) for index in self.row_counts)

    def fail(self, error: TritonpyError) -> list[InferenceResponse | None]:
        """The responses when the run failed: `error` for every request that was part of it."""
        for index in self.row_counts:
            self.responses[index] = InferenceResponse(error=error)
        return self.responses


def gather(requests: Sequence[InferenceRequest], signature: ModelSignature, read: ReadTensor = read_array) -> Batch:
    """Put the inputs of `requests` together; `read` turns each into an array.

    A request for which `read` raises InvalidArgumentError fails alone. Without batching there must be one request.
    """
    assert signature.batching or len(requests) == 1, "a model without batching runs one request at a time"
    responses: list[InferenceResponse | None] = [None] * len(requests)
    members: dict[int, dict[str, Array]] = {}
    for index, request in enumerate(requests):
        try:
            members[index] = {name: read(tensor) for name, tensor in request.inputs.items()}
        except InvalidArgumentError as error:
            responses[index] = InferenceResponse(error=error)
    row_counts = {index: requests[index].batch_size for index in members}
    return Batch(requests, responses, row_counts, _combine(list(members.values()), signature))


def _combine(members: list[dict[str, Array]], signature: ModelSignature) -> dict[str, Array]:
    """Requests of one batch have the same set of inputs: the scheduler sees to it."""
    if not members:
        return {}
    ragged = {spec.name for spec in signature.inputs if spec.allow_ragged_batch and signature.batching}
    return {name: _join([member[name] for member in members], name in ragged) for name in members[0]}


def _join(arrays: list[Array], ragged: bool) -> Array:
    if ragged:
        arrays = [array.reshape(-1) for array in arrays]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def scatter(batch: Batch, outputs: Mapping[str, Array], signature: ModelSignature) -> list[InferenceResponse | None]:
    """The response to each request of `batch`, with those of `outputs` that it wants.

    `outputs` are whole, of the signature's datatypes; BYTES are object arrays of `bytes` or `str`. The requests
    get an InternalError instead if the model gave too few rows.
    """
    total = sum(batch.row_counts.values())
    for name, array in outputs.items():
        if signature.batching and (not array.ndim or len(array) < total):
            return batch.fail(_too_few_rows(name, total, len(array) if array.ndim else 0))
    ends = itertools.accumulate(batch.row_counts.values())
    for (index, row_count), end in zip(batch.row_counts.items(), ends, strict=True):
        rows = slice(end - row_count, end) if signature.batching else None
        request = batch.requests[index]
        batch.responses[index] = InferenceResponse(
            [_output(signature, name, array, rows) for name, array in outputs.items() if request.wants(name)]
        )
    return batch.responses


def _too_few_rows(name: str, expected: int, got: int) -> InternalError:
    return InternalError(
        f"failed to split the output tensor '{name}' in responses: expected batch size of at least {expected} in "
        f"model output, got {got}"
    )


def _output(signature: ModelSignature, name: str, array: Array, rows: slice | None) -> Tensor:
    if rows is not None:
        array = array[rows]
    elif not array.ndim:
        array = array.reshape(1)  # a configuration cannot say "scalar"
    tensor = Tensor.from_array(name, array, signature.output_by_name[name].datatype)
    if tensor.datatype is datatypes.BYTES:
        return Tensor(name, datatypes.BYTES, array.shape, tensor.buffer)  # encoded here, not on the event loop
    return tensor
