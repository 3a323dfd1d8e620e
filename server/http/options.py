"""What the HTTP front end can be told."""

from __future__ import annotations

from dataclasses import dataclass

from tritonpy.server.http.limits import DEFAULT_MAX_INPUT_SIZE_BYTES


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Where the HTTP front end listens, and the largest input it takes (see `limits`)."""

    address: str = "0.0.0.0"
    port: int = 8000
    reuse_port: bool = False
    max_input_size_bytes: int = DEFAULT_MAX_INPUT_SIZE_BYTES
