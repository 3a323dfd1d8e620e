"""Tensors as they travel through the server: a name, a datatype, a shape, and data in wire form or as an array.

Data stays in the form it came in. A request that goes from a socket to a worker process never becomes a NumPy
array in the server, and a model's output array is written to the socket from its own memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tritonpy.protos import bytes_codec, datatypes
from tritonpy.protos.bytes_codec import Buffer
from tritonpy.protos.datatypes import Datatype

Array = npt.NDArray[Any]


class Tensor:
    """A CPU tensor. `shape` includes the batch dimension when the model has one.

    Made from wire-form bytes (`Tensor(...)`) or from an array (`Tensor.from_array`); `buffer` and `array` convert
    on first use and keep the result. Fixed-size data is shared, never copied, in either direction (a
    non-contiguous array is copied once).
    """

    __slots__ = ("_array", "_buffer", "datatype", "name", "shape")

    def __init__(self, name: str, datatype: Datatype, shape: tuple[int, ...], buffer: Buffer) -> None:
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self._buffer: Buffer | None = buffer
        self._array: Array | None = None

    @classmethod
    def from_array(cls, name: str, array: Array, datatype: Datatype | None = None) -> Tensor:
        """A tensor over `array`; `datatype` is needed only for BF16 (whose arrays are uint16 bits).

        Raises ValueError if the array's dtype is no tensor type.
        """
        found = datatype or datatypes.from_numpy(array.dtype)
        if found is None:
            raise ValueError(f"tensor '{name}': NumPy dtype '{array.dtype}' is not a tensor datatype")
        tensor = cls.__new__(cls)
        tensor.name, tensor.datatype, tensor.shape = name, found, array.shape
        tensor._buffer, tensor._array = None, array
        return tensor

    @property
    def element_count(self) -> int:
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """The size of the data in wire form."""
        if self._buffer is None and self.datatype.size_bytes:
            return self.element_count * self.datatype.size_bytes
        return len(self.buffer)

    @property
    def buffer(self) -> Buffer:
        """The data in wire form (little-endian, row-major; BYTES with length prefixes), one flat byte buffer."""
        if self._buffer is None:
            assert self._array is not None
            self._buffer = _to_wire(self._array, self.datatype)
        return self._buffer

    @property
    def array(self) -> Array:
        """The data as an array of `shape`: read-only when it shares a request's bytes.

        BYTES give an object array of `bytes`, BF16 its uint16 bits. Raises ValueError (BytesFormatError for
        BYTES) if the data does not fit the shape; requests are checked before they are accepted.
        """
        if self._array is None:
            assert self._buffer is not None
            self._array = _from_wire(self._buffer, self.datatype, self.shape)
        return self._array

    @property
    def has_array(self) -> bool:
        """Whether `array` is at hand without conversion."""
        return self._array is not None

    def with_shape(self, shape: tuple[int, ...]) -> Tensor:
        """The same data under another shape of equal element count."""
        view = Tensor.__new__(Tensor)
        view.name, view.datatype, view.shape = self.name, self.datatype, shape
        view._buffer = self._buffer
        view._array = None if self._array is None else self._array.reshape(shape)
        return view

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, {self.datatype.wire_name}, {list(self.shape)})"


def _to_wire(array: Array, datatype: Datatype) -> Buffer:
    if datatype is datatypes.BYTES:
        return bytes_codec.encode_elements(_as_bytes(element) for element in array.ravel(order="C").tolist())
    if array.size == 0:
        return b""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _as_bytes(element: object) -> bytes:
    """One element of an object array: bytes as they are, anything else by its text in UTF-8."""
    return element if isinstance(element, bytes) else str(element).encode()


def _from_wire(buffer: Buffer, datatype: Datatype, shape: tuple[int, ...]) -> Array:
    if datatype is datatypes.BYTES:
        elements = np.empty(math.prod(shape), dtype=object)
        elements[:] = bytes_codec.decode_elements(buffer, len(elements))
        return elements.reshape(shape)
    return np.frombuffer(buffer, dtype=datatype.numpy_dtype).reshape(shape)
