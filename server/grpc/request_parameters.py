"""Reads the parameters of a ModelInferRequest into the request. Every error has the real server's text."""

from __future__ import annotations

from collections.abc import Callable

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.request import InferenceRequest, Parameter, SequenceFlag
from tritonpy.protos.generated import grpc_service_pb2 as messages

InferParameter = messages.InferParameter

EMPTY_FINAL_RESPONSE = "triton_enable_empty_final_response"
_UINT64_MASK = 2**64 - 1


def read_parameters(message: messages.ModelInferRequest, request: InferenceRequest) -> bool:
    """Set the request's parameters; returns whether an empty last response is wanted."""
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
    # Ids are unsigned: clients send the upper half of them as negative numbers.
    request.correlation_id = value if isinstance(value, str) else int(value) & _UINT64_MASK


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
    # Below 0 is as good as none, as on the real server, which reads it as a huge unsigned number.
    request.timeout_us = max(0, int(_choice("timeout", parameter, "int64_param")))


_SETTERS: dict[str, Callable[[InferenceRequest, InferParameter], None]] = {
    "sequence_id": _set_sequence_id,
    "sequence_start": _set_flag("sequence_start", SequenceFlag.START),
    "sequence_end": _set_flag("sequence_end", SequenceFlag.END),
    "priority": _set_priority,
    "timeout": _set_timeout,
}
