"""Inference with JSON in and out that succeeds: ids, requested outputs, nesting, leniency, zero sizes."""

from __future__ import annotations

import json

from ..exchange import Differs, Exchange
from .build import Input, fp32, infer_json, infer_text, output, sixteen, strings, tensor_text

BOTH = (sixteen("INPUT0", 0), sixteen("INPUT1", 100))
VALID = '{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","data":[1.5,2.5]}]}'


def nested(data: str, shape: str) -> str:
    return tensor_text("INPUT0", shape, "FP32", data)


EXCHANGES = (
    Exchange("http-identity", infer_json("identity", fp32(1.0, 2.5))),
    Exchange("http-identity-exact-text", infer_json("identity", fp32(1.0, 2.5)), exact_text=True),
    Exchange("http-id", infer_json("identity", fp32(1.0), id="abc")),
    Exchange("http-id-exact-text", infer_json("identity", fp32(1.0), id="abc"), exact_text=True),
    Exchange("http-id-empty", infer_json("identity", fp32(1.0), id="")),
    Exchange("http-id-needs-escapes", infer_json("identity", fp32(1.0), id='a"\\\n\u00e9\u2603/'), exact_text=True),
    Exchange("http-add-sub", infer_json("add_sub", *BOTH)),
    Exchange("http-add-sub-inputs-reversed", infer_json("add_sub", *reversed(BOTH))),
    Exchange("http-add-sub-batch", infer_json("add_sub", sixteen("INPUT0", 0, 3), sixteen("INPUT1", 50, 3))),
    Exchange("http-add-sub-batch-max", infer_json("add_sub", sixteen("INPUT0", 0, 8), sixteen("INPUT1", 0, 8))),
    Exchange("http-one-output", infer_json("add_sub", *BOTH, outputs=[output("OUTPUT1")])),
    Exchange("http-outputs-reversed", infer_json("add_sub", *BOTH, outputs=[output("OUTPUT1"), output("OUTPUT0")])),
    Exchange("http-output-twice", infer_json("add_sub", *BOTH, outputs=[output("OUTPUT0"), output("OUTPUT0")])),
    Exchange("http-outputs-empty", infer_json("add_sub", *BOTH, outputs=[])),
    Exchange(
        "http-output-empty-parameters",
        infer_text("identity", VALID[:-1] + ',"outputs":[{"name":"OUTPUT0","parameters":{}}]}'),
    ),
    Exchange("http-nested-data", infer_text("identity", nested("[[1,2],[3,4]]", "[2,2]"))),
    Exchange("http-unevenly-nested-data", infer_text("identity", nested("[[1],[2,3],4]", "[2,2]"))),
    Exchange("http-flat-data-of-two-rows", infer_text("identity", nested("[1,2,3,4]", "[2,2]"))),
    Exchange("http-integers-for-fp32", infer_text("identity", nested("[1,-2]", "[1,2]"))),
    Exchange("http-white-space", infer_text("identity", "\r\n\t " + VALID.replace(",", " ,\n ") + "\n ")),
    Exchange("http-byte-order-mark", infer_text("identity", b"\xef\xbb\xbf" + VALID.encode())),
    Exchange("http-unknown-members", infer_text("identity", VALID[:-1] + ',"surprise":{"a":[1,null]}}')),
    Exchange(
        "http-duplicate-member",
        infer_text("identity", '{"id":"first","id":"second",' + VALID[1:]),
        differs=Differs(
            {
                "status": 200,
                "headers": {"content-type": "application/json"},
                "json": {
                    "id": "second",
                    "model_name": "identity",
                    "model_version": "1",
                    "outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]}],
                },
            },
            "of a member that is given twice the last one counts, as in most JSON parsers",
        ),
    ),
    Exchange("http-content-type-is-ignored", infer_text("identity", VALID, {"Content-Type": "text/html"})),
    Exchange(
        "http-chunked-body",
        infer_text(
            "identity",
            f"{len(VALID):x}\r\n{VALID}\r\n0\r\n\r\n",
            {"Transfer-Encoding": "chunked"},
        ),
    ),
    Exchange("http-expect-continue", infer_text("identity", VALID, {"Expect": "100-continue"})),
    Exchange("http-zero-columns", infer_text("identity", nested("[]", "[1,0]"))),
    Exchange("http-zero-columns-data-not-read", infer_text("identity", nested("[1,2,3]", "[1,0]"))),
    Exchange("http-zero-rows-without-batching", infer_text("matrix", nested("[]", "[0,2]"))),
    Exchange("http-matrix", infer_json("matrix", Input("INPUT0", "FP32", [3, 2], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))),
    Exchange("http-strings", infer_json("ident_str", strings("a", "", "h\u00e9llo"))),
    Exchange("http-no-strings", infer_json("ident_str", strings())),
    Exchange(
        "http-optional-input-given",
        infer_json("optional_in", *(Input(n, "INT32", [1, 1], [1]) for n in ("REQUIRED", "OPTIONAL"))),
    ),
    Exchange("http-optional-input-left-out", infer_json("optional_in", Input("REQUIRED", "INT32", [1, 1], [1]))),
    Exchange("http-many-elements", infer_json("identity", fp32(*(float(i) for i in range(500))))),
    Exchange("http-full-batch", infer_text("identity", nested(json.dumps([[0.5]] * 64), "[64,1]"))),
)
