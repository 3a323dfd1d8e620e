"""Builds messages as clients send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tritonpy.protos.generated import grpc_service_pb2 as messages

InputMessage = messages.ModelInferRequest.InferInputTensor
OutputMessage = messages.ModelInferRequest.InferRequestedOutputTensor
Value = bool | int | float | str | messages.InferParameter

TWO_FLOATS = np.array([1.0, 2.5], np.float32).tobytes()


def unsigned(value: int) -> messages.InferParameter:
    return messages.InferParameter(uint64_param=value)


def parameter(value: Value) -> messages.InferParameter:
    """A value in the field for its type; a ready message for the others."""
    if isinstance(value, messages.InferParameter):
        return value
    if isinstance(value, bool):
        return messages.InferParameter(bool_param=value)
    if isinstance(value, int):
        return messages.InferParameter(int64_param=value)
    if isinstance(value, float):
        return messages.InferParameter(double_param=value)
    return messages.InferParameter(string_param=value)


def infer_input(
    name: str = "INPUT0",
    datatype: str = "FP32",
    shape: Sequence[int] = (1, 2),
    contents: messages.InferTensorContents | None = None,
    **parameters: Value,
) -> InputMessage:
    return InputMessage(
        name=name,
        datatype=datatype,
        shape=shape,
        contents=contents,
        parameters={key: parameter(value) for key, value in parameters.items()},
    )


def output(name: str = "OUTPUT0", **parameters: Value) -> OutputMessage:
    return OutputMessage(name=name, parameters={key: parameter(value) for key, value in parameters.items()})


def infer_request(
    model: str = "identity",
    inputs: Sequence[InputMessage] | None = None,
    raw: Sequence[bytes] = (TWO_FLOATS,),
    *,
    version: str = "",
    id: str = "",
    outputs: Sequence[OutputMessage] = (),
    parameters: Mapping[str, Value] | None = None,
) -> messages.ModelInferRequest:
    """By default a good request to `identity`."""
    return messages.ModelInferRequest(
        model_name=model,
        model_version=version,
        id=id,
        inputs=(infer_input(),) if inputs is None else inputs,
        outputs=outputs,
        raw_input_contents=raw,
        parameters={key: parameter(value) for key, value in (parameters or {}).items()},
    )
