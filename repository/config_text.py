"""Reads config.pbtxt: protobuf text format of `inference.ModelConfig`, with protobuf's own parser."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from google.protobuf import text_format

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.protos.generated import model_config_pb2

_PACKAGE = "inference."
_UNKNOWN_FIELD = re.compile(r'Message type "([\w.]+)" has no field named "(\w+)"')
_UNKNOWN_VALUE = re.compile(r'Enum type "([\w.]+)" has no value named (\w+)')
_POSITION = re.compile(r"^\d+:\d+ : ?(.*)", re.S)


class ConfigFileError(InvalidArgumentError):
    """A configuration file that cannot be read: `<model>/config.pbtxt:<line>:<column>: <what is wrong>`."""

    def __init__(self, filename: str, line: int, column: int, problem: str) -> None:
        super().__init__(f"{filename}:{line}:{column}: {problem}")
        self.line = line
        self.column = column


def read_config(path: Path) -> model_config_pb2.ModelConfig:
    """The configuration in a file. Raises ConfigFileError, which names the file from the model's folder on."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigFileError(_shown(path), line, 1, f"not UTF-8 text ({error.reason})") from None
    return parse_config(text, _shown(path))


def parse_config(text: str, filename: str) -> model_config_pb2.ModelConfig:
    """The configuration in `text`; raises ConfigFileError with line and column."""
    config = model_config_pb2.ModelConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        line, column = error.GetLine() or 1, error.GetColumn() or 1
        raise ConfigFileError(filename, line, column, _explained(_problem(error, text, line))) from None
    return config


def _problem(error: text_format.ParseError, text: str, line: int) -> str:
    """The parser's message without position and without the line of the file, which it may put in front."""
    match = _POSITION.match(str(error))
    problem = match[1] if match else str(error)
    source = text.split("\n")[line - 1]
    return problem.removeprefix(f"'{source}': ").removeprefix("'': ")


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _explained(problem: str) -> str:
    """The parser's message, with the name that was probably meant if a field or value is unknown."""
    pool = model_config_pb2.DESCRIPTOR.pool
    if match := _UNKNOWN_FIELD.search(problem):
        fields = pool.FindMessageTypeByName(match[1]).fields_by_name
        return f"unknown field '{match[2]}' in {_short(match[1])}; {_hint(match[2], fields)}"
    if match := _UNKNOWN_VALUE.search(problem):
        values = pool.FindEnumTypeByName(match[1]).values_by_name
        return f"unknown value '{match[2]}' of {_short(match[1])}; expected one of: {', '.join(values)}"
    return problem.replace(_PACKAGE, "")


def _short(full_name: str) -> str:
    return full_name.removeprefix(_PACKAGE)


def _hint(wrong: str, names: Iterable[str]) -> str:
    known = sorted(names)
    near = difflib.get_close_matches(wrong, known, 1)
    return f"did you mean '{near[0]}'?" if near else f"expected one of: {', '.join(known)}"
