"""Reads config.pbtxt: protobuf text format of `inference.ModelConfig`, with protobuf's own parser."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.protos.generated import model_config_pb2

_UNKNOWN_FIELD = re.compile(r'Message type "([\w.]+)" has no field named "(\w+)"')
_POSITION = re.compile(r"^(\d+):(\d+) : ?(.*)", re.S)


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
        match = _POSITION.match(str(error))
        problem = match[3] if match else str(error)
        raise ConfigFileError(filename, line, column, _explained(problem)) from None
    return config


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _explained(problem: str) -> str:
    """The parser's message, with the name that was probably meant if a field is unknown."""
    match = _UNKNOWN_FIELD.search(problem)
    if match is None:
        return problem
    message_name, field = match[1], match[2]
    message = _find_message(message_name)
    names = sorted(message.fields_by_name) if message else []
    near = difflib.get_close_matches(field, names, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"expected one of: {', '.join(names)}"
    return f"unknown field '{field}' in {message_name.removeprefix('inference.')}; {hint}"


def _find_message(full_name: str) -> Descriptor | None:
    pool = model_config_pb2.DESCRIPTOR.pool
    try:
        return pool.FindMessageTypeByName(full_name)
    except KeyError:
        return None
