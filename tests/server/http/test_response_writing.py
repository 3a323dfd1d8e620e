"""Responses to bodies: key order, binary rules, errors (cases seen on the real server)."""

from __future__ import annotations

import gzip
import json
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.fake_engine import FakeModel, signature
from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.http.answers import Answer
from tritonpy.server.http.compression import Encoding
from tritonpy.server.http.limits import INLINE_COMPRESSION_BYTES, INLINE_JSON_ELEMENTS
from tritonpy.server.http.output_forms import OutputForm, OutputForms
from tritonpy.server.http.response_writing import is_large, json_data, write_response

JSON, BINARY = OutputForm(binary=False), OutputForm(binary=True)
ALL_JSON = OutputForms({}, others=JSON)
ALL_BINARY = OutputForms({}, others=BINARY)
MODEL = cast(ServedModel, FakeModel("m", signature(8, {"INPUT0": (datatypes.FP32, (-1,))})))


def request(request_id: str = "", outputs: tuple[str, ...] = ()) -> InferenceRequest:
    return InferenceRequest("m", {}, model_version=1, id=request_id, requested_outputs=outputs)


def fp32(name: str, *values: float) -> Tensor:
    return Tensor.from_array(name, np.array([values], np.float32))


def written(
    response: InferenceResponse, forms: OutputForms, asked: InferenceRequest | None = None
) -> tuple[dict[bytes, bytes], bytes]:
    answer: Answer = write_response(MODEL, asked or request(), response, forms, Encoding.IDENTITY)
    assert answer.status == 200
    body = b"".join(answer.chunks)
    assert answer.size_bytes == len(body)
    return dict(answer.headers), body


def test_json_output() -> None:
    headers, body = written(InferenceResponse([fp32("OUTPUT0", 1.0, 2.5)]), ALL_JSON, request("abc"))
    assert headers == {b"content-type": b"application/json"}
    assert body == (
        b'{"id":"abc","model_name":"m","model_version":"1","outputs":[{"name":"OUTPUT0","datatype":"FP32",'
        b'"shape":[1,2],"data":[1.0,2.5]}]}'
    )


def test_binary_output() -> None:
    headers, body = written(InferenceResponse([fp32("OUTPUT0", 1.0, 2.5)]), ALL_BINARY)
    document = (
        b'{"model_name":"m","model_version":"1","outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[1,2],'
        b'"parameters":{"binary_data_size":8}}]}'
    )
    assert headers == {
        b"content-type": b"application/octet-stream",
        b"inference-header-content-length": str(len(document)).encode(),
    }
    assert body == document + b"\x00\x00\x80?\x00\x00 @"


def test_mixed_outputs_keep_the_models_order() -> None:
    response = InferenceResponse([fp32("A", 1.0), fp32("B", 2.0), fp32("C", 3.0)])
    forms = OutputForms({"C": BINARY, "A": BINARY, "B": JSON}, others=JSON)
    headers, body = written(response, forms, request(outputs=("C", "A", "B")))
    document, blobs = body[: int(headers[b"inference-header-content-length"])], body[-8:]
    assert [output["name"] for output in json.loads(document)["outputs"]] == ["A", "B", "C"]
    assert np.frombuffer(blobs, np.float32).tolist() == [1.0, 3.0]


def test_outputs_that_were_not_asked_for_are_left_out() -> None:
    _, body = written(InferenceResponse([fp32("A", 1.0), fp32("B", 2.0)]), ALL_JSON, request(outputs=("B",)))
    assert [output["name"] for output in json.loads(body)["outputs"]] == ["B"]


def test_no_outputs() -> None:
    assert written(InferenceResponse(), ALL_BINARY)[1] == b'{"model_name":"m","model_version":"1","outputs":[]}'


def test_parameters_of_the_response() -> None:
    response = InferenceResponse(parameters={"b": True, "i": 1, "d": 0.5, "s": "x"})
    assert written(response, ALL_JSON)[1] == (
        b'{"model_name":"m","model_version":"1","parameters":{"b":true,"i":1,"d":0.5,"s":"x"},"outputs":[]}'
    )


def test_empty_binary_outputs_count_as_json() -> None:
    headers, body = written(InferenceResponse([fp32("OUTPUT0")]), ALL_BINARY)
    assert headers == {b"content-type": b"application/json"}
    assert body.endswith(b'"shape":[1,0],"parameters":{"binary_data_size":0}}]}')
    assert written(InferenceResponse([fp32("OUTPUT0")]), ALL_JSON)[1].endswith(b'"shape":[1,0],"data":[]}]}')


def test_bytes_output_is_written_byte_by_byte() -> None:
    array = np.array([b"abc", b"", b"\xff\x00"], dtype=object)
    _, body = written(InferenceResponse([Tensor.from_array("OUTPUT0", array)]), ALL_JSON)
    assert body.endswith(b'"datatype":"BYTES","shape":[3],"data":["abc","","\xff\\u0000"]}]}')
    _, body = written(InferenceResponse([Tensor.from_array("OUTPUT0", array)]), ALL_BINARY)
    assert body.endswith(b"\x03\x00\x00\x00abc\x00\x00\x00\x00\x02\x00\x00\x00\xff\x00")
    assert b'"binary_data_size":17' in body


@pytest.mark.parametrize("datatype", [datatypes.FP16, datatypes.BF16])
def test_half_precision_needs_binary_data(datatype: datatypes.Datatype) -> None:
    tensor = Tensor("O", datatype, (1,), b"\x00<")
    with pytest.raises(InvalidArgumentError) as caught:
        written(InferenceResponse([tensor]), ALL_JSON)
    assert caught.value.message == (
        f"sending {datatype.wire_name} data via JSON is not supported. Please use the binary data format for output"
    )
    assert written(InferenceResponse([tensor]), ALL_BINARY)[1].endswith(b"\x00<")


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor("O", datatypes.FP32, (2,), b"1234"),
        Tensor("O", datatypes.BYTES, (2,), b"\x01\x00\x00\x00a"),
        Tensor("O", datatypes.BYTES, (1,), b"\x09\x00\x00\x00a"),
    ],
)
def test_outputs_that_do_not_fit_their_shape(tensor: Tensor) -> None:
    with pytest.raises(InternalError, match="^output tensor shape does not match size of output for 'O'$"):
        b"".join(json_data(tensor))


def test_large_outputs_are_not_copied() -> None:
    array = np.zeros(100_000, np.float32)
    answer = write_response(
        MODEL, request(), InferenceResponse([Tensor.from_array("O", array)]), ALL_BINARY, Encoding.IDENTITY
    )
    assert np.shares_memory(np.frombuffer(answer.chunks[1], np.float32), array)


def test_classification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODEL, "labels", {"OUTPUT0": ["apple", "banana"]})
    response = InferenceResponse([fp32("OUTPUT0", 0.25, 0.5, 1.0)])
    _, body = written(response, OutputForms({"OUTPUT0": OutputForm(False, 2)}, others=JSON))
    assert body.endswith(b'"datatype":"BYTES","shape":[1,2],"data":["1.000000:2","0.500000:1:banana"]}]}')
    _, body = written(response, OutputForms({"OUTPUT0": OutputForm(True, 1)}, others=JSON))
    assert body.endswith(b'"shape":[1,1],"parameters":{"binary_data_size":14}}]}\x0a\x00\x00\x001.000000:2')
    strings = Tensor.from_array("OUTPUT0", np.array([b"a"], dtype=object))
    with pytest.raises(InvalidArgumentError, match="class result not available for output due to unsupported type"):
        written(InferenceResponse([strings]), OutputForms({"OUTPUT0": OutputForm(False, 2)}, others=JSON))


def test_compression_keeps_the_size_of_the_json_part() -> None:
    response = InferenceResponse([fp32("OUTPUT0", 1.0)])
    plain_headers, plain = written(response, ALL_BINARY)
    answer = write_response(MODEL, request(), response, ALL_BINARY, Encoding.GZIP)
    assert dict(answer.headers) == {**plain_headers, b"content-encoding": b"gzip"}
    assert gzip.decompress(b"".join(answer.chunks)) == plain


def test_what_goes_to_a_thread() -> None:
    many = Tensor.from_array("O", np.zeros(INLINE_JSON_ELEMENTS + 1, np.float32))
    strings = Tensor.from_array("O", np.full(INLINE_JSON_ELEMENTS + 1, b"", dtype=object))
    big = Tensor.from_array("O", np.zeros(INLINE_COMPRESSION_BYTES + 1, np.uint8))
    assert is_large(InferenceResponse([many]), ALL_JSON, Encoding.IDENTITY)
    assert is_large(InferenceResponse([strings]), ALL_BINARY, Encoding.IDENTITY)
    assert is_large(InferenceResponse([big]), ALL_BINARY, Encoding.GZIP)
    assert is_large(InferenceResponse([many]), OutputForms({}, others=OutputForm(True, 1)), Encoding.IDENTITY)
    assert not is_large(InferenceResponse([many]), ALL_BINARY, Encoding.IDENTITY)
    assert not is_large(InferenceResponse([fp32("O", 1.0)]), ALL_JSON, Encoding.GZIP)


@given(st.text(), st.lists(st.floats(width=32, allow_nan=False)))
def test_json_is_read_back(request_id: str, numbers: list[float]) -> None:
    response = InferenceResponse([Tensor.from_array("O", np.array(numbers, np.float32))])
    document = json.loads(written(response, ALL_JSON, request(request_id))[1])
    assert document.get("id", "") == request_id
    assert document["outputs"][0]["data"] == numbers
