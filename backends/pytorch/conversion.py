"""NumPy arrays to torch tensors and back, sharing memory on the CPU."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.pytorch.program import Argument
from tritonpy.backends.signature import TensorSpec
from tritonpy.backends.tensor import Array
from tritonpy.protos import datatypes

# Request data is read-only. Programs that write to their inputs get copies; the others may well share it.
warnings.filterwarnings("ignore", message="The given NumPy array is not writable")

TORCH_DTYPES = {
    datatypes.BOOL: torch.bool,
    datatypes.UINT8: torch.uint8,
    datatypes.UINT16: torch.uint16,
    datatypes.UINT32: torch.uint32,
    datatypes.UINT64: torch.uint64,
    datatypes.INT8: torch.int8,
    datatypes.INT16: torch.int16,
    datatypes.INT32: torch.int32,
    datatypes.INT64: torch.int64,
    datatypes.FP16: torch.float16,
    datatypes.FP32: torch.float32,
    datatypes.FP64: torch.float64,
    datatypes.BF16: torch.bfloat16,
}
DATATYPES = {dtype: datatype for datatype, dtype in TORCH_DTYPES.items()}


def to_argument(array: Array, spec: TensorSpec, device: torch.device) -> Argument:
    """A contiguous tensor on `device`, over the memory of `array` where that is possible; BYTES (whose array has
    `str` elements) become a list of text."""
    if spec.datatype is datatypes.BYTES:
        words: list[str] = array.ravel().tolist()
        return words
    tensor = torch.from_numpy(np.ascontiguousarray(array)).reshape(array.shape)
    if spec.datatype is datatypes.BF16:
        tensor = tensor.view(torch.bfloat16)
    return tensor if device.type == "cpu" else tensor.to(device, non_blocking=True)


def to_array(value: object, spec: TensorSpec, batching: bool) -> Array:
    """A result as the array of an output: a view of its memory if that is on the CPU. BF16 gives its uint16 bits.

    Raises InternalError for what no output can be, InvalidArgumentError if the configuration says another type.
    """
    if isinstance(value, list) and all(isinstance(element, str) for element in value):
        _check_datatype(spec, datatypes.BYTES)
        words = np.empty(len(value), dtype=object)
        words[:] = value
        return words.reshape(-1, 1) if batching else words
    if not isinstance(value, torch.Tensor):
        raise InternalError(
            "output must be of type Tensor, List[str] or Tuple containing one of these two types. It should not be a "
            f"List / Dictionary of Tensors or a Scalar: output '{spec.name}' is {type(value).__name__}"
        )
    if not value.dim():
        raise InternalError(f"output '{spec.name}' is a scalar which is not supported.")
    _check_datatype(spec, DATATYPES.get(value.dtype), str(value.dtype))
    tensor = value.detach().cpu().contiguous()
    array: Array = (tensor.view(torch.uint16) if tensor.dtype is torch.bfloat16 else tensor).numpy()
    return array


def _check_datatype(spec: TensorSpec, found: datatypes.Datatype | None, torch_name: str = "") -> None:
    if found is not spec.datatype:
        expected = spec.datatype.config_name if spec.datatype else "TYPE_INVALID"
        raise InvalidArgumentError(
            f"configuration expects datatype {expected} for output '{spec.name}', model provides "
            f"{found.config_name if found else torch_name}"
        )
