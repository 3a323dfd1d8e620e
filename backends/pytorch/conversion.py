"""NumPy arrays to torch tensors and back, sharing memory on the CPU."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from tritonpy.backends.errors import InternalError
from tritonpy.backends.gather import BatchOutput
from tritonpy.backends.tensor import Array
from tritonpy.protos import datatypes
from tritonpy.protos.datatypes import Datatype

# Request data is read-only; models do not write to their inputs, and one that does has been told so by torch.
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


def to_torch(array: Array, datatype: Datatype | None, device: torch.device) -> torch.Tensor | list[str]:
    """A tensor on `device` over `array`; BYTES become a list of text. Raises UnicodeDecodeError for bytes that are
    no UTF-8."""
    if datatype is datatypes.BYTES:
        return [element.decode() for element in array.ravel().tolist()]
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if datatype is datatypes.BF16:
        tensor = tensor.view(torch.bfloat16)
    return tensor if device.type == "cpu" else tensor.to(device, non_blocking=True)


def to_output(name: str, value: object) -> BatchOutput:
    """A result of a model as an output; raises InternalError for what no output can be."""
    if isinstance(value, list) and all(isinstance(element, str) for element in value):
        elements = np.empty(len(value), dtype=object)
        elements[:] = value
        return BatchOutput(name, elements)
    if not isinstance(value, torch.Tensor):
        raise InternalError(
            "output must be of type Tensor, List[str] or Tuple containing one of these two types. It should not be a "
            f"List / Dictionary of Tensors or a Scalar: output '{name}' is {type(value).__name__}"
        )
    tensor = value.detach().cpu().contiguous()
    datatype = DATATYPES.get(tensor.dtype)
    if datatype is None:
        raise InternalError(f"output '{name}' has the type {tensor.dtype}, which no tensor of the protocol can have")
    if datatype is datatypes.BF16:
        return BatchOutput(name, tensor.view(torch.uint16).numpy(), datatypes.BF16)
    return BatchOutput(name, tensor.numpy())
