"""BF16 (the upper half of an FP32) to and from float32 arrays; NumPy has no such type, so raw bits are uint16."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def from_float32(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The BF16 bits of `array` (same shape), rounded to nearest, ties to even; NaN stays NaN."""
    bits = np.asarray(array, dtype=np.float32, order="C").view(np.uint32)
    rounding = ((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF)
    rounded = ((bits + rounding) >> np.uint32(16)).astype(np.uint16)
    # Rounding may carry a NaN's payload away and leave infinity: set its quiet bit instead.
    quiet_nan = ((bits >> np.uint32(16)) | np.uint32(0x0040)).astype(np.uint16)
    result: npt.NDArray[np.uint16] = np.where(np.isnan(array), quiet_nan, rounded)
    return result


def to_float32(bits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The float32 values of BF16 bits (uint16, same shape); exact."""
    values: npt.NDArray[np.float32] = (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values
