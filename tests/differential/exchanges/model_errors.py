"""What reaches the client when a model fails, or answers otherwise than its configuration says."""

from __future__ import annotations

from collections.abc import Iterator

from ..exchange import Exchange, Loosely
from .build import Input, infer_grpc, infer_json, output, strings

CODES = (
    "UNKNOWN",
    "INTERNAL",
    "NOT_FOUND",
    "INVALID_ARG",
    "UNAVAILABLE",
    "UNSUPPORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
)
CASES = (
    *CODES,
    "ok",
    "no_code",
    "error_with_tensors",
    "no_outputs",
    "one_output",
    "reversed_outputs",
    "unknown_output",
    "other_datatype",
    "other_shape",
    "raise",
    "raise_model_exception",
    "unsupported_numpy_type",
    "tuple",
    "too_few",
    "too_many",
    "not_a_response",
    "exit",
)
"""The model "errors" says what each case does."""


LOOSELY = {
    "unsupported_numpy_type": Loosely(
        r"Failed to process the request\(s\) for model 'errors_0_0', message: TritonModelException: "
        r"NumPy dtype is not supported.*\n\nAt:\n.*",
        "the frames of the traceback depend on where the type is checked, and what came may be said too",
    )
}


def of_each_case() -> Iterator[Exchange]:
    for case in CASES:
        tensor, name, loosely = strings(case, name="CASE"), case.lower().replace("_", "-"), LOOSELY.get(case)
        yield Exchange(f"http-model-{name}", infer_json("errors", tensor), loosely=loosely)
        yield Exchange(f"grpc-model-{name}", infer_grpc("errors", tensor), loosely=loosely)


EXCHANGES = (
    *of_each_case(),
    Exchange(
        "http-error-after-binary-request",
        infer_json("errors", strings("raise", name="CASE"), parameters={"binary_data_output": True}),
    ),
    Exchange("http-error-with-id", infer_json("errors", strings("NOT_FOUND", name="CASE"), id="e1")),
    Exchange(
        "http-requested-output-not-produced",
        infer_json("errors", strings("one_output", name="CASE"), outputs=[output("OUTPUT0")]),
    ),
    Exchange(
        "http-model-without-execute",
        infer_json("no_execute", Input("INPUT0", "FP32", [1], [1.0])),
        loosely=Loosely(
            r"Failed to process the request\(s\) for model 'no_execute_0_0', message: "
            r"Python model .*does not implement `execute` method\.",
            "a client need not learn the path of the model",
        ),
    ),
    Exchange("http-model-recovers", infer_json("errors", strings("ok", name="CASE"))),
)
