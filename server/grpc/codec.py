"""ModelInferRequest -> InferenceRequest, and InferenceResponse -> ModelInferResponse. Pure, no I/O.

Tensor data in `raw_input_contents` is not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError
from tritonpy.backends.request import InferenceRequest, InferenceResponse, Parameter, SequenceFlag
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import bytes_codec, datatypes
from tritonpy.protos.bytes_codec import Buffer
from tritonpy.protos.datatypes import Datatype
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.classification import classify

InferParameter = messages.InferParameter
InputMessage = messages.ModelInferRequest.InferInputTensor
OutputMessage = messages.ModelInferRequest.InferRequestedOutputTensor

FINAL_RESPONSE = "triton_final_response"
EMPTY_FINAL_RESPONSE = "triton_enable_empty_final_response"
_SHARED_MEMORY = ("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size")
_CONTENTS_FIELD = {
    datatypes.BOOL: "bool_contents",
    datatypes.INT8: "int_contents",
    datatypes.INT16: "int_contents",
    datatypes.INT32: "int_contents",
    datatypes.INT64: "int64_contents",
    datatypes.UINT8: "uint_contents",
    datatypes.UINT16: "uint_contents",
    datatypes.UINT32: "uint_contents",
    datatypes.UINT64: "uint64_contents",
    datatypes.FP32: "fp32_contents",
    datatypes.FP64: "fp64_contents",
    datatypes.BYTES: "bytes_contents",
}


@dataclass(frozen=True, slots=True)
class DecodedRequest:
    """A request, and what the protocol asks of its responses: the class counts of outputs that are wanted as
    classification, and whether an empty last response is to be sent."""

    request: InferenceRequest
    class_counts: Mapping[str, int] = field(default_factory=dict)
    empty_final_response: bool = False


def decode_request(message: messages.ModelInferRequest, model: ServedModel) -> DecodedRequest:
    """The request of a message for `model`; raises TritonpyError with the protocol's texts."""
    request = InferenceRequest(model.name, {}, model_version=model.version, id=message.id)
    empty_final_response = _read_parameters(message, request) if message.parameters else False
    _read_inputs(message, model, request)
    class_counts: dict[str, int] = {}
    if message.outputs:
        request.requested_outputs = tuple(dict.fromkeys(output.name for output in message.outputs))
        for output in message.outputs:
            if output.parameters:
                _read_output(output, class_counts)
    return DecodedRequest(request, class_counts, empty_final_response)


# Parameters.


def _read_parameters(message: messages.ModelInferRequest, request: InferenceRequest) -> bool:
    """Set the request's parameters; whether an empty last response is wanted."""
    empty_final_response = False
    for key, parameter in message.parameters.items():
        if key == EMPTY_FINAL_RESPONSE:
            empty_final_response = bool(_choice(key, parameter, "bool_param"))
        elif key.startswith("triton_"):
            raise InvalidArgumentError(
                "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys "
                f"starting with 'triton_' are allowed: {EMPTY_FINAL_RESPONSE}"
            )
        elif (setter := _SETTERS.get(key)) is not None:
            setter(request, parameter)
        else:
            request.parameters[key] = _custom_parameter(key, parameter)
    return empty_final_response


def _choice(key: str, parameter: InferParameter, *expected: str) -> Parameter:
    """The value of a parameter that must have one of the `expected` kinds."""
    kind = parameter.WhichOneof("parameter_choice")
    if kind not in expected:
        wanted = " or ".join(expected)
        raise InvalidArgumentError(f"invalid value type for '{key}' parameter, expected {wanted}.")
    value: Parameter = getattr(parameter, kind)
    return value


def _custom_parameter(key: str, parameter: InferParameter) -> Parameter:
    kind = parameter.WhichOneof("parameter_choice")
    if kind in (None, "uint64_param"):
        raise InvalidArgumentError(
            f"invalid value type for '{key}' parameter, expected int64_param, bool_param, or string_param."
        )
    value: Parameter = getattr(parameter, kind)
    return value


def _set_sequence_id(request: InferenceRequest, parameter: InferParameter) -> None:
    value = _choice("sequence_id", parameter, "int64_param", "string_param")
    request.correlation_id = value if isinstance(value, str) else int(value)


def _set_flag(key: str, flag: SequenceFlag) -> Callable[[InferenceRequest, InferParameter], None]:
    def set_flag(request: InferenceRequest, parameter: InferParameter) -> None:
        if _choice(key, parameter, "bool_param"):
            request.flags |= flag

    return set_flag


def _set_priority(request: InferenceRequest, parameter: InferParameter) -> None:
    value = int(_choice("priority", parameter, "int64_param", "uint64_param"))
    if value < 0:
        raise InvalidArgumentError("invalid value for 'priority', expected value >= 0.")
    request.priority = value


def _set_timeout(request: InferenceRequest, parameter: InferParameter) -> None:
    request.timeout_us = int(_choice("timeout", parameter, "int64_param"))


_SETTERS: dict[str, Callable[[InferenceRequest, InferParameter], None]] = {
    "sequence_id": _set_sequence_id,
    "sequence_start": _set_flag("sequence_start", SequenceFlag.START),
    "sequence_end": _set_flag("sequence_end", SequenceFlag.END),
    "priority": _set_priority,
    "timeout": _set_timeout,
}


# Inputs.


def _read_inputs(message: messages.ModelInferRequest, model: ServedModel, request: InferenceRequest) -> None:
    raw = iter(message.raw_input_contents)
    uses_raw = bool(message.raw_input_contents)
    for entry in message.inputs:
        name = entry.name
        if name in request.inputs:
            raise InvalidArgumentError(f"{request.id_prefix}input '{name}' already exists in request")
        _check_shared_memory("tensor", name, entry.parameters)
        if uses_raw or not entry.HasField("contents"):
            data = _raw_data(entry, raw, model)
        else:
            data = _typed_data(entry, model)
        datatype = datatypes.BY_WIRE_NAME.get(entry.datatype) or _refuse_datatype(entry, model, request)
        request.inputs[name] = Tensor(name, datatype, tuple(entry.shape), data)


def _raw_data(entry: InputMessage, raw: Iterator[bytes], model: ServedModel) -> Buffer:
    if entry.HasField("contents"):
        raise InvalidArgumentError(
            f"contents field must not be specified when using raw_input_contents for '{entry.name}' for model "
            f"'{model.name}'"
        )
    data = next(raw, None)
    if data is None:
        raise InvalidArgumentError(
            f"unable to find data for input tensor '{entry.name}' for model '{model.name}' in request."
        )
    return data


def _typed_data(entry: InputMessage, model: ServedModel) -> Buffer:
    """The wire form of typed contents; integers keep their low bytes."""
    datatype = datatypes.BY_WIRE_NAME.get(entry.datatype)
    expected_field = _CONTENTS_FIELD.get(datatype) if datatype else None
    for descriptor, values in entry.contents.ListFields():
        if descriptor.name != expected_field:
            raise InvalidArgumentError(
                f"unexpected explicit tensor data for input tensor '{entry.name}' for model '{model.name}' of type "
                f"'{_types_of(descriptor.name)}', expected datatype '{entry.datatype}'"
            )
        assert datatype is not None
        return _wire_form(datatype, values)
    return b""


def _types_of(contents_field: str) -> str:
    """How the protocol's message calls a list of contents."""
    return _FIELD_TYPE[contents_field]


_FIELD_TYPE = {
    "bool_contents": "BOOL",
    "int_contents": "INT32",
    "int64_contents": "INT64",
    "uint_contents": "UINT32",
    "uint64_contents": "UINT64",
    "fp32_contents": "FP32",
    "fp64_contents": "FP64",
    "bytes_contents": "BYTES",
}


_WIDEST = {kind: np.dtype(name) for kind, name in (("b", "bool"), ("i", "int64"), ("u", "uint64"), ("f", "float64"))}


def _wire_form(datatype: Datatype, values: list[int]) -> bytes:
    if datatype is datatypes.BYTES:
        return bytes_codec.encode_elements(values)  # type: ignore[arg-type]  # bytes_contents holds bytes
    wide = np.array(values, dtype=_WIDEST[datatype.numpy_dtype.kind])
    return wide.astype(datatype.numpy_dtype).tobytes()


def _refuse_datatype(entry: InputMessage, model: ServedModel, request: InferenceRequest) -> Datatype:
    spec = model.signature.input_by_name.get(entry.name)
    if spec is None or spec.datatype is None:
        raise InvalidArgumentError(f"unexpected inference input '{entry.name}' for model '{model.name}'")
    raise InvalidArgumentError(
        f"{request.id_prefix}inference input '{entry.name}' data-type is '<invalid>', but model '{model.name}' "
        f"expects '{spec.datatype.wire_name}'"
    )


# Outputs.


def _read_output(output: OutputMessage, class_counts: dict[str, int]) -> None:
    if "shared_memory_region" in output.parameters and "classification" in output.parameters:
        raise InvalidArgumentError("output can't set both 'shared_memory_region' and 'classification'")
    _check_shared_memory("tensor", output.name, output.parameters)
    if "classification" in output.parameters:
        parameter = output.parameters["classification"]
        if parameter.WhichOneof("parameter_choice") != "int64_param":
            raise InvalidArgumentError("invalid value type for 'classification' parameter, expected int64_param")
        if parameter.int64_param <= 0:
            raise InvalidArgumentError("invalid value for 'classification' parameter, expected >= 0")
        class_counts[output.name] = parameter.int64_param


def _check_shared_memory(kind: str, name: str, parameters: Mapping[str, InferParameter]) -> None:
    """Shared memory is not offered yet; what is wrong in itself is said first."""
    if not parameters or not any(key in parameters for key in _SHARED_MEMORY):
        return
    region, *others = _SHARED_MEMORY
    for key, wanted in zip(_SHARED_MEMORY, ("string_param", "int64_param", "int64_param"), strict=True):
        if key in parameters and parameters[key].WhichOneof("parameter_choice") != wanted:
            raise InvalidArgumentError(
                f"invalid value type for '{key}' parameter for {kind} '{name}', expected {wanted}."
            )
    for key in others:
        if key in parameters and region not in parameters:
            raise InvalidArgumentError(
                f"'{key}' can not be specified without 'shared_memory_region' parameter for {kind} '{name}'"
            )
    if "shared_memory_byte_size" not in parameters:
        raise InvalidArgumentError(
            f"'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for {kind} "
            f"'{name}'"
        )
    raise UnsupportedError(f"{kind} '{name}' is in shared memory, which this server does not support yet")


# Responses.


def encode_response(
    decoded: DecodedRequest, model: ServedModel, response: InferenceResponse
) -> messages.ModelInferResponse:
    """The message of a good response: one entry in `raw_output_contents` for each output.

    Raises InvalidArgumentError if an output cannot be ranked as asked for.
    """
    message = messages.ModelInferResponse(
        model_name=model.name, model_version=str(model.version), id=decoded.request.id
    )
    for key, value in response.parameters.items():
        set_parameter(message.parameters[key], value)
    for tensor in response.outputs:
        class_count = decoded.class_counts.get(tensor.name)
        if class_count:
            labels = model.labels.get(tensor.name, ())
            tensor = classify(tensor, class_count, model.signature.batching, labels)
        message.outputs.add(name=tensor.name, datatype=tensor.datatype.wire_name, shape=tensor.shape)
        message.raw_output_contents.append(bytes(tensor.buffer))
    return message


def set_parameter(message: InferParameter, value: Parameter) -> None:
    """Put a value into a parameter message, by its type."""
    if isinstance(value, bool):
        message.bool_param = value
    elif isinstance(value, int):
        message.int64_param = value
    elif isinstance(value, float):
        message.double_param = value
    else:
        message.string_param = value
