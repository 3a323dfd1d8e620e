"""Reads the values of a model's `parameters`, which are all text."""

from __future__ import annotations

from collections.abc import Mapping

from tritonpy.backends.errors import InvalidArgumentError

_BOOLEANS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}


def boolean_parameter(parameters: Mapping[str, str], key: str, default: bool) -> bool:
    """A parameter that is true/on/1 or false/off/0 in any case; raises InvalidArgumentError for other text."""
    text = parameters.get(key)
    if text is None:
        return default
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise InvalidArgumentError(f"parameter '{key}': failed to convert '{text}' to boolean")
    return value


def integer_parameter(parameters: Mapping[str, str], key: str, default: int, minimum: int = 0) -> int:
    """A parameter that is a whole number of at least `minimum`; raises InvalidArgumentError for other text."""
    text = parameters.get(key)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        raise InvalidArgumentError(f"parameter '{key}': failed to convert '{text}' to integral number") from None
    if value < minimum:
        raise InvalidArgumentError(f"parameter '{key}' must be at least {minimum}, got {value}")
    return value
