"""ModelInfer calls that succeed: raw and typed contents, ids, requested outputs, zero sizes, parameters."""

from __future__ import annotations

from typing import Any

from tritonclient.grpc import service_pb2

from ..exchange import Exchange, GrpcRequest
from .build import Input, fp32, infer_grpc, infer_message, parameters, sixteen, strings

BOTH = (sixteen("INPUT0", 0), sixteen("INPUT1", 100))
REQUESTED = service_pb2.ModelInferRequest.InferRequestedOutputTensor


def wanted(*names: str) -> list[Any]:
    return [REQUESTED(name=name) for name in names]


def typed_add_sub(raw: list[bytes]) -> GrpcRequest:
    """Both inputs in typed contents, and raw contents beside them."""
    message = service_pb2.ModelInferRequest(model_name="add_sub", raw_input_contents=raw)
    for tensor in BOTH:
        contents = service_pb2.InferTensorContents(int_contents=tensor.values)
        message.inputs.add(name=tensor.name, datatype="INT32", shape=[1, 16], contents=contents)
    return infer_message(message)


EXCHANGES = (
    Exchange("grpc-identity", infer_grpc("identity", fp32(1.0, 2.5))),
    Exchange("grpc-id", infer_grpc("identity", fp32(1.0), id="abc")),
    Exchange("grpc-id-unicode", infer_grpc("identity", fp32(1.0), id="\u2603\n")),
    Exchange("grpc-nan", infer_grpc("identity", fp32(float("nan"), float("inf"), float("-inf")))),
    Exchange("grpc-add-sub", infer_grpc("add_sub", *BOTH)),
    Exchange("grpc-add-sub-typed", typed_add_sub([])),
    Exchange("grpc-add-sub-batch", infer_grpc("add_sub", sixteen("INPUT0", 0, 8), sixteen("INPUT1", 5, 8))),
    Exchange("grpc-one-output", infer_grpc("add_sub", *BOTH, outputs=wanted("OUTPUT1"))),
    Exchange("grpc-outputs-reversed", infer_grpc("add_sub", *BOTH, outputs=wanted("OUTPUT1", "OUTPUT0"))),
    Exchange("grpc-output-twice", infer_grpc("add_sub", *BOTH, outputs=wanted("OUTPUT0", "OUTPUT0"))),
    Exchange("grpc-surplus-raw-contents", infer_grpc("identity", fp32(1.0), raw=[fp32(1.0).data(), b"more"])),
    Exchange("grpc-zero-columns", infer_grpc("identity", fp32())),
    Exchange("grpc-strings", infer_grpc("ident_str", strings("a", "", b"\xff\x00"))),
    Exchange("grpc-no-strings", infer_grpc("ident_str", strings())),
    Exchange("grpc-matrix", infer_grpc("matrix", Input("INPUT0", "FP32", [2, 2], [1.0, 2.0, 3.0, 4.0]))),
    Exchange("grpc-optional-input-left-out", infer_grpc("optional_in", Input("REQUIRED", "INT32", [1, 1], [1]))),
    Exchange(
        "grpc-empty-final-response-is-ignored",
        infer_grpc("identity", fp32(1.0), parameters=parameters(triton_enable_empty_final_response=True)),
    ),
)
