"""The plain functions and constants of `triton_python_backend_utils`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tritonpy.backends.python.pb_tensor import Tensor
from tritonpy.protos import bytes_codec, datatypes

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
TRITONSERVER_REQUEST_RELEASE_ALL = 1
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = 2

# NumPy scalar types by configuration name. BF16 has none.
TRITON_STRING_TO_NUMPY: dict[str, Any] = {
    datatype.config_name: np.object_ if datatype is datatypes.BYTES else datatype.numpy_dtype.type
    for datatype in datatypes.ALL
    if datatype is not datatypes.BF16
}
TRITON_STRING_TO_NUMPY["TYPE_BOOL"] = bool
_TYPE_BY_NUMBER = {
    datatypes.BY_CONFIG_NAME[name].config_value: numpy_type for name, numpy_type in TRITON_STRING_TO_NUMPY.items()
}


class _HasInputs(Protocol):
    def inputs(self) -> Sequence[Tensor]: ...


class _HasOutputs(Protocol):
    def output_tensors(self) -> Sequence[Tensor]: ...


def get_input_tensor_by_name(inference_request: _HasInputs, name: str) -> Tensor | None:
    """The request's first input of that name, or None."""
    return _first_named(inference_request.inputs(), name)


def get_output_tensor_by_name(inference_response: _HasOutputs, name: str) -> Tensor | None:
    """The response's first output of that name, or None."""
    return _first_named(inference_response.output_tensors(), name)


def _first_named(tensors: Sequence[Tensor], name: str) -> Tensor | None:
    return next((tensor for tensor in tensors if tensor.name() == name), None)


def get_input_config_by_name(model_config: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The entry of `input` with that name in a parsed configuration, or None."""
    return next((entry for entry in model_config.get("input", ()) if entry["name"] == name), None)


def get_output_config_by_name(model_config: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The entry of `output` with that name in a parsed configuration, or None."""
    return next((entry for entry in model_config.get("output", ()) if entry["name"] == name), None)


def using_decoupled_model_transaction_policy(model_config: Mapping[str, Any]) -> bool:
    """Whether a parsed configuration lets the model answer a request any number of times."""
    return bool(model_config.get("model_transaction_policy", {}).get("decoupled", False))


def triton_string_to_numpy(triton_type_string: str) -> Any:
    """The NumPy scalar type of `TYPE_FP32` and the like; raises KeyError for others (BF16 has none)."""
    return TRITON_STRING_TO_NUMPY[triton_type_string]


def triton_to_numpy_type(data_type: int) -> Any:
    """The NumPy scalar type of a number of the configuration's datatype enum."""
    return _TYPE_BY_NUMBER[data_type]


def numpy_to_triton_type(data_type: Any) -> int:
    """The number in the configuration's datatype enum of a NumPy type."""
    found = datatypes.from_numpy(np.dtype(data_type))
    if found is None:
        raise KeyError(data_type)
    return found.config_value


def serialize_byte_tensor(input_tensor: npt.NDArray[Any]) -> bytes | tuple[()] | None:
    """A bytes or object array in wire form; `()` if it is empty, None if its dtype is neither."""
    if input_tensor.size == 0:
        return ()
    if input_tensor.dtype.kind not in ("O", "S"):
        return None
    elements = input_tensor.ravel(order="C").tolist()
    return bytes_codec.encode_elements(item if isinstance(item, bytes) else str(item) for item in elements)


def deserialize_bytes_tensor(encoded_tensor: bytes) -> npt.NDArray[np.object_]:
    """The elements of a wire-form buffer, as a one-dimensional object array of `bytes`."""
    elements = bytes_codec.decode_all_elements(encoded_tensor)
    array = np.empty(len(elements), dtype=np.object_)
    array[:] = elements
    return array
