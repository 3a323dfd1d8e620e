"""Limits that both front ends keep."""

from __future__ import annotations

import pytest

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.server import limits


def test_what_is_as_large_as_may_be_passes() -> None:
    limits.check_tensor_count("inputs", limits.MAX_TENSOR_COUNT)
    limits.check_name_length("input", "x" * limits.MAX_NAME_LENGTH)


def test_what_is_larger_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="request has 4097 outputs, expected at most 4096"):
        limits.check_tensor_count("outputs", limits.MAX_TENSOR_COUNT + 1)
    with pytest.raises(InvalidArgumentError, match="name of an output has 1025 characters, expected at most 1024"):
        limits.check_name_length("output", "x" * (limits.MAX_NAME_LENGTH + 1))
