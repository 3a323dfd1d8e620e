"""The private descriptor pool of the project's protobuf messages.

`tritonclient` registers messages of the same names and files in protobuf's default pool; a second registration
there fails. The generated modules call `Default()` of this module instead of protobuf's.
"""

from __future__ import annotations

from google.protobuf.descriptor_pool import DescriptorPool

_pool = DescriptorPool()


def Default() -> DescriptorPool:  # noqa: N802 - the name that protoc's output calls
    """The pool that holds every message of `tritonpy.protos.generated`."""
    return _pool
