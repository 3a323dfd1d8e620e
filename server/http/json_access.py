"""Takes typed values out of a JSON document, with Triton's phrases for what does not fit.

Nothing is converted: booleans are literal true and false, integers integer literals. Type errors are InternalError,
because the protocol answers them with status 500.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from tritonpy.backends.errors import InternalError
from tritonpy.backends.tensor import Array


@dataclass(frozen=True, slots=True)
class Numbers:
    """A large JSON array, perhaps nested, whose elements are in arrays already: flat, one after the other."""

    arrays: list[Array]


Json: TypeAlias = "dict[str, Json] | list[Json] | Numbers | str | int | float | bool | None"
Value = TypeVar("Value")

MAX_SIGNED = 2**63 - 1
MIN_SIGNED = -(2**63)
MAX_UNSIGNED = 2**64 - 1

NON_STRING = "attempt to access JSON non-string as string"
NON_BOOLEAN = "attempt to access JSON non-boolean as boolean"
NON_SIGNED = "attempt to access JSON non-signed-integer as signed-integer"
NON_UNSIGNED = "attempt to access JSON non-unsigned-integer as unsigned-integer"
NON_NUMBER = "attempt to access JSON non-number as double"
NON_ARRAY = "attempt to access JSON non-array as array"


def has(container: Json, key: str) -> bool:
    """Whether `container` is an object with member `key`."""
    return isinstance(container, dict) and key in container


def as_string(value: Json) -> str:
    if isinstance(value, str):
        return value
    raise InternalError(NON_STRING)


def as_boolean(value: Json) -> bool:
    if isinstance(value, bool):
        return value
    raise InternalError(NON_BOOLEAN)


def is_unsigned(value: Json) -> bool:
    return type(value) is int and 0 <= value <= MAX_UNSIGNED


def as_unsigned(value: Json) -> int:
    if type(value) is int and 0 <= value <= MAX_UNSIGNED:
        return value
    raise InternalError(NON_UNSIGNED)


def as_array(value: Json) -> list[Json]:
    if isinstance(value, list):
        return value
    raise InternalError(NON_ARRAY)


def as_data(value: Json) -> list[Json] | Numbers:
    """The elements of a tensor: an array in either form."""
    return value if isinstance(value, Numbers) else as_array(value)


def members(value: Json) -> dict[str, Json]:
    """The members of an object."""
    if isinstance(value, dict):
        return value
    raise InternalError("attempt to get members for non-object")


def member(container: Json, key: str, convert: Callable[[Json], Value], prefix: str = "") -> Value:
    """Member `key` of an object through `convert`; errors begin with `prefix`, or `Unable to parse '<key>'`."""
    try:
        if isinstance(container, dict) and key in container:
            return convert(container[key])
        raise InternalError(f"attempt to access non-existing object member '{key}'")
    except InternalError as error:
        beginning = prefix or f"Unable to parse '{key}'"
        raise InternalError(f"{beginning}: {error.message}") from None


def optional_member(
    container: Json, key: str, convert: Callable[[Json], Value], default: Value, prefix: str = ""
) -> Value:
    """As `member`, or `default` where there is no such member."""
    return member(container, key, convert, prefix) if has(container, key) else default
