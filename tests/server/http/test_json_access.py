"""Typed access: nothing is converted, and every phrase is the protocol's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tritonpy.backends.errors import InternalError
from tritonpy.server.http import json_access
from tritonpy.server.http.json_access import Json


@pytest.mark.parametrize(
    ("convert", "value", "phrase"),
    [
        (json_access.as_string, 5, "attempt to access JSON non-string as string"),
        (json_access.as_string, None, "attempt to access JSON non-string as string"),
        (json_access.as_boolean, 1, "attempt to access JSON non-boolean as boolean"),
        (json_access.as_boolean, "true", "attempt to access JSON non-boolean as boolean"),
        (json_access.as_unsigned, -1, "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        (json_access.as_unsigned, 1.0, "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        (json_access.as_unsigned, "1", "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        (json_access.as_unsigned, True, "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        (json_access.as_unsigned, 2**64, "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        (json_access.as_array, {}, "attempt to access JSON non-array as array"),
        (json_access.members, [], "attempt to get members for non-object"),
    ],
)
def test_other_types_are_refused(convert: Callable[[Json], object], value: Json, phrase: str) -> None:
    with pytest.raises(InternalError) as caught:
        convert(value)
    assert caught.value.message == phrase


def test_values_of_the_right_type_come_back() -> None:
    assert json_access.as_string("") == ""
    assert json_access.as_boolean(False) is False
    assert json_access.as_unsigned(2**64 - 1) == 2**64 - 1
    assert json_access.as_array([1]) == [1]
    assert json_access.members({"a": 1}) == {"a": 1}


def test_a_member_error_says_which_member() -> None:
    with pytest.raises(InternalError, match=r"^Unable to parse 'id': attempt to access JSON non-string as string$"):
        json_access.member({"id": 5}, "id", json_access.as_string)


@pytest.mark.parametrize("container", [{}, [], 5, "id", None])
def test_a_missing_member(container: Json) -> None:
    with pytest.raises(
        InternalError, match=r"^Unable to parse 'id': attempt to access non-existing object member 'id'$"
    ):
        json_access.member(container, "id", json_access.as_string)
    assert json_access.optional_member(container, "id", json_access.as_string, "none") == "none"


def test_another_beginning() -> None:
    with pytest.raises(InternalError, match=r"^Unable to set 'k': attempt to access JSON non-boolean as boolean$"):
        json_access.optional_member({"k": 1}, "k", json_access.as_boolean, False, "Unable to set 'k'")
