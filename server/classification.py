"""The classification extension: an output's largest values as text, `<value>:<index>[:<label>]`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.tensor import Array, Tensor
from tritonpy.protos import datatypes

MAX_ELEMENTS = 1_000_000
_UNSUPPORTED = (datatypes.BYTES, datatypes.BOOL, datatypes.FP16, datatypes.BF16)


def classify(output: Tensor, class_count: int, batching: bool, labels: Sequence[str]) -> Tensor:
    """A BYTES tensor in place of `output`, with the `class_count` largest values of each batch entry, largest
    first, equal ones by index.

    The shape is [batch, k] for a batching model, else [k], where k is at most the number of values of an entry.
    Raises InvalidArgumentError for datatypes without an order worth ranking, and for outputs above MAX_ELEMENTS.
    """
    if output.datatype in _UNSUPPORTED:
        raise InvalidArgumentError(
            f"class result not available for output due to unsupported type '{output.datatype.wire_name}'"
        )
    if output.element_count > MAX_ELEMENTS:
        raise InvalidArgumentError(
            f"classification output tensor too large: '{output.name}' has {output.element_count} elements, at most "
            f"{MAX_ELEMENTS} can be ranked"
        )
    entry_count = output.shape[0] if batching and output.shape else 1
    entries = output.array.reshape(entry_count, -1) if output.element_count else output.array.reshape(entry_count, 0)
    kept = min(class_count, entries.shape[1])
    texts = [text for entry in entries for text in _largest(entry, kept, labels)]
    array = np.array(texts, dtype=object).reshape((entry_count, kept) if batching else (kept,))
    return Tensor.from_array(output.name, array)


def _largest(values: Array, count: int, labels: Sequence[str]) -> list[bytes]:
    # A stable ascending sort of the reversed values, reversed: descending, and equal values by ascending index.
    order = len(values) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
    return [_text(values[index], int(index), labels) for index in order[:count]]


def _text(value: np.generic, index: int, labels: Sequence[str]) -> bytes:
    number = f"{value:f}" if value.dtype.kind == "f" else str(value)
    label = labels[index] if index < len(labels) else ""
    return f"{number}:{index}:{label}".encode() if label else f"{number}:{index}".encode()
