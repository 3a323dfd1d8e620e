"""The datatype table: the one place that relates wire names, config enums, NumPy types and element sizes.

Pure NumPy, no protobuf: worker processes import it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Datatype:
    """One tensor datatype. Instances are singletons; compare them with `is`.

    `numpy_dtype` is what `Tensor.array` has: BF16 appears as its 16 raw bits (uint16), because NumPy has no such
    type, and BYTES as an object array of `bytes`. `size_bytes` is that of one element, 0 when it varies.
    """

    wire_name: str
    config_name: str
    config_value: int
    numpy_dtype: np.dtype[Any]
    size_bytes: int

    def __repr__(self) -> str:
        return f"Datatype({self.wire_name})"


def _fixed(wire_name: str, config_value: int, numpy_type: str) -> Datatype:
    dtype = np.dtype(numpy_type)
    return Datatype(wire_name, f"TYPE_{wire_name}", config_value, dtype, dtype.itemsize)


# Numbers: message inference.DataType. Wire data is little-endian, as are all supported machines.
BOOL = _fixed("BOOL", 1, "bool")
UINT8 = _fixed("UINT8", 2, "uint8")
UINT16 = _fixed("UINT16", 3, "uint16")
UINT32 = _fixed("UINT32", 4, "uint32")
UINT64 = _fixed("UINT64", 5, "uint64")
INT8 = _fixed("INT8", 6, "int8")
INT16 = _fixed("INT16", 7, "int16")
INT32 = _fixed("INT32", 8, "int32")
INT64 = _fixed("INT64", 9, "int64")
FP16 = _fixed("FP16", 10, "float16")
FP32 = _fixed("FP32", 11, "float32")
FP64 = _fixed("FP64", 12, "float64")
BYTES = Datatype("BYTES", "TYPE_STRING", 13, np.dtype(object), 0)
BF16 = _fixed("BF16", 14, "uint16")

ALL = (BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, FP32, FP64, BYTES, BF16)

BY_WIRE_NAME = {datatype.wire_name: datatype for datatype in ALL}
BY_CONFIG_NAME = {datatype.config_name: datatype for datatype in ALL}
BY_CONFIG_VALUE = {datatype.config_value: datatype for datatype in ALL}

# BF16 shares uint16 with UINT16; a plain uint16 array means UINT16.
_BY_NUMPY_DTYPE = {datatype.numpy_dtype: datatype for datatype in ALL if datatype is not BF16}


def from_numpy(dtype: np.dtype[Any]) -> Datatype | None:
    """The datatype of arrays of `dtype`, or None if tensors cannot have it.

    `object` and byte-string (`S`) arrays are BYTES. Unicode (`U`) arrays, complex numbers and foreign byte order
    are not tensor types.
    """
    if dtype.kind == "S":
        return BYTES
    return _BY_NUMPY_DTYPE.get(dtype)
