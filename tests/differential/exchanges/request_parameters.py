"""Request parameters, good and bad; the model "params" answers with what it sees of the request."""

from __future__ import annotations

import json
from typing import Any

from tritonclient.grpc import service_pb2

from ..exchange import Exchange, GrpcRequest, HttpRequest
from .build import fp32, infer_grpc, infer_json, infer_text, output, parameters

BIG = 2**63
"""More than an int64 holds."""


def http(**values: Any) -> HttpRequest:
    return infer_json("params", fp32(1.0), parameters=values)


def http_raw(values: str) -> HttpRequest:
    """Parameters as JSON text, for what Python would not write."""
    tensor = json.dumps(fp32(1.0).as_json())
    return infer_text("params", f'{{"parameters":{values},"inputs":[{tensor}]}}')


def grpc(**values: bool | int | float | str) -> GrpcRequest:
    return infer_grpc("params", fp32(1.0), parameters=parameters(**values))


def grpc_unsigned(key: str, value: int) -> GrpcRequest:
    return infer_grpc("params", fp32(1.0), parameters={key: service_pb2.InferParameter(uint64_param=value)})


def grpc_unset(key: str) -> GrpcRequest:
    return infer_grpc("params", fp32(1.0), parameters={key: service_pb2.InferParameter()})


HTTP_VALUES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("none", {}),
    ("custom", {"text": "a", "number": 7, "negative": -7, "flag": True, "off": False}),
    ("double", {"ratio": 1.5}),
    ("big-unsigned", {"big": BIG}),
    ("int64-limits", {"most": BIG - 1, "least": -BIG}),
    ("headers-is-custom", {"headers": "a"}),
    ("empty-name", {"": "a"}),
    ("empty-text", {"text": ""}),
    ("null", {"n": None}),
    ("list", {"n": [1]}),
    ("object", {"n": {}}),
    ("triton-prefix", {"triton_surprise": 1}),
    ("triton-empty-final-response", {"triton_enable_empty_final_response": True}),
    ("sequence", {"sequence_id": 42, "sequence_start": True, "sequence_end": False}),
    ("sequence-text", {"sequence_id": "forty-two", "sequence_start": False, "sequence_end": True}),
    ("sequence-id-zero", {"sequence_id": 0}),
    ("sequence-id-negative", {"sequence_id": -1}),
    ("sequence-id-double", {"sequence_id": 1.5}),
    ("sequence-id-boolean", {"sequence_id": True}),
    ("sequence-start-number", {"sequence_start": 1}),
    ("sequence-end-text", {"sequence_end": "true"}),
    ("priority", {"priority": 3}),
    ("priority-text", {"priority": "high"}),
    ("priority-negative", {"priority": -1}),
    ("timeout", {"timeout": 500000}),
    ("timeout-text", {"timeout": "1s"}),
    ("timeout-negative", {"timeout": -1}),
    ("timeout-double", {"timeout": 1.0}),
    ("binary-data-output-text", {"binary_data_output": "yes"}),
    ("binary-data-output-number", {"binary_data_output": 1}),
)
GRPC_VALUES: tuple[tuple[str, dict[str, bool | int | float | str]], ...] = (
    ("none", {}),
    ("custom", {"text": "a", "number": 7, "negative": -7, "flag": True, "off": False}),
    ("double", {"ratio": 1.5}),
    ("sequence", {"sequence_id": 42, "sequence_start": True, "sequence_end": False}),
    ("sequence-text", {"sequence_id": "forty-two", "sequence_start": False, "sequence_end": True}),
    ("sequence-id-boolean", {"sequence_id": True}),
    ("sequence-start-number", {"sequence_start": 1}),
    ("sequence-end-text", {"sequence_end": "true"}),
    ("priority", {"priority": 3}),
    ("priority-text", {"priority": "high"}),
    ("priority-negative", {"priority": -1}),
    ("timeout", {"timeout": 500000}),
    ("timeout-text", {"timeout": "1s"}),
    ("binary-data-output-is-custom", {"binary_data_output": True}),
    ("triton-prefix", {"triton_surprise": 1}),
    ("empty-final-response-text", {"triton_enable_empty_final_response": "yes"}),
)

EXCHANGES = (
    *(Exchange(f"http-parameters-{name}", http(**values)) for name, values in HTTP_VALUES),
    *(Exchange(f"grpc-parameters-{name}", grpc(**values)) for name, values in GRPC_VALUES),
    Exchange("http-parameters-not-an-object", http_raw("[1]")),
    Exchange("http-parameters-themselves-null", http_raw("null")),
    Exchange(
        "http-model-sees-id-and-outputs",
        infer_json("params", fp32(1.0), id="r7", outputs=[output("REQUEST")]),
    ),
    Exchange("grpc-parameters-unsigned", grpc_unsigned("n", 7)),
    Exchange("grpc-parameters-unset", grpc_unset("n")),
    Exchange("grpc-priority-unsigned", grpc_unsigned("priority", 2)),
    Exchange("grpc-timeout-unsigned", grpc_unsigned("timeout", 2)),
    Exchange("grpc-sequence-id-unsigned", grpc_unsigned("sequence_id", 2)),
    Exchange("grpc-model-sees-id", infer_grpc("params", fp32(1.0), id="r7")),
)
