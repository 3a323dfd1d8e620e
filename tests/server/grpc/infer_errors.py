"""What a wrong ModelInferRequest is answered with, on unary calls and, in-band, on streams.

The texts are those of the real server (except for shared memory, which is not offered): each was compared with the
answer of tritonserver 2.51 to the same message.
"""

from __future__ import annotations

from tests.server.grpc.requests import TWO_FLOATS, infer_input, infer_request, output, unsigned
from tritonpy.backends.errors import Kind
from tritonpy.protos.generated import grpc_service_pb2 as messages

Contents = messages.InferTensorContents

NO_ID = "[request id: <id_unknown>] "
RESERVED = (
    "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with "
    "'triton_' are allowed: triton_enable_empty_final_response"
)
EXPLICIT = "unexpected explicit tensor data for input tensor 'INPUT0' for model 'identity'"
CONTENTS_AND_RAW = (
    "contents field must not be specified when using raw_input_contents for 'INPUT0' for model 'identity'"
)
INVALID_DATATYPE = f"{NO_ID}inference input 'INPUT0' data-type is '<invalid>', but model 'identity' expects 'FP32'"
MIXED_CONTENTS = Contents(fp32_contents=[1, 2], fp64_contents=[1, 2])


def not_offered(name: str) -> str:
    return (
        f"tensor '{name}' is in shared memory, which this server does not support yet: leave 'shared_memory_region' "
        "out, so that its data is in the message"
    )


def without_region(key: str) -> str:
    return f"'{key}' can not be specified without 'shared_memory_region' parameter for tensor 'INPUT0'"


def without_size(name: str) -> str:
    return (
        f"'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for tensor '{name}'"
    )


def wrong_type(key: str, expected: str) -> str:
    return f"invalid value type for '{key}' parameter, expected {expected}."


def one_input(**parameters: object) -> messages.ModelInferRequest:
    return infer_request(inputs=[infer_input(**parameters)])  # type: ignore[arg-type]


def typed(contents: Contents, datatype: str = "FP32") -> messages.ModelInferRequest:
    return infer_request(inputs=[infer_input(datatype=datatype, contents=contents)], raw=[])


# Requests of the wrong form; the kind is INVALID_ARG where none is given.
LOOKUP_CASES: dict[str, tuple[messages.ModelInferRequest, Kind, str]] = {
    "unknown model": (
        infer_request("nosuch"),
        Kind.NOT_FOUND,
        "Request for unknown model: 'nosuch' is not found",
    ),
    "no model name": (infer_request(""), Kind.NOT_FOUND, "Request for unknown model: '' is not found"),
    "unknown version": (
        infer_request(version="9"),
        Kind.NOT_FOUND,
        "Request for unknown model: 'identity' version 9 is not found",
    ),
    "version is no number": (
        infer_request(version="abc"),
        Kind.INVALID_ARG,
        "failed to get model version from specified version string 'abc' (details: stol), version should be an "
        "integral value > 0",
    ),
    "negative version": (
        infer_request(version="-3"),
        Kind.INVALID_ARG,
        "invalid model version specified '-3' , version should be an integral value > 0",
    ),
}

INPUT_CASES: dict[str, tuple[messages.ModelInferRequest, str]] = {
    "data missing": (
        infer_request(raw=[]),
        "unable to find data for input tensor 'INPUT0' for model 'identity' in request.",
    ),
    "input twice": (
        infer_request(inputs=[infer_input(), infer_input()], raw=[TWO_FLOATS, TWO_FLOATS]),
        f"{NO_ID}input 'INPUT0' already exists in request",
    ),
    "input twice and data missing": (
        infer_request(inputs=[infer_input(), infer_input()], raw=[], id="r1"),
        "[request id: r1] input 'INPUT0' already exists in request",
    ),
    "contents and raw": (
        infer_request(inputs=[infer_input(contents=Contents(fp32_contents=[1, 2]))]),
        CONTENTS_AND_RAW,
    ),
    "empty contents and raw": (infer_request(inputs=[infer_input(contents=Contents())]), CONTENTS_AND_RAW),
    "contents of another type": (
        typed(Contents(int_contents=[1, 2])),
        f"{EXPLICIT} of type 'INT32', expected datatype 'FP32'",
    ),
    "unsigned contents": (
        typed(Contents(uint_contents=[1, 2])),
        f"{EXPLICIT} of type 'UINT32', expected datatype 'FP32'",
    ),
    "FP16 as contents": (
        typed(Contents(fp32_contents=[1, 2]), "FP16"),
        f"{EXPLICIT} of type 'FP32', expected datatype 'FP16'",
    ),
    "contents of an unknown datatype": (
        typed(Contents(fp32_contents=[1, 2]), "NOPE"),
        f"{EXPLICIT} of type 'FP32', expected datatype '<invalid>'",
    ),
    "two lists of contents, the right one first": (
        typed(MIXED_CONTENTS),
        f"{EXPLICIT}, binary data was already supplied.",
    ),
    "two lists of contents, the wrong one first": (
        typed(Contents(int_contents=[1, 2], fp32_contents=[1, 2])),
        f"{EXPLICIT} of type 'INT32', expected datatype 'FP32'",
    ),
    "contents without elements": (
        typed(Contents()),
        f"{NO_ID}input byte size mismatch for input 'INPUT0' for model 'identity'. Expected 8, got 0",
    ),
    "unknown datatype": (one_input(datatype="NOPE"), INVALID_DATATYPE),
    "unknown datatype, no contents": (typed(Contents(), "NOPE"), INVALID_DATATYPE),
    "unknown datatype, later input without data": (
        infer_request(inputs=[infer_input(datatype="NOPE"), infer_input("B")]),
        "unable to find data for input tensor 'B' for model 'identity' in request.",
    ),
    "unknown datatype and unknown output": (
        infer_request(inputs=[infer_input(datatype="NOPE")], outputs=[output("NOPE")]),
        "unexpected inference output 'NOPE' for model 'identity'",
    ),
    "unknown datatype and unknown input": (
        one_input(name="X", datatype="NOPE"),
        "unexpected inference input 'X' for model 'identity'",
    ),
    "dimension -1": (
        one_input(shape=[1, -1]),
        f"{NO_ID}All input dimensions should be specified for input 'INPUT0' for model 'identity', got [1,-1]",
    ),
    "size does not fit": (
        infer_request(raw=[TWO_FLOATS[:4]], id="r2"),
        "[request id: r2] input byte size mismatch for input 'INPUT0' for model 'identity'. Expected 8, got 4",
    ),
    "too many inputs to read": (
        infer_request(inputs=[infer_input()] * 4097),
        "request has 4097 inputs, expected at most 4096",
    ),
    "name of an input too long to repeat": (
        one_input(name="x" * 1025),
        "name of an input has 1025 characters, expected at most 1024",
    ),
    "name of an output too long to repeat": (
        infer_request(outputs=[output("x" * 1025)]),
        "name of an output has 1025 characters, expected at most 1024",
    ),
    "too many outputs to read": (
        infer_request(outputs=[output()] * 4097),
        "request has 4097 outputs, expected at most 4096",
    ),
}

PARAMETER_CASES: dict[str, tuple[messages.ModelInferRequest, str]] = {
    name: (infer_request(parameters=parameters), text)  # type: ignore[arg-type]
    for name, (parameters, text) in {
        "reserved key": ({"triton_x": True}, RESERVED),
        "empty final response": (
            {"triton_enable_empty_final_response": "yes"},
            wrong_type("triton_enable_empty_final_response", "bool_param"),
        ),
        "unsigned custom parameter": (
            {"a": unsigned(1)},
            "invalid value type for 'a' parameter, expected int64_param, bool_param, or string_param.",
        ),
        "custom parameter without value": (
            {"a": messages.InferParameter()},
            "invalid value type for 'a' parameter, expected int64_param, bool_param, or string_param.",
        ),
        "sequence id": ({"sequence_id": unsigned(1)}, wrong_type("sequence_id", "int64_param or string_param")),
        "sequence start": ({"sequence_start": "1"}, wrong_type("sequence_start", "bool_param")),
        "sequence end": ({"sequence_end": 1}, wrong_type("sequence_end", "bool_param")),
        "priority": ({"priority": "1"}, wrong_type("priority", "int64_param or uint64_param")),
        "negative priority": ({"priority": -1}, "invalid value for 'priority', expected value >= 0."),
        "timeout": ({"timeout": unsigned(1)}, wrong_type("timeout", "int64_param")),
    }.items()
}

OUTPUT_CASES: dict[str, tuple[messages.ModelInferRequest, str]] = {
    "classification of another type": (
        infer_request(outputs=[output(classification="1")]),
        "invalid value type for 'classification' parameter, expected int64_param",
    ),
    "classification into no class": (
        infer_request(outputs=[output(classification=0)]),
        "invalid value for 'classification' parameter, expected >= 0",
    ),
    "negative classification": (
        infer_request(outputs=[output(classification=-1)]),
        "invalid value for 'classification' parameter, expected >= 0",
    ),
    "wrong output and data missing": (
        infer_request(raw=[], outputs=[output(classification=-1)]),
        "unable to find data for input tensor 'INPUT0' for model 'identity' in request.",
    ),
    "wrong output and inputs missing": (
        infer_request(inputs=[], outputs=[output(classification=-1)]),
        "invalid value for 'classification' parameter, expected >= 0",
    ),
    "classification into shared memory": (
        infer_request(
            outputs=[output(classification=1, shared_memory_region="r", shared_memory_byte_size=8)],
        ),
        "output can't set both 'shared_memory_region' and 'classification'",
    ),
    "unknown output": (
        infer_request(outputs=[output("NOPE")]),
        "unexpected inference output 'NOPE' for model 'identity'",
    ),
}

REGION_CASES: dict[str, tuple[messages.ModelInferRequest, str]] = {
    "region without size": (one_input(shared_memory_region="r"), without_size("INPUT0")),
    "output region without size": (infer_request(outputs=[output(shared_memory_region="r")]), without_size("OUTPUT0")),
    "region is no text": (
        one_input(shared_memory_region=1),
        "invalid value type for 'shared_memory_region' parameter for tensor 'INPUT0', expected string_param.",
    ),
    "size without region": (one_input(shared_memory_byte_size=8), without_region("shared_memory_byte_size")),
    "offset without region": (one_input(shared_memory_offset="8"), without_region("shared_memory_offset")),
    "size is no integer": (
        one_input(shared_memory_region="r", shared_memory_byte_size="8"),
        "invalid value type for 'shared_memory_byte_size' parameter for tensor 'INPUT0', expected int64_param.",
    ),
    "offset is no integer": (
        one_input(shared_memory_region="r", shared_memory_offset="8"),
        "invalid value type for 'shared_memory_offset' parameter for tensor 'INPUT0', expected int64_param.",
    ),
    "region and contents": (
        one_input(shared_memory_region="r", shared_memory_byte_size=8, contents=Contents(fp32_contents=[1, 2])),
        "unexpected 'content' provided when using shared memory for input tensor 'INPUT0' for model 'identity'",
    ),
}

NOT_OFFERED_CASES: dict[str, tuple[messages.ModelInferRequest, Kind, str]] = {
    "input in shared memory": (
        one_input(shared_memory_region="r", shared_memory_byte_size=8),
        Kind.UNSUPPORTED,
        not_offered("INPUT0"),
    ),
    "output in shared memory": (
        infer_request(outputs=[output(shared_memory_region="r", shared_memory_byte_size=8)]),
        Kind.UNSUPPORTED,
        not_offered("OUTPUT0"),
    ),
}

INFER_ERRORS: dict[str, tuple[messages.ModelInferRequest, Kind, str]] = {
    **LOOKUP_CASES,
    **{
        name: (message, Kind.INVALID_ARG, text)
        for cases in (INPUT_CASES, PARAMETER_CASES, OUTPUT_CASES, REGION_CASES)
        for name, (message, text) in cases.items()
    },
    **NOT_OFFERED_CASES,
}
