from __future__ import annotations

import pytest

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.parameters import boolean_parameter, integer_parameter


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("ON", True), ("1", True), ("False", False), ("off", False), ("0", False)]
)
def test_booleans(text: str, expected: bool) -> None:
    assert boolean_parameter({"key": text}, "key", default=not expected) is expected


def test_defaults() -> None:
    assert boolean_parameter({}, "key", default=True) is True
    assert integer_parameter({}, "key", 7) == 7


def test_what_is_no_boolean() -> None:
    with pytest.raises(InvalidArgumentError, match="parameter 'key': failed to convert 'yes' to boolean"):
        boolean_parameter({"key": "yes"}, "key", default=True)


def test_what_is_no_integer() -> None:
    with pytest.raises(InvalidArgumentError, match="parameter 'key': failed to convert '1.5' to integral number"):
        integer_parameter({"key": "1.5"}, "key", 0)


def test_what_is_too_small() -> None:
    with pytest.raises(InvalidArgumentError, match="parameter 'key' must be at least 0, got -1"):
        integer_parameter({"key": "-1"}, "key", 0)
