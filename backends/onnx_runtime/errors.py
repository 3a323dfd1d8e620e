"""Turns ONNX Runtime's errors into ours. Its texts begin with `[ONNXRuntimeError] : <code> : <NAME> : `."""

from __future__ import annotations

import re

from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError

_TEXT = re.compile(r"\[ONNXRuntimeError\] : (?P<code>\d+) : \w+ : (?P<message>.*)", re.DOTALL)
_SOURCE_LOCATION = re.compile(r"/\S*/onnxruntime/\S+:\d+ ")
_INVALID_ARGUMENT = "2"


def load_error(error: Exception, spec: ModelSpec) -> TritonpyError:
    """Why a model file could not be loaded."""
    _, message = _code_and_message(error, spec)
    return InternalError(message)


def run_error(error: Exception, spec: ModelSpec) -> TritonpyError:
    """Why a batch could not be run: the requests' fault if ONNX Runtime says so."""
    code, message = _code_and_message(error, spec)
    return InvalidArgumentError(message) if code == _INVALID_ARGUMENT else InternalError(message)


def _code_and_message(error: Exception, spec: ModelSpec) -> tuple[str, str]:
    text = str(error).replace(f"{spec.model_directory.parent}/", "")
    match = _TEXT.search(text)
    if match is None:
        return "", f"onnx runtime error: {text}"
    message = _SOURCE_LOCATION.sub("", match["message"])
    return match["code"], f"onnx runtime error {match['code']}: {message}"
