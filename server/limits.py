"""What the front ends have in common about how large a request may be."""

from __future__ import annotations

from tritonpy.backends.errors import InvalidArgumentError

# More inputs or outputs than any model has; reading millions of them would hold the event loop.
MAX_TENSOR_COUNT = 4096
# Names are repeated in messages and in the log.
MAX_NAME_LENGTH = 1024


def check_tensor_count(kind: str, count: int) -> None:
    """Raise InvalidArgumentError if a request lists too many `kind` ("inputs", "outputs")."""
    if count > MAX_TENSOR_COUNT:
        raise InvalidArgumentError(f"request has {count} {kind}, expected at most {MAX_TENSOR_COUNT}")


def check_name_length(kind: str, name: str) -> None:
    """Raise InvalidArgumentError if the name of an `input` or `output` is too long to be repeated in messages."""
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidArgumentError(f"name of an {kind} has {len(name)} characters, expected at most {MAX_NAME_LENGTH}")
