"""Turns an InferenceResponse into the body of an infer answer: JSON, then the binary outputs. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import bytes_codec, datatypes
from tritonpy.protos.bytes_codec import Buffer
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.classification import classify
from tritonpy.server.http import json_writing, limits
from tritonpy.server.http.answers import BINARY, JSON, Answer, Headers
from tritonpy.server.http.compression import Encoding, compress
from tritonpy.server.http.output_forms import OutputForms

_NOT_IN_JSON = (datatypes.FP16, datatypes.BF16)


def write_response(
    model: ServedModel, request: InferenceRequest, response: InferenceResponse, forms: OutputForms, encoding: Encoding
) -> Answer:
    """The answer to a request that succeeded.

    Outputs keep the order in which the model gave them; binary ones follow the JSON from their own memory. Raises
    InvalidArgumentError for an FP16 or BF16 output that is not wanted as binary data and for classification of an
    output that has no order, InternalError if the model's output does not have the size that its shape asks for.
    """
    texts: list[bytes] = [_head(request, response)]
    blobs: list[Buffer] = []
    wanted = [tensor for tensor in response.outputs if request.wants(tensor.name)]
    for number, output in enumerate(wanted):
        form = forms.of(output.name)
        tensor = _classified(model, output, form.class_count) if form.class_count else output
        texts.append(_entry_head(tensor, first=number == 0))
        if not form.binary:
            texts.append(b'"data":')
            texts.extend(json_data(tensor))
        else:
            texts.append(b'"parameters":{"binary_data_size":%d}' % tensor.size_bytes)
            if tensor.size_bytes:
                blobs.append(tensor.buffer)
        texts.append(b"}")
    texts.append(b"]}")
    document = b"".join(texts)  # the one copy of a large text
    return _compressed(_headers(len(document), bool(blobs)), (document, *blobs), encoding)


def _classified(model: ServedModel, output: Tensor, class_count: int) -> Tensor:
    return classify(output, class_count, model.signature.batching, model.labels.get(output.name, ()))


def _headers(json_size_bytes: int, has_blobs: bool) -> Headers:
    if not has_blobs:
        return [(b"content-type", JSON)]
    return [(b"content-type", BINARY), (b"inference-header-content-length", b"%d" % json_size_bytes)]


def _compressed(headers: Headers, chunks: Sequence[Buffer], encoding: Encoding) -> Answer:
    if encoding is Encoding.IDENTITY:
        return Answer(200, headers, chunks)
    headers.append((b"content-encoding", encoding.value.encode()))
    return Answer(200, headers, (compress(chunks, encoding),))


def _head(request: InferenceRequest, response: InferenceResponse) -> bytes:
    """The document up to its first output."""
    members = [b'"id":' + json_writing.string(request.id)] if request.id else []
    members.append(b'"model_name":' + json_writing.string(request.model_name))
    members.append(b'"model_version":"%d"' % request.model_version)
    if response.parameters:
        members.append(b'"parameters":' + json_writing.value(response.parameters))
    return b'{%b,"outputs":[' % b",".join(members)


def _entry_head(tensor: Tensor, first: bool) -> bytes:
    """The entry of an output up to its last member."""
    return b'%b{"name":%b,"datatype":"%b","shape":[%b],' % (
        b"" if first else b",",
        json_writing.string(tensor.name),
        tensor.datatype.wire_name.encode(),
        b",".join(b"%d" % dim for dim in tensor.shape),
    )


def json_data(tensor: Tensor) -> Iterator[bytes]:
    """The elements of a tensor as a flat JSON array, in pieces."""
    if tensor.datatype in _NOT_IN_JSON:
        raise InvalidArgumentError(
            f"sending {tensor.datatype.wire_name} data via JSON is not supported. Please use the binary data format "
            "for output"
        )
    if not tensor.element_count:
        return iter((b"[]",))
    try:
        if tensor.datatype is datatypes.BYTES:
            return json_writing.string_list(bytes_codec.decode_elements(tensor.buffer, tensor.element_count))
        return json_writing.number_list(tensor.array)
    except ValueError:
        raise InternalError(f"output tensor shape does not match size of output for '{tensor.name}'") from None


def is_large(response: InferenceResponse, forms: OutputForms, encoding: Encoding) -> bool:
    """Whether writing the response takes long enough to hold the event loop."""
    elements = size_bytes = 0
    for tensor in response.outputs:
        form = forms.of(tensor.name)
        if not form.binary or form.class_count or (tensor.datatype is datatypes.BYTES and tensor.has_array):
            elements += tensor.element_count
        elif encoding is not Encoding.IDENTITY:
            size_bytes += tensor.size_bytes
    return elements > limits.INLINE_JSON_ELEMENTS or size_bytes > limits.INLINE_COMPRESSION_BYTES
