"""Checks that the data of a BYTES input has as many elements as its shape says."""

from __future__ import annotations

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.request import InferenceRequest
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import bytes_codec

# Walking more elements than this would hold the event loop too long; larger tensors are checked where they are
# decoded, off the loop, and fail their request there.
MAX_CHECKED_ON_LOOP = 4096


def check_string_elements(request: InferenceRequest, tensor: Tensor, expected: int, model_name: str) -> None:
    """Raise InvalidArgumentError, with Triton's texts, if there are not exactly `expected` elements."""
    try:
        bytes_codec.check_elements(tensor.buffer, expected)
    except bytes_codec.IncompleteElement as error:
        raise InvalidArgumentError(
            f"incomplete string data for inference input '{tensor.name}', expecting string of length "
            f"{error.length_bytes} but only {error.available_bytes} bytes available"
        ) from None
    except bytes_codec.BytesFormatError as error:
        raise InvalidArgumentError(f"{request.id_prefix}{_problem(error, tensor.name, model_name, expected)}") from None


def _problem(error: bytes_codec.BytesFormatError, name: str, model_name: str, expected: int) -> str:
    where = f"for inference input '{name}' for model '{model_name}'"
    if isinstance(error, bytes_codec.TooManyElements):
        return f"unexpected number of string elements {expected + 1} {where}, expecting {expected}"
    if isinstance(error, bytes_codec.TooFewElements):
        return f"expected {expected} string elements {where}, got {error.found_count}"
    assert isinstance(error, bytes_codec.IncompleteLength)
    return (
        f"incomplete string length indicator {where}, expecting 4 bytes but only {error.available_bytes} bytes "
        "available. Please make sure the string length indicator is in one buffer."
    )
