"""`pb_utils.Tensor`: a named array, as models see inputs and make outputs."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tritonpy.backends import tensor as core
from tritonpy.backends.python import pb_dlpack
from tritonpy.backends.python.pb_errors import TritonModelException
from tritonpy.protos import datatypes

_CPU_DEVICE = (1, 0)  # DLPack's device type 1 is kDLCPU


@runtime_checkable
class _HasDLPack(Protocol):
    def __dlpack__(self) -> object: ...


class _Capsule:
    """A DLPack capsule in the shape that `np.from_dlpack` takes."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU_DEVICE


class _Writable:
    """NumPy marks what comes in a DLPack capsule read-only, for want of knowing; its owner gave it away to be used."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
        self.owner = array


class Tensor:
    """A named CPU tensor over a NumPy array, which it shares (a non-contiguous one is copied).

    Raises TypeError if `array` is no array, TritonModelException if the name is empty or the dtype is no tensor
    datatype.
    """

    __slots__ = ("_tensor",)

    def __init__(self, name: str, array: npt.NDArray[Any], /) -> None:
        if not isinstance(array, np.ndarray):
            raise TypeError(f"Tensor '{name}' needs a numpy.ndarray, got {type(array).__name__}")
        _check_name(name)
        if datatypes.from_numpy(array.dtype) is None:
            raise TritonModelException("NumPy dtype is not supported.")
        self._tensor = core.Tensor.from_array(name, np.asarray(array, order="C"))

    @classmethod
    def _over(cls, tensor: core.Tensor) -> Tensor:
        wrapped = cls.__new__(cls)
        wrapped._tensor = tensor
        return wrapped

    def name(self) -> str:
        return self._tensor.name

    def shape(self) -> list[int]:
        """All dimensions, the batch's included."""
        return list(self._tensor.shape)

    def triton_dtype(self) -> int:
        """The number of the datatype in the model configuration's enum."""
        return self._tensor.datatype.config_value

    def as_numpy(self) -> npt.NDArray[Any]:
        """The data without a copy; BYTES as an object array of `bytes`."""
        if self._tensor.datatype is datatypes.BF16:
            raise TritonModelException(
                "Tensor dtype is BF16 and cannot be converted to NumPy. Use to_dlpack() and from_dlpack() instead."
            )
        return self._tensor.array

    def is_cpu(self) -> bool:
        return True

    def to_dlpack(self) -> object:
        """A DLPack capsule over the data."""
        return self.__dlpack__()

    @staticmethod
    def from_dlpack(name: str, source: object) -> Tensor:
        """A tensor over a DLPack capsule, or over any CPU object that has `__dlpack__`."""
        _check_name(name)
        capsule = source.__dlpack__() if isinstance(source, _HasDLPack) else source
        datatype = pb_dlpack.hide_bf16(capsule)
        array: npt.NDArray[Any] = np.from_dlpack(_Capsule(capsule))
        if not array.flags.c_contiguous:
            raise TritonModelException(
                "DLPack tensor is not contiguous. Only contiguous DLPack tensors that are stored in C-Order are "
                "supported."
            )
        return Tensor._over(core.Tensor.from_array(name, np.asarray(_Writable(array)), datatype))

    def __dlpack__(self, *, stream: object = None) -> object:
        if self._tensor.datatype is datatypes.BYTES:
            raise TritonModelException("DLPack does not have support for string tensors.")
        capsule = self._tensor.array.__dlpack__()
        if self._tensor.datatype is datatypes.BF16:
            pb_dlpack.show_bf16(capsule)
        return capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU_DEVICE


def _check_name(name: str) -> None:
    if not name:
        raise TritonModelException("Tensor name cannot be an empty string.")
