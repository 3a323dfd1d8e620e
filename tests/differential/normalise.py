"""Takes out of an answer what changes from run to run: durations, times, and the paths of a machine."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from .exchange import Answer, Json

TIME_KEYS = ("ns", "last_inference")
"""Keys whose non-zero values are durations or points in time."""

TRACEBACK_LINE = re.compile(r"^  (?:\S*/)?([^/\s]+\(\d+\): )", re.MULTILINE)
"""One frame, as in ``  /models/m/1/model.py(13): execute``: the folders before the file name vary."""


def normalised(answer: Answer, repository: Path, ignoring: Collection[str]) -> Answer:
    """Return ``answer`` without the keys in ``ignoring``, with times and paths replaced by fixed words."""
    return {key: _value(key, value, repository, ignoring) for key, value in answer.items() if key not in ignoring}


def _value(key: str, value: Json, repository: Path, ignoring: Collection[str]) -> Json:
    if isinstance(value, dict):
        return normalised(value, repository, ignoring)
    if isinstance(value, list):
        return [_value("", element, repository, ignoring) for element in value]
    if isinstance(value, str) and key not in TIME_KEYS:
        return TRACEBACK_LINE.sub(r"  <path>/\1", value.replace(str(repository), "<repository>"))
    if key in TIME_KEYS and value not in (0, "0"):
        return "<time>"
    return value
