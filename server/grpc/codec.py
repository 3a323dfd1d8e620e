"""ModelInferRequest -> InferenceRequest, and InferenceResponse -> ModelInferResponse. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.request import InferenceRequest, InferenceResponse, Parameter
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.classification import classify
from tritonpy.server.grpc.input_data import read_inputs
from tritonpy.server.grpc.region_parameters import names_region, not_offered
from tritonpy.server.grpc.request_parameters import InferParameter, read_parameters
from tritonpy.server.limits import check_name_length, check_tensor_count

OutputMessage = messages.ModelInferRequest.InferRequestedOutputTensor

# Both ways. gRPC itself counts messages with signed 32-bit numbers.
LARGEST_MESSAGE_BYTES = 2**31 - 1
# Of a response's tensors: leaves room for all that is in the message beside them.
LARGEST_OUTPUT_BYTES = LARGEST_MESSAGE_BYTES - 64 * 1024

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)


@dataclass(frozen=True, slots=True)
class DecodedRequest:
    """A request, and what the protocol asks of its responses: the class counts of outputs that are wanted as
    classification, and whether an empty last response is to be sent."""

    request: InferenceRequest
    class_counts: Mapping[str, int] = field(default_factory=dict)
    empty_final_response: bool = False


# Requests.


def decode_request(message: messages.ModelInferRequest, model: ServedModel) -> DecodedRequest:
    """The request of a message for `model`; raises TritonpyError with the real server's texts, in its order."""
    check_tensor_count("inputs", len(message.inputs))
    check_tensor_count("outputs", len(message.outputs))
    request = InferenceRequest(model.name, {}, model_version=model.version, id=message.id)
    empty_final_response = read_parameters(message, request) if message.parameters else False
    read_inputs(message, request, model.name)
    class_counts: dict[str, int] = {}
    if message.outputs:
        request.requested_outputs = tuple(dict.fromkeys(output.name for output in message.outputs))
        for output in message.outputs:
            check_name_length("output", output.name)
            if output.parameters:
                _read_output(output, class_counts)
    return DecodedRequest(request, class_counts, empty_final_response)


def _read_output(output: OutputMessage, class_counts: dict[str, int]) -> None:
    parameters = output.parameters
    in_region = names_region(output.name, parameters)
    if "classification" in parameters:
        if in_region:
            raise InvalidArgumentError("output can't set both 'shared_memory_region' and 'classification'")
        class_counts[output.name] = _class_count(parameters["classification"])
    if in_region:
        raise not_offered(output.name)


def _class_count(parameter: InferParameter) -> int:
    if parameter.WhichOneof("parameter_choice") != "int64_param":
        raise InvalidArgumentError("invalid value type for 'classification' parameter, expected int64_param")
    if parameter.int64_param <= 0:
        raise InvalidArgumentError("invalid value for 'classification' parameter, expected >= 0")
    return int(parameter.int64_param)


# Responses.


def encode_response(
    decoded: DecodedRequest, model: ServedModel, response: InferenceResponse
) -> messages.ModelInferResponse:
    """The message of a good response: one entry in `raw_output_contents` for each output.

    Raises InvalidArgumentError if an output cannot be ranked as asked for, or if the message would be larger than
    gRPC can send; InternalError for a parameter that the protocol has no form for.
    """
    message = messages.ModelInferResponse(
        model_name=model.name, model_version=str(model.version), id=decoded.request.id
    )
    for key, value in response.parameters.items():
        _set_parameter(message.parameters[key], key, value)
    size_bytes = 0
    for tensor in response.outputs:
        class_count = decoded.class_counts.get(tensor.name)
        if class_count:
            labels = model.labels.get(tensor.name, ())
            tensor = classify(tensor, class_count, model.signature.batching, labels)
        size_bytes += tensor.size_bytes
        _check_size(size_bytes)
        message.outputs.add(name=tensor.name, datatype=tensor.datatype.wire_name, shape=tensor.shape)
        message.raw_output_contents.append(bytes(tensor.buffer))
    return message


def _check_size(size_bytes: int) -> None:
    if size_bytes > LARGEST_OUTPUT_BYTES:
        raise InvalidArgumentError(
            f"Response has byte size {size_bytes} which exceeds gRPC's byte size limit {LARGEST_MESSAGE_BYTES}."
        )


def _set_parameter(message: InferParameter, key: str, value: Parameter) -> None:
    if isinstance(value, bool):
        message.bool_param = value
    elif isinstance(value, float):
        message.double_param = value
    elif isinstance(value, str):
        message.string_param = value
    elif value in _INT64:
        message.int64_param = value
    elif value in _UINT64:
        message.uint64_param = value
    else:
        raise InternalError(
            f"response parameter '{key}' of the model is {value}, expected a bool, a string, a float, or an integer of "
            "64 bits"
        )
