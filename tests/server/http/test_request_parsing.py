"""Infer bodies to requests: what is accepted, and every error of the protocol's catalogue in its order."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.fake_engine import FakeEngine, example_engine
from tritonpy.backends.errors import (
    InternalError,
    InvalidArgumentError,
    TritonpyError,
    UnsupportedError,
)
from tritonpy.backends.request import SequenceFlag
from tritonpy.server import limits
from tritonpy.server.http.output_forms import OutputForm
from tritonpy.server.http.request_parsing import ParsedRequest, parse_request

LIMIT_BYTES = 10_000
ENGINE: FakeEngine = example_engine()

GOOD: dict[str, Any] = {"name": "INPUT0", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}


def parse(document: Any, blobs: bytes = b"", model: str = "identity") -> ParsedRequest:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_request(ENGINE.model(model), text + blobs, len(text), LIMIT_BYTES)


def parse_raw(body: bytes, model: str = "identity") -> ParsedRequest:
    return parse_request(ENGINE.model(model), body, 0, LIMIT_BYTES)


def changed(**members: Any) -> dict[str, Any]:
    """A good input with members replaced, or left out where the value is None."""
    return {key: value for key, value in {**GOOD, **members}.items() if value is not None}


def error_of(document: Any, blobs: bytes = b"") -> TritonpyError:
    with pytest.raises(TritonpyError) as caught:
        parse(document, blobs)
    return caught.value


# What is accepted.


def test_json_data() -> None:
    parsed = parse({"id": "abc", "inputs": [GOOD]})
    tensor = parsed.request.inputs["INPUT0"]
    assert (tensor.datatype.wire_name, tensor.shape, tensor.array.tolist()) == ("FP32", (1, 2), [[1.0, 2.0]])
    assert (parsed.request.id, parsed.request.model_name) == ("abc", "identity")
    assert parsed.request.requested_outputs == ()
    assert parsed.output_forms.of("OUTPUT0") == OutputForm()


def test_binary_data_is_not_copied() -> None:
    document = json.dumps({"inputs": [changed(data=None, parameters={"binary_data_size": 8})]}).encode()
    body = document + np.array([1, 2], np.float32).tobytes()
    tensor = parse_request(ENGINE.model("identity"), body, len(document), LIMIT_BYTES).request.inputs["INPUT0"]
    assert tensor.array.tolist() == [[1.0, 2.0]]
    buffer = tensor.buffer
    assert isinstance(buffer, memoryview)
    assert buffer.obj is body


def test_mixed_data_in_the_order_of_the_inputs() -> None:
    names = ("A", "B", "C", "D")
    blobs = {"A": b"\x01\x00\x00\x00", "C": b"\x02\x00\x00\x00"}
    entries: list[dict[str, Any]] = [
        {"name": name, "shape": [1], "datatype": "INT32", "parameters": {"binary_data_size": 4}}
        if name in blobs
        else {"name": name, "shape": [1], "datatype": "INT32", "data": [7]}
        for name in names
    ]
    inputs = parse({"inputs": entries}, b"".join(blobs.values())).request.inputs
    assert [inputs[name].array.tolist() for name in names] == [[1], [7], [2], [7]]


def test_empty_tensors() -> None:
    inputs = parse(
        {
            "inputs": [
                changed(name="A", shape=[1, 0], data=5),
                changed(name="B", shape=[1, 0], data=None, parameters={"binary_data_size": 0}),
                changed(name="C", shape=[], data=[]),
            ]
        }
    ).request.inputs
    assert [inputs[name].size_bytes for name in "ABC"] == [0, 0, 0]
    assert inputs["A"].shape == inputs["B"].shape == (1, 0)


@pytest.mark.parametrize("parameters", [None, 5, "x", [1], {"foo": 1}])
def test_input_parameters_without_meaning_are_ignored(parameters: Any) -> None:
    assert parse({"inputs": [{**GOOD, "parameters": parameters}]}).request.inputs["INPUT0"].shape == (1, 2)


def test_request_parameters() -> None:
    parameters = {
        "sequence_id": 2**64 - 1,
        "sequence_start": True,
        "sequence_end": True,
        "priority": 3,
        "timeout": 1000,
        "text": "x",
        "flag": False,
        "int": -5,
        "double": 0.5,
        "large": 2**63,
        "headers": "custom",
    }
    request = parse({"parameters": parameters, "inputs": [GOOD]}).request
    assert request.correlation_id == 2**64 - 1
    assert request.flags == SequenceFlag.START | SequenceFlag.END
    assert (request.priority, request.timeout_us) == (3, 1000)
    assert request.parameters == {
        "text": "x",
        "flag": False,
        "int": -5,
        "double": 0.5,
        "large": 2.0**63,
        "headers": "custom",
    }
    assert isinstance(request.parameters["large"], float)
    assert parse({"parameters": {"sequence_id": "s"}, "inputs": [GOOD]}).request.correlation_id == "s"


def test_how_outputs_are_wanted() -> None:
    everything = parse({"parameters": {"binary_data_output": True}, "inputs": [GOOD]}).output_forms
    assert everything.of("OUTPUT0").binary
    outputs = [
        {"name": "A", "parameters": {"binary_data": True}},
        {"name": "B"},
        {"name": "A", "parameters": {"binary_data": False}},
        {"name": "C", "parameters": {"classification": 0}},
        {"name": "D", "parameters": {"classification": 3, "binary_data": True}},
    ]
    parsed = parse({"parameters": {"binary_data_output": True}, "inputs": [GOOD], "outputs": outputs})
    assert parsed.request.requested_outputs == ("A", "B", "C", "D")
    forms = [parsed.output_forms.of(name) for name in "ABCD"]
    assert forms == [OutputForm(True), OutputForm(False), OutputForm(False, 0), OutputForm(True, 3)]
    assert parse({"inputs": [GOOD], "outputs": []}).request.requested_outputs == ()


def test_raw_requests() -> None:
    parsed = parse_raw(np.array([1, 2, 3], np.float32).tobytes())
    assert parsed.request.inputs["INPUT0"].array.tolist() == [[1.0, 2.0, 3.0]]
    assert parsed.output_forms.of("OUTPUT0").binary
    assert parse_raw(b"").request.inputs["INPUT0"].shape == (1, 0)
    assert parse_raw(b"hello", "raw_str").request.inputs["INPUT0"].array.tolist() == [b"hello"]


def test_text_that_is_no_utf8() -> None:
    body = b'{"id":"\xff","inputs":[{"name":"INPUT0","shape":[1],"datatype":"BYTES","data":["a\xfe"]}]}'
    request = parse(body).request
    assert request.id == "\udcff"
    assert request.inputs["INPUT0"].array.tolist() == [b"a\xfe"]


# Errors of the catalogue. Numbers are those of its tables.

SOURCES = (
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
    "'shared_memory_region' in 'parameters'. But"
)
TYPE = "attempt to access JSON"
INTERNAL_ERRORS: list[tuple[Any, str]] = [
    # 22-24
    ({}, "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
    ([], "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
    (None, "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
    ({"inputs": {}}, f"Unable to parse 'inputs': {TYPE} non-array as array"),
    ({"inputs": [GOOD], "outputs": 5}, f"Unable to parse 'outputs': {TYPE} non-array as array"),
    ({"inputs": [GOOD], "outputs": None}, f"Unable to parse 'outputs': {TYPE} non-array as array"),
    ({"inputs": [changed(name=None)]}, "Unable to parse 'name': attempt to access non-existing object member 'name'"),
    ({"inputs": [changed(name=5)]}, f"Unable to parse 'name': {TYPE} non-string as string"),
    (
        {"inputs": [changed(datatype=None)]},
        "Unable to parse 'datatype': attempt to access non-existing object member 'datatype'",
    ),
    (
        {"inputs": [changed(shape=None)]},
        "Unable to parse 'shape': attempt to access non-existing object member 'shape'",
    ),
    (
        {"inputs": [GOOD], "outputs": [{}]},
        "Unable to parse 'name': attempt to access non-existing object member 'name'",
    ),
    ({"inputs": [GOOD], "outputs": [5]}, "Unable to parse 'name': attempt to access non-existing object member 'name'"),
    # 25
    ({"inputs": [changed(shape=5)]}, f"Unable to parse 'shape': {TYPE} non-array as array"),
    ({"inputs": [changed(shape=[-1])]}, f"Unable to parse 'shape': {TYPE} non-unsigned-integer as unsigned-integer"),
    ({"inputs": [changed(shape=[1.0])]}, f"Unable to parse 'shape': {TYPE} non-unsigned-integer as unsigned-integer"),
    # 26-29
    ({"id": 5}, f"Unable to parse 'id': {TYPE} non-string as string"),
    ({"id": None, "inputs": [GOOD]}, f"Unable to parse 'id': {TYPE} non-string as string"),
    ({"inputs": [changed(data=5)]}, f"Unable to parse 'data': {TYPE} non-array as array"),
    ({"inputs": [{**GOOD, "data": None}]}, f"Unable to parse 'data': {TYPE} non-array as array"),
    ({"inputs": [changed(data=[1])]}, "Unable to parse 'data': Shape does not match true shape of 'data' field"),
    ({"inputs": [changed(data=[1, "a"])]}, f"Unable to parse 'data': {TYPE} non-number as double"),
    (
        {"inputs": [changed(datatype="BYTES", data=[1, 2])]},
        f"Unable to parse JSON bytes array: {TYPE} non-string as string",
    ),
    # 61
    (
        {"inputs": [changed(data=None, parameters={"binary_data_size": "8"})]},
        f"Unable to parse 'binary_data_size': {TYPE} non-unsigned-integer as unsigned-integer",
    ),
    # 69-74
    ({"parameters": 5, "inputs": [GOOD]}, "failed to get request params.: attempt to get members for non-object"),
    ({"parameters": {"sequence_id": -1}}, f"Unable to parse 'sequence_id': {TYPE} non-string as string"),
    ({"parameters": {"sequence_id": 1.5}}, f"Unable to parse 'sequence_id': {TYPE} non-string as string"),
    ({"parameters": {"sequence_start": 1}}, f"Unable to parse 'sequence_start': {TYPE} non-boolean as boolean"),
    ({"parameters": {"sequence_end": "x"}}, f"Unable to parse 'sequence_end': {TYPE} non-boolean as boolean"),
    (
        {"parameters": {"priority": -1}},
        f"Unable to parse 'priority': {TYPE} non-unsigned-integer as unsigned-integer",
    ),
    ({"parameters": {"timeout": "1"}}, f"Unable to parse 'timeout': {TYPE} non-unsigned-integer as unsigned-integer"),
    ({"parameters": {"binary_data_output": 0}}, f"Unable to parse 'binary_data_output': {TYPE} non-boolean as boolean"),
    # 76, 106
    (
        {"inputs": [GOOD], "outputs": [{"name": "O", "parameters": {"classification": -5}}]},
        f"Unable to set 'classification': {TYPE} non-unsigned-integer as unsigned-integer",
    ),
    (
        {"inputs": [GOOD], "outputs": [{"name": "O", "parameters": {"binary_data": 5}}]},
        f"Unable to parse 'binary_data': {TYPE} non-boolean as boolean",
    ),
    (
        {"inputs": [GOOD], "outputs": [{"name": "O", "parameters": {"shared_memory_region": 5}}]},
        f"Unable to parse 'shared_memory_region': {TYPE} non-string as string",
    ),
    (
        {"inputs": [GOOD], "outputs": [{"name": "O", "parameters": {"shared_memory_offset": "x"}}]},
        f"Unable to parse 'shared_memory_offset': {TYPE} non-unsigned-integer as unsigned-integer",
    ),
]
INVALID_ARGUMENT_ERRORS: list[tuple[Any, str]] = [
    # 30
    ({"inputs": [5]}, f"{SOURCES} no field is set"),
    ({"inputs": [changed(data=None)]}, f"{SOURCES} no field is set"),
    ({"inputs": [changed(parameters={"binary_data_size": 8})]}, f"{SOURCES} set 'data' 'binary_data_size'"),
    (
        {"inputs": [changed(data=None, parameters={"binary_data_size": 8, "shared_memory_region": "r"})]},
        f"{SOURCES} set 'binary_data_size' 'shared_memory_region'",
    ),
    # 31, 32
    (
        {"inputs": [changed(datatype="FP16")]},
        "receiving FP16 data via JSON is not supported. Please use the binary data format for input INPUT0",
    ),
    ({"inputs": [changed(datatype="FP99")]}, "invalid datatype for input INPUT0"),
    ({"inputs": [changed(datatype="fp32")]}, "invalid datatype for input INPUT0"),
    (
        {"inputs": [changed(datatype="FP99", shape=[1, 0])]},
        "[request id: <id_unknown>] inference input 'INPUT0' data-type is '<invalid>', but model 'identity' expects "
        "'FP32'",
    ),
    (
        {"inputs": [changed(datatype="FP99", data=None, name="X", parameters={"binary_data_size": 0})]},
        "unexpected inference input 'X' for model 'identity'",
    ),
    # 37
    ({"inputs": [GOOD, GOOD]}, "[request id: <id_unknown>] input 'INPUT0' already exists in request"),
    ({"id": "r1", "inputs": [GOOD, GOOD]}, "[request id: r1] input 'INPUT0' already exists in request"),
    # 59
    (
        {"inputs": [changed(data=None, parameters={"binary_data_size": 8})]},
        "unexpected size for input 'INPUT0', expecting 8 additional bytes for model 'identity'",
    ),
    # 67, 68
    (
        {"parameters": {"triton_x": 0}},
        "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
    ),
    (
        {"parameters": {"triton_enable_empty_final_response": True}},
        "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
    ),
    ({"parameters": {"n": None}}, "parameter 'n' has invalid type. It should be either 'int', 'bool', or 'string'."),
    ({"parameters": {"n": []}}, "parameter 'n' has invalid type. It should be either 'int', 'bool', or 'string'."),
    ({"parameters": {"n": {}}}, "parameter 'n' has invalid type. It should be either 'int', 'bool', or 'string'."),
    # 79, 80
    (
        {
            "inputs": [GOOD],
            "outputs": [{"name": "O", "parameters": {"shared_memory_region": "r", "classification": 0}}],
        },
        "Output can't set both 'shared_memory_region' and 'classification'",
    ),
    (
        {
            "inputs": [GOOD],
            "outputs": [{"name": "O", "parameters": {"shared_memory_region": "r", "binary_data": True}}],
        },
        "Output can't set both 'shared_memory_region' and 'binary_data'",
    ),
    # Limits.
    (
        {"inputs": [changed(shape=[2**62, 4])]},
        "invalid shape for input 'INPUT0': shape [4611686018427387904,4] causes total element count to exceed maximum "
        "size of 9223372036854775807",
    ),
    (
        {"inputs": [changed(shape=[2501])]},
        "JSON input 'INPUT0' has a byte_size (10004 bytes) that exceeds the maximum allowed value of 10000 bytes. "
        "Use --http-max-input-size to increase the limit.",
    ),
    (
        {"inputs": [changed(name="x" * 1025)]},
        "name of an input has 1025 characters, expected at most 1024",
    ),
    (
        {"inputs": [GOOD], "outputs": [{"name": "x" * 1025}]},
        "name of an output has 1025 characters, expected at most 1024",
    ),
]


@pytest.mark.parametrize(("document", "message"), INTERNAL_ERRORS)
def test_documents_of_wrong_structure(document: Any, message: str) -> None:
    error = error_of(document)
    assert (type(error), error.message) == (InternalError, message)


@pytest.mark.parametrize(("document", "message"), INVALID_ARGUMENT_ERRORS)
def test_documents_of_wrong_content(document: Any, message: str) -> None:
    error = error_of(document)
    assert (type(error), error.message) == (InvalidArgumentError, message)


BINARY = {"inputs": [changed(data=None, parameters={"binary_data_size": 8})]}


@pytest.mark.parametrize(
    ("blobs", "message"),
    [
        (b"1234", "unexpected size for input 'INPUT0', expecting 4 additional bytes for model 'identity'"),
        (b"123456789", "unexpected additional input data for model 'identity'"),
    ],
)
def test_binary_sections_of_wrong_size(blobs: bytes, message: str) -> None:
    error = error_of(BINARY, blobs)
    assert (type(error), error.message) == (InvalidArgumentError, message)


def test_bytes_after_json_inputs_are_left_over() -> None:
    assert error_of({"inputs": [GOOD]}, b"x").message == "unexpected additional input data for model 'identity'"


def test_json_errors() -> None:
    message = "failed to parse the request JSON buffer: Missing a name for object member. at 1"
    assert error_of(b"{").message == message
    document = json.dumps({"inputs": [GOOD]}).encode()
    message = (
        "failed to parse the request JSON buffer: The document root must not be followed by other values. at "
        f"{len(document) + 1}"
    )
    assert error_of(document + b" x").message == message


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        (
            "pair",
            b"hello",
            "[request id: <id_unknown>] Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in "
            "'pair' model configuration",
        ),
        (
            "ident_str",
            b"hello",
            "[request id: <id_unknown>] For BYTE datatype raw input 'INPUT0', the model must have input shape [1]",
        ),
        (
            "grid",
            b"hello",
            "[request id: <id_unknown>] The shape of the raw input 'INPUT0' can not be deduced because there are more "
            "than one variable-sized dimension",
        ),
        (
            "identity",
            b"123456789",
            "[request id: <id_unknown>] input byte size mismatch for input 'raw_input' for model 'identity'. "
            "Expected 8, got 9",
        ),
        (
            "identity",
            bytes(LIMIT_BYTES + 1),
            "Raw input has a byte_size (10001 bytes) that exceeds the maximum allowed value of 10000 bytes. "
            "Use --http-max-input-size to increase the limit.",
        ),
    ],
)
def test_raw_requests_that_do_not_fit(model: str, body: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_raw(body, model)
    assert caught.value.message == message


def test_the_json_part_has_a_limit() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse(b"[" + b"0" * LIMIT_BYTES)
    assert caught.value.message == (
        "request JSON size of 10001 bytes exceeds the maximum allowed input size of 10000 bytes. "
        "Use --http-max-input-size to increase the limit."
    )


def test_the_number_of_tensors_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_TENSOR_COUNT", 1)
    assert error_of({"inputs": [GOOD, GOOD]}).message == "request has 2 inputs, expected at most 1"
    outputs = [{"name": "A"}, {"name": "B"}]
    assert error_of({"inputs": [GOOD], "outputs": outputs}).message == "request has 2 outputs, expected at most 1"


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": [changed(data=None, parameters={"shared_memory_region": "r"})]},
        {"inputs": [GOOD], "outputs": [{"name": "O", "parameters": {"shared_memory_region": "r"}}]},
    ],
)
def test_what_this_server_does_not_offer(document: Any) -> None:
    error = error_of(document)
    assert isinstance(error, UnsupportedError)
    assert "which this server does not offer" in error.message


# The order of the checks: of two mistakes the earlier one is reported.


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"id": 5, "parameters": 5}, "Unable to parse 'id'"),
        ({"parameters": {"z": None, "triton_x": 1}}, "parameter 'z' has invalid type"),
        ({"parameters": 5, "inputs": 5}, "failed to get request params."),
        ({"inputs": [{"name": 5}]}, "Input must set only one"),
        ({"inputs": [{"data": [1], "name": 5, "datatype": 5}]}, "Unable to parse 'name'"),
        ({"inputs": [changed(datatype=5, shape=5)]}, "Unable to parse 'datatype'"),
        ({"inputs": [GOOD, changed(data=["x"])]}, "[request id: <id_unknown>] input 'INPUT0' already exists"),
        ({"inputs": [changed(datatype="FP99", data=5)]}, "Unable to parse 'data'"),
        ({"inputs": [changed(data=[1, "x"]), changed(name=5)]}, "Unable to parse 'data'"),
        ({"inputs": [changed(data=["x"])], "outputs": 5}, "Unable to parse 'data'"),
        ({"inputs": [GOOD], "outputs": [{"name": "NOPE"}, 5]}, "Unable to parse 'name'"),
    ],
)
def test_the_first_mistake_is_reported(document: Any, message: str) -> None:
    assert error_of(document).message.startswith(message)


def test_bytes_left_over_come_before_outputs() -> None:
    assert error_of({"inputs": [GOOD], "outputs": 5}, b"x").message.startswith("unexpected additional input data")


# Anything at all.

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "parameters", "inputs", "outputs", "name", "datatype", "shape", "data", "binary_data_size"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)
ENTRIES = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["INPUT0", "X"]),
        "datatype": st.sampled_from(["FP32", "INT8", "UINT64", "BOOL", "BYTES", "FP16", "?"]),
        "shape": st.lists(st.integers(0, 3) | st.integers(0, 2**64), max_size=3),
    },
    optional={"data": JSON_VALUES, "parameters": JSON_VALUES},
)
DOCUMENTS = JSON_VALUES | st.fixed_dictionaries({"inputs": st.lists(ENTRIES, max_size=3)}, optional={"id": st.text()})


@given(DOCUMENTS.map(lambda value: json.dumps(value).encode()) | st.binary(), st.binary(max_size=20))
def test_any_body_gives_a_request_or_a_known_error(document: bytes, blobs: bytes) -> None:
    model = ENGINE.model("identity")
    try:
        parsed = parse_request(model, document + blobs, len(document), LIMIT_BYTES)
    except TritonpyError:
        return
    assert parsed.request.model_name == "identity"


@given(st.lists(st.floats(width=32), max_size=50), st.booleans())
def test_round_trip_of_binary_and_json(numbers: list[float], binary: bool) -> None:
    array = np.array(numbers, np.float32)
    entry = changed(shape=[len(numbers)], data=None if binary else numbers)
    if binary:
        entry["parameters"] = {"binary_data_size": array.nbytes}
    tensor = parse({"inputs": [entry]}, array.tobytes() if binary else b"").request.inputs["INPUT0"]
    np.testing.assert_array_equal(tensor.array, array)
