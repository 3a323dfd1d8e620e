"""The parameters of a tensor that place its data in a shared-memory region."""

from __future__ import annotations

from collections.abc import Mapping

from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError
from tritonpy.protos.generated import grpc_service_pb2 as messages

Parameters = Mapping[str, messages.InferParameter]

REGION = "shared_memory_region"
OFFSET = "shared_memory_offset"
BYTE_SIZE = "shared_memory_byte_size"


def names_region(tensor_name: str, parameters: Parameters) -> bool:
    """Whether the data of a tensor is in a region; raises InvalidArgumentError if its parameters do not fit together,
    in the real server's order and words."""
    has_region = REGION in parameters
    if has_region:
        _check_type(tensor_name, parameters, REGION, "string_param")
    for key in (OFFSET, BYTE_SIZE):
        if key in parameters:
            if not has_region:
                raise InvalidArgumentError(
                    f"'{key}' can not be specified without '{REGION}' parameter for tensor '{tensor_name}'"
                )
            _check_type(tensor_name, parameters, key, "int64_param")
    if has_region and BYTE_SIZE not in parameters:
        raise InvalidArgumentError(
            f"'{BYTE_SIZE}' must be specified along with '{REGION}' parameter for tensor '{tensor_name}'"
        )
    return has_region


def _check_type(tensor_name: str, parameters: Parameters, key: str, wanted: str) -> None:
    if parameters[key].WhichOneof("parameter_choice") != wanted:
        raise InvalidArgumentError(
            f"invalid value type for '{key}' parameter for tensor '{tensor_name}', expected {wanted}."
        )


def not_offered(tensor_name: str) -> UnsupportedError:
    """What a tensor in shared memory is refused with."""
    return UnsupportedError(
        f"tensor '{tensor_name}' is in shared memory, which this server does not support yet: leave '{REGION}' out, so "
        "that its data is in the message"
    )
