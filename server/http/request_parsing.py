"""Turns the body of an infer request into an InferenceRequest: JSON, binary, mixed or raw. Pure, no I/O.

Everything is checked in the order in which the real server does, so that of several mistakes the same one is
reported: JSON, id, parameters, each input in turn (data source, name, datatype, shape, data), bytes
left over, each output. What needs the model's configuration is checked when the model accepts the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError
from tritonpy.backends.request import InferenceRequest, Parameter, SequenceFlag
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.http import limits
from tritonpy.server.http.json_access import (
    MAX_SIGNED,
    Json,
    as_array,
    as_boolean,
    as_data,
    as_string,
    as_unsigned,
    has,
    is_unsigned,
    member,
    members,
    optional_member,
)
from tritonpy.server.http.json_reading import read_json
from tritonpy.server.http.json_tensor import element_count, tensor_from_json
from tritonpy.server.http.large_json import read_large_json
from tritonpy.server.http.output_forms import OutputForm, OutputForms, in_shared_memory, parse_outputs
from tritonpy.server.limits import check_name_length, check_tensor_count

_SEQUENCE_FLAGS = {"sequence_start": SequenceFlag.START, "sequence_end": SequenceFlag.END}


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request, and how its outputs are to be written."""

    request: InferenceRequest
    output_forms: OutputForms


def parse_request(model: ServedModel, body: bytes, json_size_bytes: int, limit_bytes: int) -> ParsedRequest:
    """The request in `body`, whose first `json_size_bytes` are JSON; 0 means that all of it is one input's data.

    Binary inputs share the memory of `body`. Raises TritonpyError with the protocol's texts.
    """
    if json_size_bytes == 0:
        return _parse_raw(model, body, limit_bytes)
    if json_size_bytes > limit_bytes:
        raise limits.json_too_large(json_size_bytes, limit_bytes)
    view = memoryview(body)
    large = json_size_bytes > limits.INLINE_JSON_BYTES
    document = read_large_json(body, json_size_bytes) if large else read_json(view[:json_size_bytes])
    return _parse_document(model, document, view[json_size_bytes:], limit_bytes)


def _parse_raw(model: ServedModel, body: bytes, limit_bytes: int) -> ParsedRequest:
    if len(body) > limit_bytes:
        raise limits.raw_input_too_large(len(body), limit_bytes)
    tensor = model.admission.raw_input(body)
    request = InferenceRequest(model.name, {tensor.name: tensor}, model_version=model.version)
    return ParsedRequest(request, OutputForms({}, others=OutputForm(binary=True)))


def _parse_document(model: ServedModel, document: Json, tail: memoryview, limit_bytes: int) -> ParsedRequest:
    request = InferenceRequest(model.name, {}, model_version=model.version)
    request.id = optional_member(document, "id", as_string, "")
    binary_by_default = _parse_parameters(request, document)
    _parse_inputs(model, request, document, BinarySection(tail, model.name), limit_bytes)
    listed = parse_outputs(document)
    request.requested_outputs = tuple(listed)
    return ParsedRequest(request, OutputForms(listed, others=OutputForm(binary_by_default)))


# Parameters of the request.


def _parse_parameters(request: InferenceRequest, document: Json) -> bool:
    """Set the request's parameters; whether outputs that are not listed are wanted as binary data."""
    binary_by_default = False
    if not has(document, "parameters"):
        return binary_by_default
    parameters = member(document, "parameters", members, "failed to get request params.")
    for key in parameters:
        if key == "binary_data_output":
            binary_by_default = member(parameters, key, as_boolean)
        else:
            _set_parameter(request, parameters, key)
    return binary_by_default


def _set_parameter(request: InferenceRequest, parameters: dict[str, Json], key: str) -> None:
    if key == "sequence_id":
        request.correlation_id = member(parameters, key, _sequence_id)
    elif key in _SEQUENCE_FLAGS:
        request.flags |= _SEQUENCE_FLAGS[key] if member(parameters, key, as_boolean) else 0
    elif key == "priority":
        request.priority = member(parameters, key, as_unsigned)
    elif key == "timeout":
        request.timeout_us = member(parameters, key, as_unsigned)
    elif key.startswith("triton_"):
        raise InvalidArgumentError(
            "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified."
        )
    else:
        request.parameters[key] = custom_parameter(key, parameters[key])


def _sequence_id(value: Json) -> int | str:
    return as_unsigned(value) if is_unsigned(value) else as_string(value)


def custom_parameter(key: str, value: Json) -> Parameter:
    """A parameter that only the model understands; integers above int64 become doubles."""
    if isinstance(value, (bool, str, float)):
        return value
    if isinstance(value, int):
        return value if value <= MAX_SIGNED else float(value)
    raise InvalidArgumentError(f"parameter '{key}' has invalid type. It should be either 'int', 'bool', or 'string'.")


# Inputs.


class BinarySection:
    """The bytes after the JSON, handed out to the binary inputs in their order."""

    def __init__(self, data: memoryview, model_name: str) -> None:
        self._data = data
        self._model_name = model_name
        self._position = 0

    def take(self, input_name: str, size_bytes: int) -> memoryview:
        """The next `size_bytes`, not copied; raises InvalidArgumentError if there are fewer."""
        missing = size_bytes - (len(self._data) - self._position)
        if missing > 0:
            raise InvalidArgumentError(
                f"unexpected size for input '{input_name}', expecting {missing} additional bytes for model "
                f"'{self._model_name}'"
            )
        start = self._position
        self._position += size_bytes
        return self._data[start : self._position]

    def check_used_up(self) -> None:
        """Raise InvalidArgumentError if bytes are left over."""
        if self._position != len(self._data):
            raise InvalidArgumentError(f"unexpected additional input data for model '{self._model_name}'")


def _parse_inputs(
    model: ServedModel, request: InferenceRequest, document: Json, section: BinarySection, limit_bytes: int
) -> None:
    entries = member(document, "inputs", as_array)
    check_tensor_count("inputs", len(entries))
    for entry in entries:
        tensor = _parse_input(model, request, entry, section, limit_bytes)
        request.inputs[tensor.name] = tensor
    section.check_used_up()


def _parse_input(
    model: ServedModel, request: InferenceRequest, entry: Json, section: BinarySection, limit_bytes: int
) -> Tensor:
    parameters = entry["parameters"] if isinstance(entry, dict) and "parameters" in entry else None
    _check_one_data_source(entry, parameters)
    name = member(entry, "name", as_string)
    check_name_length("input", name)
    wire_name = member(entry, "datatype", as_string)
    shape = member(entry, "shape", _dims)
    if name in request.inputs:
        raise InvalidArgumentError(f"{request.id_prefix}input '{name}' already exists in request")
    count = element_count(name, shape)
    datatype = datatypes.BY_WIRE_NAME.get(wire_name)
    if has(parameters, "binary_data_size"):
        data = section.take(name, member(parameters, "binary_data_size", as_unsigned))
        return Tensor(name, datatype or _refuse_datatype(model, request, name), shape, data)
    if in_shared_memory(parameters):
        raise UnsupportedError(
            f"input '{name}' is in shared memory, which this server does not offer: send its data in the request"
        )
    if count == 0:  # the data is not even looked at
        return Tensor(name, datatype or _refuse_datatype(model, request, name), shape, b"")
    elements = member(entry, "data", as_data)
    if datatype is None:
        raise InvalidArgumentError(f"invalid datatype for input {name}")
    return tensor_from_json(name, datatype, shape, elements, limit_bytes)


def _check_one_data_source(entry: Json, parameters: Json) -> None:
    found = [
        name
        for name, container in (
            ("data", entry),
            ("binary_data_size", parameters),
            ("shared_memory_region", parameters),
        )
        if has(container, name)
    ]
    if len(found) == 1:
        return
    what = " set " + " ".join(f"'{name}'" for name in found) if found else " no field is set"
    raise InvalidArgumentError(
        "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
        f"'shared_memory_region' in 'parameters'. But{what}"
    )


def _dims(value: Json) -> tuple[int, ...]:
    return tuple(map(as_unsigned, as_array(value)))


def _refuse_datatype(model: ServedModel, request: InferenceRequest, name: str) -> NoReturn:
    """Raise what the model would say to an input of unknown datatype."""
    spec = model.signature.input_by_name.get(name)
    if spec is None or spec.datatype is None:
        raise InvalidArgumentError(f"unexpected inference input '{name}' for model '{model.name}'")
    raise InvalidArgumentError(
        f"{request.id_prefix}inference input '{name}' data-type is '<invalid>', but model '{model.name}' expects "
        f"'{spec.datatype.wire_name}'"
    )
