"""Requests that do not fit the model: the same message over HTTP and gRPC."""

from __future__ import annotations

from collections.abc import Iterator

from tritonclient.grpc import service_pb2

from ..exchange import Differs, Exchange, Loosely
from .build import (
    Input,
    fp32,
    grpc_error,
    http_error,
    infer_grpc,
    infer_json,
    infer_text,
    output,
    sixteen,
    strings,
)

LEFT, RIGHT = sixteen("INPUT0", 0), sixteen("INPUT1", 100)
REQUESTED = service_pb2.ModelInferRequest.InferRequestedOutputTensor


def ints(name: str, *shape: int) -> Input:
    count = 1
    for dimension in shape:
        count *= dimension
    return Input(name, "INT32", shape, range(count))


MISFITS: tuple[tuple[str, str, tuple[Input, ...]], ...] = (
    ("input-missing", "add_sub", (LEFT,)),
    ("other-input-missing", "add_sub", (RIGHT,)),
    ("all-inputs-missing", "add_sub", ()),
    ("input-too-many", "add_sub", (LEFT, RIGHT, ints("INPUT2", 1, 16))),
    ("input-unknown", "identity", (fp32(1.0, name="FOO"),)),
    ("input-unknown-of-two", "add_sub", (LEFT, sixteen("FOO", 0))),
    ("input-twice", "identity", (fp32(1.0), fp32(2.0))),
    ("input-without-name", "identity", (fp32(1.0, name=""),)),
    ("datatype-other", "identity", (ints("INPUT0", 1, 2),)),
    ("datatype-string-for-float", "identity", (Input("INPUT0", "BYTES", [1, 1], ["a"]),)),
    ("datatype-float-for-string", "ident_str", (Input("INPUT0", "FP32", [1], [1.0]),)),
    ("rank-too-small", "identity", (Input("INPUT0", "FP32", [2], [1.0, 2.0]),)),
    ("rank-too-big", "identity", (Input("INPUT0", "FP32", [1, 1, 2], [1.0, 2.0]),)),
    ("shape-empty", "identity", (Input("INPUT0", "FP32", [], [1.0]),)),
    ("shape-empty-without-batching", "matrix", (Input("INPUT0", "FP32", [], [1.0]),)),
    ("dimension-wrong", "add_sub", (ints("INPUT0", 1, 15), RIGHT)),
    ("dimension-wrong-in-second", "add_sub", (LEFT, ints("INPUT1", 1, 17))),
    ("dimension-wrong-without-batching", "matrix", (Input("INPUT0", "FP32", [2, 3], [0.0] * 6),)),
    ("dimension-zero-fixed", "add_sub", (ints("INPUT0", 1, 0), ints("INPUT1", 1, 0))),
    ("batch-sizes-differ", "add_sub", (sixteen("INPUT0", 0, 2), RIGHT)),
    ("batch-too-big", "add_sub", (sixteen("INPUT0", 0, 9), sixteen("INPUT1", 0, 9))),
    ("batch-zero", "identity", (Input("INPUT0", "FP32", [0, 2], []),)),
    ("optional-model-without-inputs", "optional_in", ()),
    ("optional-model-input-unknown", "optional_in", (ints("REQUIRED", 1, 1), ints("FOO", 1, 1))),
    ("optional-model-too-many", "optional_in", tuple(ints(n, 1, 1) for n in ("REQUIRED", "OPTIONAL", "FOO"))),
)


HASH_ORDER = "the recorded server goes through the inputs in the order of a hash table"
TOO_MANY = "its list of missing inputs is a lone bracket, and "
LOOSELY = {
    "input-too-many": Loosely(
        r"\[request id: <id_unknown>\] expected 2 inputs but got 3 inputs for model 'add_sub'\. "
        r"Got input\(s\) \['INPUT\d','INPUT\d','INPUT\d'\].*",
        TOO_MANY + HASH_ORDER,
    ),
    "optional-model-too-many": Loosely(
        r"\[request id: <id_unknown>\] expected number of inputs between 1 and 2 but got 3 inputs "
        r"for model 'optional_in'\. Got input\(s\) \['[A-Z]+','[A-Z]+','[A-Z]+'\].*",
        TOO_MANY + HASH_ORDER,
    ),
    "batch-sizes-differ": Loosely(
        r"\[request id: <id_unknown>\] input 'INPUT[01]' batch size does not match other inputs for 'add_sub'",
        HASH_ORDER,
    ),
    "dimension-zero-fixed": Loosely(
        r"\[request id: <id_unknown>\] unexpected shape for input 'INPUT[01]' for model 'add_sub'\. "
        r"Expected \[-1,16\], got \[1,0\]\. NOTE: .*",
        HASH_ORDER,
    ),
}
NEGATIVE_SIZE = Loosely(
    r"\[request id: <id_unknown>\] .*'INPUT0' for model 'identity'.*",
    "the recorded server expects -8 bytes; any refusal that names the input and the model helps more",
)
REQUIRED_MISSING = (
    "[request id: <id_unknown>] expected number of inputs between 1 and 2 but got 1 inputs for model 'optional_in'. "
    "Got input(s) ['OPTIONAL'], but missing required input(s) ['REQUIRED']. Please provide all required input(s)."
)
COUNTS_ONLY = "the recorded server counts the inputs only, and runs the model without the one it requires"


def over_both_protocols() -> Iterator[Exchange]:
    for name, model, inputs in MISFITS:
        yield Exchange(f"http-{name}", infer_json(model, *inputs), loosely=LOOSELY.get(name))
        yield Exchange(f"grpc-{name}", infer_grpc(model, *inputs), loosely=LOOSELY.get(name))


def wanted(name: str) -> list[object]:
    return [REQUESTED(name=name)]


EXCHANGES = (
    *over_both_protocols(),
    Exchange(
        "http-required-input-missing",
        infer_json("optional_in", ints("OPTIONAL", 1, 1)),
        differs=Differs(http_error(400, REQUIRED_MISSING), COUNTS_ONLY),
    ),
    Exchange(
        "grpc-required-input-missing",
        infer_grpc("optional_in", ints("OPTIONAL", 1, 1)),
        differs=Differs(grpc_error("INVALID_ARGUMENT", REQUIRED_MISSING), COUNTS_ONLY),
    ),
    Exchange("http-message-names-request-id", infer_json("add_sub", LEFT, id="rq1")),
    Exchange("grpc-message-names-request-id", infer_grpc("add_sub", LEFT, id="rq1")),
    Exchange("http-output-unknown", infer_json("identity", fp32(1.0), outputs=[output("NOPE")])),
    Exchange("grpc-output-unknown", infer_grpc("identity", fp32(1.0), outputs=wanted("NOPE"))),
    Exchange("http-inputs-empty", infer_text("identity", '{"inputs":[]}')),
    Exchange("grpc-datatype-unknown", infer_grpc("identity", Input("INPUT0", "FP33", [1, 1], []), raw=[b"1234"])),
    Exchange("grpc-datatype-empty", infer_grpc("identity", Input("INPUT0", "", [1, 1], []), raw=[b"1234"])),
    Exchange("grpc-dimension-variable", infer_grpc("identity", Input("INPUT0", "FP32", [1, -1], [1.0]))),
    Exchange(
        "grpc-dimension-negative",
        infer_grpc("identity", Input("INPUT0", "FP32", [1, -2], [1.0, 2.0])),
        loosely=NEGATIVE_SIZE,
    ),
    Exchange("grpc-strings-too-many", infer_grpc("ident_str", Input("INPUT0", "BYTES", [2], ["a", "b", "c"]))),
    Exchange("grpc-strings-too-few", infer_grpc("ident_str", Input("INPUT0", "BYTES", [4], ["a", "b", "c"]))),
    Exchange(
        "grpc-string-cut-in-length",
        infer_grpc("ident_str", strings("a", "b"), raw=[b"\x01\x00\x00\x00a\x01\x00"]),
    ),
    Exchange("grpc-string-cut-in-element", infer_grpc("ident_str", strings("a"), raw=[b"\x09\x00\x00\x00ab"])),
)
