"""Model specs, requests and runs for tests of backends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tritonpy.backends.contract import DeviceKind, Instance, InstanceSpec, ModelSpec, model_spec
from tritonpy.backends.errors import TritonpyError
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.run_batch import run_batch
from tritonpy.backends.tensor import Array, Tensor
from tritonpy.protos import datatypes


def entry(name: str, data_type: str, dims: list[int], **fields: Any) -> dict[str, Any]:
    """An element of `input` or `output`; `data_type` without its prefix."""
    return {"name": name, "data_type": f"TYPE_{data_type}", "dims": dims, **fields}


def make_spec(
    repository: Path,
    *,
    backend_config: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
    **config: Any,
) -> ModelSpec:
    """The spec of model `m` with this configuration; its version folder is made."""
    version_directory = repository / "m" / "1"
    version_directory.mkdir(parents=True, exist_ok=True)
    full = {
        "name": "m",
        "parameters": {key: {"string_value": value} for key, value in (parameters or {}).items()},
        **config,
    }
    return model_spec(1, version_directory.parent, version_directory, json.dumps(full), backend_config or {})


def instance_spec(kind: DeviceKind = DeviceKind.CPU, count: int = 1, name: str = "m_0") -> InstanceSpec:
    return InstanceSpec(name, kind, 0, count)


def make_request(*outputs: str, batch_size: int = 1, **inputs: Array) -> InferenceRequest:
    """A request in wire form, as it comes from a client. uint16 arrays become UINT16."""
    tensors = {}
    for name, array in inputs.items():
        tensor = Tensor.from_array(name, array)
        tensors[name] = Tensor(name, tensor.datatype, array.shape, bytes(tensor.buffer))
    return InferenceRequest("m", tensors, requested_outputs=outputs, batch_size=batch_size)


def rows(*outputs: str, **inputs: Array) -> InferenceRequest:
    """A request whose first dimension is the batch."""
    return make_request(*outputs, batch_size=len(next(iter(inputs.values()))), **inputs)


def bfloat16_request(name: str, bits: Array) -> InferenceRequest:
    """A request with one BF16 input, given as uint16 bits."""
    tensor = Tensor(name, datatypes.BF16, bits.shape, bits.tobytes())
    return InferenceRequest("m", {name: tensor}, batch_size=len(bits))


def words(*elements: bytes | str) -> Array:
    """A one-dimensional BYTES array."""
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def run(instance: Instance, *requests: InferenceRequest) -> list[InferenceResponse]:
    """The responses to one batch."""

    def refuse(index: int, response: InferenceResponse) -> None:
        raise AssertionError("these backends answer by returning")

    responses = run_batch("m_0", instance, requests, refuse).responses
    return [response for response in responses if response is not None]


def outputs(response: InferenceResponse) -> dict[str, Array]:
    """The outputs of a good response."""
    assert response.error is None, response.error
    return {tensor.name: tensor.array for tensor in response.outputs}


def error(response: InferenceResponse) -> TritonpyError:
    assert response.error is not None
    return response.error
