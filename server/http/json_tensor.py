"""Turns the `data` of a JSON input into a tensor, at the speed of NumPy.

Any nesting is flattened row-major; only the number of elements has to match the shape. Integers are narrowed modulo
2^n without error (256 is 0 as UINT8), because the protocol's reference implementation does so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.tensor import Array, Tensor
from tritonpy.protos import bytes_codec, datatypes
from tritonpy.protos.datatypes import Datatype
from tritonpy.server.http import limits
from tritonpy.server.http.json_access import (
    MAX_SIGNED,
    MAX_UNSIGNED,
    MIN_SIGNED,
    NON_BOOLEAN,
    NON_NUMBER,
    NON_SIGNED,
    NON_STRING,
    NON_UNSIGNED,
    Json,
    Numbers,
)

_UNSIGNED = (datatypes.UINT8, datatypes.UINT16, datatypes.UINT32, datatypes.UINT64)
_SIGNED = (datatypes.INT8, datatypes.INT16, datatypes.INT32, datatypes.INT64)
_NOT_IN_JSON = (datatypes.FP16, datatypes.BF16)


def element_count(name: str, shape: Sequence[int]) -> int:
    """The number of elements of `shape`; 0 for the empty shape too, as the real server counts.

    Raises InvalidArgumentError when it does not fit in 64 bits, dimensions of size 0 left aside.
    """
    if math.prod(filter(None, shape)) > limits.MAX_ELEMENT_COUNT:
        dims = ",".join(str(dim) for dim in shape)
        raise InvalidArgumentError(
            f"invalid shape for input '{name}': shape [{dims}] causes total element count to exceed maximum size of "
            f"{limits.MAX_ELEMENT_COUNT}"
        )
    return math.prod(shape) if shape else 0


def tensor_from_json(
    name: str, datatype: Datatype, shape: tuple[int, ...], data: list[Json] | Numbers, limit_bytes: int
) -> Tensor:
    """The tensor of `shape` with the elements of `data`, for a shape that has elements.

    A BYTES tensor may get another number of elements than its shape asks for: like that of a binary input it is
    checked when the request is accepted. Raises InvalidArgumentError for datatypes that JSON does not carry and
    data over a limit, InternalError for elements of another type and a wrong number of them.
    """
    if datatype in _NOT_IN_JSON:
        raise InvalidArgumentError(
            f"receiving {datatype.wire_name} data via JSON is not supported. Please use the binary data format for "
            f"input {name}"
        )
    if datatype is datatypes.BYTES:
        return Tensor(name, datatype, shape, _bytes_data(data))
    count = element_count(name, shape)
    _check_size(name, count, datatype.size_bytes, limit_bytes)
    array = _parsed(datatype, data, count) if isinstance(data, Numbers) else _converted(datatype, flatten(data), count)
    return Tensor.from_array(name, array.reshape(shape), datatype)


def _check_size(name: str, count: int, element_size_bytes: int, limit_bytes: int) -> None:
    size_bytes = count * element_size_bytes
    if size_bytes > limits.MAX_ELEMENT_COUNT:
        raise InvalidArgumentError(
            f"byte size overflow for input '{name}': element count ({count}) * data type size ({element_size_bytes}) "
            f"exceeds maximum allowed size ({limits.MAX_ELEMENT_COUNT})"
        )
    if size_bytes > limit_bytes:
        raise limits.json_data_too_large(name, size_bytes, limit_bytes)


def flatten(data: list[Json]) -> list[Json]:
    """The elements of nested lists in row-major order; raises InvalidArgumentError if they are nested too deeply."""
    for _ in range(limits.MAX_JSON_DEPTH):
        kinds = set(map(type, data))
        if list not in kinds:
            return data
        if len(kinds) == 1:
            data = list(chain.from_iterable(data))  # type: ignore[arg-type]  # every element is a list
        else:
            data = list(chain.from_iterable(item if isinstance(item, list) else (item,) for item in data))
    raise limits.json_too_deep()


def _bytes_data(data: list[Json] | Numbers) -> bytes:
    elements = [None] if isinstance(data, Numbers) else flatten(data)
    if not all(isinstance(element, str) for element in elements):
        raise InternalError(f"Unable to parse JSON bytes array: {NON_STRING}")
    return bytes_codec.encode_elements(str(element).encode("utf-8", "surrogateescape") for element in elements)


def number_array(elements: list[Json]) -> Array | None:
    """A flat array of numbers, as int64, uint64 or float64, or of booleans; None if they are something else."""
    kinds = set(map(type, elements))
    if kinds <= {bool}:
        return np.array(elements, dtype=np.bool_)
    if kinds == {int}:
        return _integers(elements)
    if kinds <= {int, float}:
        return np.array(elements, dtype=np.float64)
    return None


def _integers(elements: list[Json]) -> Array:
    try:
        return np.array(elements, dtype=np.int64)
    except OverflowError:
        # Negative and very large ones together are integers for no datatype, but numbers all the same.
        negative = min(elements) < 0  # type: ignore[type-var,operator]  # all are integers
        return np.array(elements, dtype=np.float64 if negative else np.uint64)


def _converted(datatype: Datatype, elements: list[Json], count: int) -> Array:
    """The elements as an array of `datatype`; raises InternalError if there are not `count` of the right type."""
    if len(elements) == count:
        array = number_array(elements)
        narrowed = None if array is None else _narrowed(datatype, array)
        if narrowed is not None:
            return narrowed
    raise _mismatch(datatype, elements, count)


def _parsed(datatype: Datatype, numbers: Numbers, count: int) -> Array:
    """As `_converted`, for elements that are in arrays already."""
    parts = [_narrowed(datatype, array) for array in numbers.arrays if array.size]
    fitting = [part for part in parts if part is not None]
    if len(fitting) == len(parts) and sum(part.size for part in fitting) == count:
        return np.concatenate(fitting)
    raise _mismatch(datatype, [element for array in numbers.arrays for element in array.tolist()], count)


def _narrowed(datatype: Datatype, array: Array) -> Array | None:
    """A `number_array` in `datatype`, None if it holds others than that takes."""
    kind = array.dtype.kind
    if datatype is datatypes.BOOL:
        return array if kind == "b" else None
    if datatype in _SIGNED:
        return array.astype(datatype.numpy_dtype, copy=False) if kind == "i" else None
    if datatype in _UNSIGNED:
        return array.astype(datatype.numpy_dtype) if kind == "u" or (kind == "i" and array.min() >= 0) else None
    with np.errstate(over="ignore"):  # what is too large for FP32 becomes infinity
        return array.astype(datatype.numpy_dtype, copy=False) if kind in "iuf" else None


def _mismatch(datatype: Datatype, elements: list[Json], count: int) -> InternalError:
    """What is wrong first, in the order of the elements: one of another type, or their number."""
    fits, phrase = _ELEMENT_RULES[datatype]
    if not all(fits(element) for element in elements[:count]):
        return InternalError(f"Unable to parse 'data': {phrase}")
    return InternalError("Unable to parse 'data': Shape does not match true shape of 'data' field")


def _is_boolean(value: Json) -> bool:
    return isinstance(value, bool)


def _is_signed(value: Json) -> bool:
    return type(value) is int and MIN_SIGNED <= value <= MAX_SIGNED


def _is_unsigned(value: Json) -> bool:
    return type(value) is int and 0 <= value <= MAX_UNSIGNED


def _is_number(value: Json) -> bool:
    return type(value) in (int, float)


_ELEMENT_RULES: dict[Datatype, tuple[Callable[[Json], bool], str]] = {
    datatypes.BOOL: (_is_boolean, NON_BOOLEAN),
    datatypes.FP32: (_is_number, NON_NUMBER),
    datatypes.FP64: (_is_number, NON_NUMBER),
    **dict.fromkeys(_SIGNED, (_is_signed, NON_SIGNED)),
    **dict.fromkeys(_UNSIGNED, (_is_unsigned, NON_UNSIGNED)),
}
