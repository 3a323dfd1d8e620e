"""Reads the inputs of a ModelInferRequest: where each one's data is, and its wire form.

An input's data is in its own typed `contents`, or it is the next entry of `raw_input_contents` (then no input of the
message may have `contents`). Raw data is not copied. Every error has the real server's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.request import InferenceRequest
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import bytes_codec, datatypes
from tritonpy.protos.bytes_codec import Buffer
from tritonpy.protos.datatypes import Datatype
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.server.grpc.region_parameters import names_region, not_offered
from tritonpy.server.limits import check_name_length

InputMessage = messages.ModelInferRequest.InferInputTensor

# Stands for every datatype name that is none: the model refuses it, and says what it expects, when the request is
# otherwise complete.
INVALID = Datatype("<invalid>", "TYPE_INVALID", 0, np.dtype(object), 0)

# Which list each datatype is sent in, and what the real server calls the lists. FP16 and BF16 have none.
_FIELD_OF_DATATYPE = {
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
_NAME_OF_FIELD = {
    "bool_contents": "BOOL",
    "int_contents": "INT32",
    "int64_contents": "INT64",
    "uint_contents": "UINT32",
    "uint64_contents": "UINT64",
    "fp32_contents": "FP32",
    "fp64_contents": "FP64",
    "bytes_contents": "BYTES",
}
# What holds every value of a list, by the NumPy kind of the datatype. Narrowing from there keeps the low bytes.
_WIDEST = {"b": np.dtype("bool"), "i": np.dtype("int64"), "u": np.dtype("uint64"), "f": np.dtype("float64")}


def read_inputs(message: messages.ModelInferRequest, request: InferenceRequest, model_name: str) -> None:
    """Set the request's inputs; raises InvalidArgumentError for an input that is there twice, whose data is not
    there, or whose name is too long."""
    entries: dict[str, InputMessage] = {}
    for entry in message.inputs:
        name = entry.name
        check_name_length("input", name)
        if name in entries:
            raise InvalidArgumentError(f"{request.id_prefix}input '{name}' already exists in request")
        entries[name] = entry
    raw = iter(message.raw_input_contents) if message.raw_input_contents else None
    for name, entry in entries.items():
        datatype = datatypes.BY_WIRE_NAME.get(entry.datatype, INVALID)
        data = _data(entry, datatype, raw, model_name)
        request.inputs[name] = Tensor(name, datatype, tuple(entry.shape), data)


def _data(entry: InputMessage, datatype: Datatype, raw: Iterator[bytes] | None, model_name: str) -> Buffer:
    has_contents = entry.HasField("contents")
    if entry.parameters and names_region(entry.name, entry.parameters):
        if has_contents:
            raise InvalidArgumentError(
                f"unexpected 'content' provided when using shared memory for input tensor '{entry.name}' for model "
                f"'{model_name}'"
            )
        raise not_offered(entry.name)
    if not has_contents:
        return _next_raw(entry, raw, model_name)
    if raw is not None:
        raise InvalidArgumentError(
            f"contents field must not be specified when using raw_input_contents for '{entry.name}' for model "
            f"'{model_name}'"
        )
    return _typed_data(entry, datatype, model_name)


def _next_raw(entry: InputMessage, raw: Iterator[bytes] | None, model_name: str) -> Buffer:
    data = None if raw is None else next(raw, None)
    if data is None:
        raise InvalidArgumentError(
            f"unable to find data for input tensor '{entry.name}' for model '{model_name}' in request."
        )
    return data


def _typed_data(entry: InputMessage, datatype: Datatype, model_name: str) -> Buffer:
    """The wire form of an input's `contents`, of which only the list of its datatype may have elements."""
    data: Buffer = b""
    for descriptor, values in entry.contents.ListFields():
        problem = ""
        if data:
            problem = ", binary data was already supplied."
        elif descriptor.name != _FIELD_OF_DATATYPE.get(datatype):
            found = _NAME_OF_FIELD[descriptor.name]
            problem = f" of type '{found}', expected datatype '{datatype.wire_name}'"
        if problem:
            raise InvalidArgumentError(
                f"unexpected explicit tensor data for input tensor '{entry.name}' for model '{model_name}'{problem}"
            )
        data = _wire_form(datatype, values)
    return data


def _wire_form(datatype: Datatype, values: Any) -> bytes:  # protobuf's list of the field's type
    if datatype is datatypes.BYTES:
        return bytes_codec.encode_elements(values)
    wide = np.fromiter(values, _WIDEST[datatype.numpy_dtype.kind], len(values))
    return wide.astype(datatype.numpy_dtype).tobytes()
