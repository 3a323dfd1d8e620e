"""Models whose requests are checked, and requests to them."""

from __future__ import annotations

import math

import pytest

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.request import InferenceRequest
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes
from tritonpy.scheduler.admission import Admission

RID = "[request id: <id_unknown>] "
NOTE = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try "
    "setting max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)


def spec(name: str, *dims: int, datatype: datatypes.Datatype = datatypes.INT32, optional: bool = False) -> TensorSpec:
    return TensorSpec(name, datatype, dims, optional=optional)


OUT = TensorSpec("OUT", datatypes.INT32, (4,))
ADD_SUB = Admission("add_sub", ModelSignature(8, (spec("A", 4), spec("B", 4)), (OUT,)))
VARIABLE = Admission("variable", ModelSignature(8, (spec("IN", -1),), (OUT,)))
GRID = Admission("grid", ModelSignature(0, (spec("IN", 2, -1),), (OUT,)))
OPTIONAL = Admission("opt", ModelSignature(0, (spec("MUST", 1), spec("MAY", 1, optional=True)), (OUT,)))
STRINGS = Admission("strings", ModelSignature(0, (spec("IN", -1, datatype=datatypes.BYTES),), (OUT,)))
STRING_BATCHES = Admission("rows", ModelSignature(8, (spec("IN", 1, datatype=datatypes.BYTES),), (OUT,)))


def tensor(name: str, *shape: int, size_bytes: int | None = None) -> Tensor:
    """INT32 zeros, as much as the shape needs unless said otherwise."""
    return Tensor(
        name, datatypes.INT32, shape, bytes(max(0, 4 * math.prod(shape)) if size_bytes is None else size_bytes)
    )


def strings(shape: tuple[int, ...], data: bytes) -> Tensor:
    return Tensor("IN", datatypes.BYTES, shape, data)


def request_of(*tensors: Tensor, **fields: object) -> InferenceRequest:
    request = InferenceRequest("m", {each.name: each for each in tensors})
    for name, value in fields.items():
        setattr(request, name, value)
    return request


def refusal(admission: Admission, *tensors: Tensor, **fields: object) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        admission.check(request_of(*tensors, **fields))
    return caught.value.message


def reshaping(max_batch_size: int, dims: tuple[int, ...], reshape: tuple[int, ...]) -> Admission:
    return Admission("m", ModelSignature(max_batch_size, (TensorSpec("IN", datatypes.INT32, dims, reshape),), ()))
