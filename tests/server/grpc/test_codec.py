"""Messages to requests and responses to messages."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.fake_engine import FakeModel, signature
from tests.server.grpc.infer_errors import INFER_ERRORS, LOOKUP_CASES
from tests.server.grpc.requests import TWO_FLOATS, Value, infer_input, infer_request, output, unsigned
from tritonpy.backends.errors import InternalError, InvalidArgumentError, Kind, TritonpyError
from tritonpy.backends.request import InferenceRequest, InferenceResponse, SequenceFlag
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import bytes_codec, datatypes
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.grpc.codec import LARGEST_OUTPUT_BYTES, DecodedRequest, decode_request, encode_response

Contents = messages.InferTensorContents

MODEL = cast(ServedModel, FakeModel("identity", signature(64, {"INPUT0": (datatypes.FP32, (-1,))}), version=3))


def decoded_input(contents: Contents, datatype: str, count: int) -> Tensor:
    message = infer_request(inputs=[infer_input(datatype=datatype, shape=[count], contents=contents)], raw=[])
    return decode_request(message, MODEL).request.inputs["INPUT0"]


def encoded(response: InferenceResponse, **decoded: Any) -> messages.ModelInferResponse:
    request = InferenceRequest("identity", {}, id="r7")
    return encode_response(DecodedRequest(request, **decoded), MODEL, response)


# Requests.


def test_a_raw_input_is_the_messages_bytes() -> None:
    message = infer_request(id="r1", outputs=[output("B"), output("A"), output("B")])
    request = decode_request(message, MODEL).request
    assert (request.model_name, request.model_version, request.id) == ("identity", 3, "r1")
    assert request.requested_outputs == ("B", "A")
    tensor = request.inputs["INPUT0"]
    assert (tensor.datatype, tensor.shape) == (datatypes.FP32, (1, 2))
    assert isinstance(tensor.buffer, bytes)
    assert tensor.buffer == TWO_FLOATS


def test_raw_entries_belong_to_the_inputs_in_order_and_more_are_ignored() -> None:
    message = infer_request(inputs=[infer_input("B"), infer_input("A")], raw=[b"of B", b"of A", b"of nobody"])
    inputs = decode_request(message, MODEL).request.inputs
    assert {name: tensor.buffer for name, tensor in inputs.items()} == {"B": b"of B", "A": b"of A"}


@pytest.mark.parametrize(
    ("datatype", "contents", "expected"),
    [
        ("BOOL", Contents(bool_contents=[True, False]), [True, False]),
        ("INT8", Contents(int_contents=[-128, 127]), [-128, 127]),
        ("INT16", Contents(int_contents=[-32768, 5]), [-32768, 5]),
        ("INT32", Contents(int_contents=[-(2**31), 5]), [-(2**31), 5]),
        ("INT64", Contents(int64_contents=[-(2**63), 5]), [-(2**63), 5]),
        ("UINT8", Contents(uint_contents=[255, 0]), [255, 0]),
        ("UINT16", Contents(uint_contents=[65535, 0]), [65535, 0]),
        ("UINT32", Contents(uint_contents=[2**32 - 1, 0]), [2**32 - 1, 0]),
        ("UINT64", Contents(uint64_contents=[2**64 - 1, 0]), [2**64 - 1, 0]),
        ("FP32", Contents(fp32_contents=[0.1, float("-inf")]), [np.float32(0.1), -np.inf]),
        ("FP64", Contents(fp64_contents=[0.1, float("-inf")]), [0.1, -np.inf]),
        ("BYTES", Contents(bytes_contents=[b"\xff\x00", b""]), [b"\xff\x00", b""]),
    ],
)
def test_contents_of_every_datatype(datatype: str, contents: Contents, expected: list[object]) -> None:
    assert decoded_input(contents, datatype, 2).array.tolist() == expected


@pytest.mark.parametrize(
    ("datatype", "contents", "expected"),
    [
        ("INT8", Contents(int_contents=[300, -200]), [44, 56]),
        ("INT16", Contents(int_contents=[70000]), [4464]),
        ("UINT8", Contents(uint_contents=[256, 511]), [0, 255]),
    ],
)
def test_contents_out_of_range_keep_their_low_bytes(datatype: str, contents: Contents, expected: list[int]) -> None:
    assert decoded_input(contents, datatype, len(expected)).array.tolist() == expected


def test_nan_in_contents_stays_nan() -> None:
    assert np.isnan(decoded_input(Contents(fp32_contents=[float("nan")]), "FP32", 1).array).all()


def test_parameters() -> None:
    parameters: dict[str, Value] = {
        "sequence_id": 77,
        "sequence_start": True,
        "sequence_end": True,
        "priority": 2,
        "timeout": 5000,
        "text": "a",
        "flag": False,
        "number": -4,
        "real": 0.5,
        "binary_data_output": "no meaning here",
        "headers": "x",
    }
    decoded = decode_request(infer_request(parameters=parameters), MODEL)
    request = decoded.request
    assert (request.correlation_id, request.priority, request.timeout_us) == (77, 2, 5000)
    assert request.flags == SequenceFlag.START | SequenceFlag.END
    assert request.parameters == {
        "text": "a",
        "flag": False,
        "number": -4,
        "real": 0.5,
        "binary_data_output": "no meaning here",
        "headers": "x",
    }
    assert not decoded.empty_final_response


def test_parameters_that_are_false_or_unusual() -> None:
    request = decode_request(
        infer_request(
            parameters={
                "sequence_id": "a text",
                "sequence_start": False,
                "priority": unsigned(2**64 - 1),
                "timeout": -1,
            }
        ),
        MODEL,
    ).request
    assert (request.correlation_id, request.flags) == ("a text", 0)
    assert (request.priority, request.timeout_us) == (2**64 - 1, 0)


def test_a_negative_sequence_id_is_the_upper_half_of_the_unsigned_ones() -> None:
    assert decode_request(infer_request(parameters={"sequence_id": -1}), MODEL).request.correlation_id == 2**64 - 1


def test_wishes_about_responses() -> None:
    message = infer_request(
        outputs=[output("A", classification=3, binary_data=False), output("B", unknown="x")],
        parameters={"triton_enable_empty_final_response": True},
    )
    decoded = decode_request(message, MODEL)
    assert decoded.class_counts == {"A": 3}
    assert decoded.empty_final_response
    assert decoded.request.parameters == {}


def run(message: messages.ModelInferRequest) -> None:
    """Decode, and have the model check what is its business."""
    model = FakeModel("identity", signature(64, {"INPUT0": (datatypes.FP32, (-1,))}))
    model.submit(decode_request(message, cast(ServedModel, model)).request, lambda response: None)


@pytest.mark.parametrize("case", sorted(INFER_ERRORS.keys() - LOOKUP_CASES.keys()))
def test_errors(case: str) -> None:
    message, kind, text = INFER_ERRORS[case]
    with pytest.raises(TritonpyError) as raised:
        run(message)
    assert (raised.value.kind, raised.value.message) == (kind, text)


names = st.sampled_from(["INPUT0", "X", "", "\x00", "\U0001f600"])
fields = {
    "name": names,
    "datatype": st.sampled_from([*datatypes.BY_WIRE_NAME, "NOPE", ""]),
    "shape": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
}
any_parameter = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=5), st.just(unsigned(1))
)
parameter_keys = st.sampled_from(
    ["sequence_id", "priority", "timeout", "shared_memory_region", "shared_memory_byte_size", "classification", "p"]
)
any_contents = st.builds(
    Contents,
    bool_contents=st.lists(st.booleans(), max_size=2),
    int_contents=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=2),
    fp32_contents=st.lists(st.floats(width=32), max_size=2),
    bytes_contents=st.lists(st.binary(max_size=3), max_size=2),
)
any_input = st.builds(
    lambda contents, parameters, **plain: infer_input(contents=contents, **plain, **parameters),
    st.none() | any_contents,
    st.dictionaries(parameter_keys, any_parameter, max_size=2),
    **fields,
)
any_output = st.builds(
    lambda name, parameters: output(name, **parameters), names, st.dictionaries(parameter_keys, any_parameter)
)


# Messages take long to make on a busy machine, which is no fault of what is tested.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(any_input, max_size=3),
    st.lists(st.binary(max_size=9), max_size=3),
    st.lists(any_output, max_size=2),
    st.dictionaries(parameter_keys, any_parameter, max_size=2),
)
def test_whatever_a_client_sends_is_accepted_or_refused_with_an_error_for_it(
    inputs: Any, raw: Any, outputs: Any, parameters: Any
) -> None:
    message = infer_request(inputs=inputs, raw=raw, outputs=outputs, parameters=parameters)
    refusal: TritonpyError | None = None
    try:
        run(message)
    except TritonpyError as error:
        refusal = error
    assert refusal is None or (refusal.message and refusal.kind in (Kind.INVALID_ARG, Kind.UNSUPPORTED))


# Responses.


def test_a_response_names_its_model_and_has_a_raw_entry_for_each_output() -> None:
    outputs = [
        Tensor.from_array("A", np.array([[1, 2]], np.int32)),
        Tensor.from_array("EMPTY", np.zeros((0, 4), np.float32)),
        Tensor.from_array("TEXT", np.array([b"ab", b"\xff"], object)),
        Tensor.from_array("HALF", np.array([0x3F80], np.uint16), datatypes.BF16),
        Tensor("WIRE", datatypes.BOOL, (3,), memoryview(b"\x01\x00\x01")),
    ]
    message = encoded(InferenceResponse(outputs))
    assert (message.model_name, message.model_version, message.id) == ("identity", "3", "r7")
    assert [(entry.name, entry.datatype, tuple(entry.shape)) for entry in message.outputs] == [
        ("A", "INT32", (1, 2)),
        ("EMPTY", "FP32", (0, 4)),
        ("TEXT", "BYTES", (2,)),
        ("HALF", "BF16", (1,)),
        ("WIRE", "BOOL", (3,)),
    ]
    assert list(message.raw_output_contents) == [
        np.array([1, 2], np.int32).tobytes(),
        b"",
        b"\x02\x00\x00\x00ab\x01\x00\x00\x00\xff",
        b"\x80\x3f",
        b"\x01\x00\x01",
    ]
    assert not any(entry.HasField("contents") for entry in message.outputs)


def test_parameters_of_a_response() -> None:
    message = encoded(InferenceResponse(parameters={"b": True, "i": -(2**63), "u": 2**64 - 1, "f": 0.5, "s": "\u2603"}))
    kinds = {key: value.WhichOneof("parameter_choice") for key, value in message.parameters.items()}
    assert kinds == {
        "b": "bool_param",
        "i": "int64_param",
        "u": "uint64_param",
        "f": "double_param",
        "s": "string_param",
    }
    assert message.parameters["i"].int64_param == -(2**63)
    assert message.parameters["s"].string_param == "\u2603"


def test_a_parameter_without_a_form_is_refused() -> None:
    with pytest.raises(InternalError, match="'n' of the model is 18446744073709551616, expected"):
        encoded(InferenceResponse(parameters={"n": 2**64}))


def test_an_output_as_classes() -> None:
    model = FakeModel("identity", signature(64, {"INPUT0": (datatypes.FP32, (-1,))}))
    model.labels = {"OUTPUT0": ["apple", "banana"]}
    tensor = Tensor.from_array("OUTPUT0", np.array([[0.7, 0.9, 0.1]], np.float32))
    decoded = DecodedRequest(InferenceRequest("identity", {}), {"OUTPUT0": 2})
    message = encode_response(decoded, cast(ServedModel, model), InferenceResponse([tensor]))
    assert (message.outputs[0].datatype, list(message.outputs[0].shape)) == ("BYTES", [1, 2])
    texts = bytes_codec.decode_all_elements(message.raw_output_contents[0])
    assert texts == [b"0.900000:1:banana", b"0.700000:0:apple"]


def test_more_than_a_message_can_hold_is_refused_before_it_is_copied() -> None:
    small = Tensor.from_array("SMALL", np.zeros(1, np.uint8))
    too_large = np.broadcast_to(np.uint8(0), (LARGEST_OUTPUT_BYTES,))  # has no memory of that size
    response = InferenceResponse([small, Tensor.from_array("LARGE", too_large)])
    with pytest.raises(InvalidArgumentError) as raised:
        encoded(response)
    assert raised.value.message == (
        f"Response has byte size {LARGEST_OUTPUT_BYTES + 1} which exceeds gRPC's byte size limit 2147483647."
    )
