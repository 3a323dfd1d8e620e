"""BF16 through DLPack, which NumPy cannot read: its elements travel as uint16, only the capsule's type differs.

The layout of the capsule's structure is DLPack's stable ABI (`DLManagedTensor`).
"""

from __future__ import annotations

import ctypes

from tritonpy.protos import datatypes
from tritonpy.protos.datatypes import Datatype

_UNSIGNED_INTEGER, _BFLOAT = 1, 4  # DLDataTypeCode


class _DLDataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("dtype", _DLDataType),
    )


_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype = ctypes.c_void_p
_get_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)


def _data_type(capsule: object) -> _DLDataType:
    """The element type inside an unused capsule; raises ValueError for anything else."""
    address = _get_pointer(capsule, b"dltensor")
    found: _DLDataType = _DLTensor.from_address(address).dtype
    return found


def hide_bf16(capsule: object) -> Datatype | None:
    """Make a BF16 capsule say uint16, so that NumPy takes it; returns BF16 then, else None."""
    found = _data_type(capsule)
    if found.code != _BFLOAT:
        return None
    found.code = _UNSIGNED_INTEGER
    return datatypes.BF16


def show_bf16(capsule: object) -> None:
    """Make the capsule of a uint16 array say BF16."""
    _data_type(capsule).code = _BFLOAT
