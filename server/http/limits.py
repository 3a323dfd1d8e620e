"""Everything that a client can make large, and how large it may be.

    what                                                limit                        answer when it is exceeded
    JSON part, raw body, decompressed body,
    data of one JSON input                              --http-max-input-size        400, names the option
    whole body of a request with binary tensors         MAX_BODY_SIZE_BYTES          400
    nesting of JSON                                     MAX_JSON_DEPTH               400
    inputs (and outputs) of a request                   limits.MAX_TENSOR_COUNT      400
    name of an input or output                          limits.MAX_NAME_LENGTH       400
    request line and headers                            MAX_HEAD_SIZE_BYTES          400, connection closed
    idle time of a kept-alive connection                KEEP_ALIVE_TIMEOUT_S         connection closed

The binary tail of a request is not limited by --http-max-input-size, because the protocol's own limit is that of
its signed 32-bit lengths.
"""

from __future__ import annotations

from tritonpy.backends.errors import InvalidArgumentError

DEFAULT_MAX_INPUT_SIZE_BYTES = 64 * 1024 * 1024
MAX_BODY_SIZE_BYTES = 2**31 - 1
MAX_ELEMENT_COUNT = 2**63 - 1
MAX_JSON_DEPTH = 100
MAX_HEAD_SIZE_BYTES = 64 * 1024
KEEP_ALIVE_TIMEOUT_S = 3600
CONNECTION_BACKLOG = 1024

# Work on more than this would hold the event loop for about a millisecond, so it goes to a thread, where it is done
# in steps of that size (a thread that does not pause holds the interpreter lock, and so the loop, all the same).
INLINE_JSON_BYTES = 128 * 1024
INLINE_JSON_ELEMENTS = 4 * 1024
INLINE_COMPRESSION_BYTES = 32 * 1024
INLINE_COPY_BYTES = 1024 * 1024

_HINT = "Use --http-max-input-size to increase the limit."


def json_too_large(size_bytes: int, limit_bytes: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"request JSON size of {size_bytes} bytes exceeds the maximum allowed input size of {limit_bytes} bytes. "
        f"{_HINT}"
    )


def json_data_too_large(input_name: str, size_bytes: int, limit_bytes: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"JSON input '{input_name}' has a byte_size ({size_bytes} bytes) that exceeds the maximum allowed value of "
        f"{limit_bytes} bytes. {_HINT}"
    )


def raw_input_too_large(size_bytes: int, limit_bytes: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"Raw input has a byte_size ({size_bytes} bytes) that exceeds the maximum allowed value of {limit_bytes} "
        f"bytes. {_HINT}"
    )


def decompressed_too_large(limit_bytes: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"Decompressed data size exceeds the maximum allowed value of {limit_bytes} bytes. {_HINT}"
    )


def body_too_large(size_bytes: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"request body of {size_bytes} bytes exceeds the maximum of {MAX_BODY_SIZE_BYTES} bytes"
    )


def json_too_deep() -> InvalidArgumentError:
    return InvalidArgumentError(f"JSON nesting depth exceeds maximum allowed limit ({MAX_JSON_DEPTH})")
