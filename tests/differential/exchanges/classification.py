"""The classification extension: labels, top k, and what it does not go with.

Classification of a BYTES output is left out: it ends the recorded server.
"""

from __future__ import annotations

from typing import Any

from tritonclient.grpc import service_pb2

from ..exchange import Exchange, GrpcRequest, HttpRequest
from .build import Input, infer_grpc, infer_json, output, parameters

ROWS = Input("INPUT0", "FP32", [2, 4], [0.1, 0.7, 0.2, 0.9, 4.0, 3.0, 2.0, 1.0])
TIES = Input("INPUT0", "FP32", [1, 4], [1e-7, 1e20, 123456.789, 1e20])


def http(tensor: Input, **values: Any) -> HttpRequest:
    return infer_json("labelled", tensor, outputs=[output("OUTPUT0", **values)])


def grpc(tensor: Input, **values: Any) -> GrpcRequest:
    wanted = service_pb2.ModelInferRequest.InferRequestedOutputTensor(name="OUTPUT0", parameters=parameters(**values))
    return infer_grpc("labelled", tensor, outputs=[wanted])


def of_type(datatype: str, values: list[Any]) -> HttpRequest:
    tensor = Input(f"IN_{datatype}", datatype, [len(values)], values)
    return infer_json("types", tensor, outputs=[output(f"OUT_{datatype}", classification=2)])


EXCHANGES = (
    Exchange("http-top-1", http(ROWS, classification=1)),
    Exchange("http-top-3", http(ROWS, classification=3)),
    Exchange("http-top-more-than-there-are", http(ROWS, classification=10)),
    Exchange("http-top-0-is-off", http(ROWS, classification=0)),
    Exchange("http-ties-and-formats", http(TIES, classification=4)),
    Exchange("http-top-binary", http(ROWS, classification=2, binary_data=True)),
    Exchange("http-top-of-integers", of_type("INT32", [-4, 9, 3])),
    Exchange("http-top-of-unsigned", of_type("UINT8", [4, 255, 3])),
    Exchange("http-top-negative", http(ROWS, classification=-1)),
    Exchange("http-top-text", http(ROWS, classification="2")),
    Exchange("http-top-of-booleans", of_type("BOOL", [True, False])),
    Exchange("grpc-top-2", grpc(ROWS, classification=2)),
    Exchange("grpc-top-0", grpc(ROWS, classification=0)),
    Exchange("grpc-top-negative", grpc(ROWS, classification=-1)),
    Exchange("grpc-top-text", grpc(ROWS, classification="2")),
)
