"""Runs through IO binding, where plain `run` does not do.

On a CPU plain `run` copies nothing either and costs less per call than a new binding. Two cases need a binding: BF16,
for which NumPy has no type, and GPUs, where it keeps the copies to and from the device apart from the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnxruntime

from tritonpy.backends.contract import DeviceKind, InstanceSpec
from tritonpy.backends.tensor import Array
from tritonpy.protos import datatypes
from tritonpy.protos.datatypes import Datatype

_BFLOAT16 = 16  # the number of the type in ONNX's TensorProto.DataType
_BFLOAT16_TYPE = "tensor(bfloat16)"


class BoundSession:
    """A session that is run through bindings. Strings cannot be bound."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        datatype_by_name: Mapping[str, Datatype],
        instance: InstanceSpec,
        run_options: onnxruntime.RunOptions | None,
    ) -> None:
        self._session = session
        self._bf16_names = {name for name, datatype in datatype_by_name.items() if datatype is datatypes.BF16}
        self._device = "cuda" if instance.kind is DeviceKind.GPU else "cpu"
        self._device_id = instance.device_id if instance.kind is DeviceKind.GPU else 0
        self._run_options = run_options

    def bind(self, inputs: Mapping[str, Array], output_names: Iterable[str]) -> onnxruntime.IOBinding:
        """A binding with the inputs on the device. It keeps no reference to arrays: they must outlive the run."""
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, self._input(name, np.asarray(array, order="C")))
        for name in output_names:
            # BF16 cannot be copied from a device by way of NumPy, so ONNX Runtime has to write it to the host.
            device = "cpu" if name in self._bf16_names else self._device
            binding.bind_output(name, device, self._device_id if device == "cuda" else 0)
        binding.synchronize_inputs()
        return binding

    def _input(self, name: str, array: Array) -> onnxruntime.OrtValue:
        if name in self._bf16_names:
            return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, _BFLOAT16)
        return onnxruntime.OrtValue.ortvalue_from_numpy(array, self._device, self._device_id)

    def run(self, binding: onnxruntime.IOBinding) -> list[onnxruntime.OrtValue]:
        """The outputs, still on the device, in the order in which they were bound."""
        self._session.run_with_iobinding(binding, self._run_options)
        binding.synchronize_outputs()
        values: list[onnxruntime.OrtValue] = binding.get_outputs()
        return values


def to_array(value: onnxruntime.OrtValue) -> Array:
    """The array of an output: a view of its memory, or a copy if that is on a device. BF16 gives its uint16 bits."""
    if value.data_type() == _BFLOAT16_TYPE:
        return np.asarray(_Bits(value))
    array: Array = value.numpy()
    return array


class _Bits:
    """The memory of a BF16 tensor as NumPy takes it; the array that is made of it keeps this, and so the memory."""

    def __init__(self, value: onnxruntime.OrtValue) -> None:
        self._value = value

    @property
    def __array_interface__(self) -> dict[str, Any]:  # NumPy's protocol is a dictionary of mixed types
        return {
            "version": 3,
            "typestr": "<u2",
            "shape": tuple(self._value.shape()),
            "data": (self._value.data_ptr(), False),
        }
