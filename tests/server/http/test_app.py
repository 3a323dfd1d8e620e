"""The application on a real listener: every route, its status, headers and body."""

from __future__ import annotations

import base64
import gzip
import json
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.fake_engine import FakeEngine, FakeModel, echo, example_engine, signature
from tests.server.http.running_app import RunningApp, read_to_end, running
from tritonpy.backends.errors import (
    CancelledError,
    InternalError,
    InvalidArgumentError,
    TritonpyError,
    UnavailableError,
)
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.protos import datatypes
from tritonpy.repository.states import IndexEntry
from tritonpy.server.http.app import create_app
from tritonpy.server.http.options import HttpOptions

LIMIT_BYTES = 2_000_000
INFER = "/v2/models/identity/infer"
GOOD = b'{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","data":[1.0,2.5]}]}'
GOOD_ANSWER = (
    b'{"model_name":"identity","model_version":"1","outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[1,2],'
    b'"data":[1.0,2.5]}]}'
)
TEXT, JSON = "text/plain", "application/json"


@pytest.fixture
def engine() -> FakeEngine:
    return example_engine()


@pytest.fixture
def server(engine: FakeEngine) -> Iterator[RunningApp]:
    with running(create_app(engine.as_engine(), HttpOptions(max_input_size_bytes=LIMIT_BYTES))) as served:
        yield served


def model_of(engine: FakeEngine, name: str) -> FakeModel:
    return next(model for model in engine.models if model.name == name)


def check(server: RunningApp, method: str, path: str, status: int, content_type: str, body: bytes) -> None:
    reply = server.request(method, path)
    assert (reply.status, reply.body) == (status, body)
    assert reply.headers == {"content-type": content_type, "content-length": str(len(body))}


# Health.


def test_health(server: RunningApp, engine: FakeEngine) -> None:
    check(server, "GET", "/v2/health/live", 200, TEXT, b"")
    check(server, "GET", "/v2/health/ready", 200, TEXT, b"")
    engine.live = engine.ready = False
    check(server, "GET", "/v2/health/live", 400, TEXT, b"")
    check(server, "GET", "/v2/health/ready", 400, TEXT, b"")
    engine.failure = UnavailableError("Server exiting")
    check(server, "GET", "/v2/health/live", 503, TEXT, b'{"error":"Server exiting"}')
    check(server, "GET", "/v2/health/ready", 503, TEXT, b'{"error":"Server exiting"}')


def test_model_health(server: RunningApp, engine: FakeEngine) -> None:
    check(server, "GET", "/v2/models/two/ready", 200, TEXT, b"")
    check(server, "GET", "/v2/models/two/versions/3/ready", 200, TEXT, b"")
    engine.not_ready_models.add("two")
    check(server, "GET", "/v2/models/two/ready", 400, TEXT, b'{"error":"Model version not ready"}')
    unknown = b'{"error":"Request for unknown model: \'nosuch\' is not found"}'
    check(server, "GET", "/v2/models/nosuch/ready", 404, TEXT, unknown)
    unknown = b'{"error":"Request for unknown model: \'two\' version 9 is not found"}'
    check(server, "GET", "/v2/models/two/versions/9/ready", 404, TEXT, unknown)


# Metadata, configuration, statistics.


def test_server_metadata(server: RunningApp) -> None:
    body = b'{"name":"triton","version":"0.0.1","extensions":["binary_tensor_data","statistics"]}'
    check(server, "GET", "/v2", 200, JSON, body)
    check(server, "GET", "/v2?x=1", 200, JSON, body)


def test_model_metadata(server: RunningApp) -> None:
    tensors = (
        b'"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[-1]}],'
        b'"outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[-1]}]}'
    )
    check(
        server, "GET", "/v2/models/two", 200, JSON, b'{"name":"two","versions":["1","3"],"platform":"python",' + tensors
    )
    body = b'{"name":"two","versions":["1"],"platform":"python",' + tensors
    check(server, "GET", "/v2/models/two/versions/1", 200, JSON, body)
    check(server, "GET", "/v2/models/two/versions/01", 200, JSON, body)


def test_lookup_errors(server: RunningApp) -> None:
    for suffix in ("", "/config"):
        body = b'{"error":"Request for unknown model: \'nosuch\' is not found"}'
        check(server, "GET", f"/v2/models/nosuch{suffix}", 404, JSON, body)
        body = b'{"error":"Request for unknown model: \'two\' version 2 is not found"}'
        check(server, "GET", f"/v2/models/two/versions/2{suffix}", 404, JSON, body)
    digits = "9" * 25
    body = (
        f'{{"error":"failed to get model version from specified version string \'{digits}\' (details: stol), version '
        'should be an integral value > 0"}'
    ).encode()
    check(server, "GET", f"/v2/models/two/versions/{digits}", 400, JSON, body)


def test_model_config(server: RunningApp, engine: FakeEngine) -> None:
    check(server, "GET", "/v2/models/identity/config", 200, JSON, model_of(engine, "identity").config_json)
    check(server, "GET", "/v2/models/identity/versions/1/config", 200, JSON, model_of(engine, "identity").config_json)


def test_statistics(server: RunningApp, engine: FakeEngine) -> None:
    statistics = model_of(engine, "identity").statistics
    statistics.success.add(5)
    statistics.last_inference_ms = 1795231322645
    zero = '{"count":0,"ns":0}'
    entry = (
        '{"name":"identity","version":"1","last_inference":1795231322645,"inference_count":0,"execution_count":0,'
        f'"inference_stats":{{"success":{{"count":1,"ns":5}},"fail":{zero},"queue":{zero},"compute_input":{zero},'
        f'"compute_infer":{zero},"compute_output":{zero},"cache_hit":{zero},"cache_miss":{zero}}},"response_stats":{{}},'
        '"batch_stats":[],"memory_usage":[]}'
    )
    body = f'{{"model_stats":[{entry}]}}'.encode()
    check(server, "GET", "/v2/models/identity/stats", 200, JSON, body)
    check(server, "GET", "/v2/models/identity/versions/1/stats", 200, JSON, body)
    names = [entry["name"] for entry in json.loads(server.request("GET", "/v2/models/stats").body)["model_stats"]]
    assert names == sorted(model.name for model in engine.models)
    body = b'{"error":"requested model \'nosuch\' is not available"}'
    check(server, "GET", "/v2/models/nosuch/stats", 400, JSON, body)
    body = b'{"error":"requested model version is not available for model \'two\'"}'
    check(server, "GET", "/v2/models/two/versions/9/stats", 400, JSON, body)


# Routing.


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v2/",
        "/v2/health",
        "/v2/health/live/",
        "/V2",
        "/v2/models",
        "/v2/models/",
        "/v2/models//infer",
        "/v2/models/identity/",
        "/v2/models/identity/nosuch",
        "/v2/models/identity/infer/",
        "/v2/models/identity/versions/abc",
        "/v2/models/identity/versions/-1/infer",
        "/v2/models/identity/versions/1.5/infer",
        "/v2/models/identity/versions//ready",
        "/v2%2Fhealth/live",
        "/v2/models/identity/generate",
        "/v2/trace/setting",
        "/v2/logging",
        "/v2/systemsharedmemory/status",
    ],
)
def test_unknown_paths(server: RunningApp, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        check(server, method, path, 404, TEXT, b'{"error":"Not Found"}')


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", "/v2/health/live", TEXT),
        ("PUT", "/v2/models/identity/ready", TEXT),
        ("GET", INFER, TEXT),
        ("OPTIONS", "/v2/models/nosuch/versions/1/infer", TEXT),
        ("POST", "/v2", JSON),
        ("OPTIONS", "/v2", JSON),
        ("PATCH", "/v2/models/identity", JSON),
        ("DELETE", "/v2/models/identity/config", JSON),
        ("POST", "/v2/models/stats", JSON),
        ("GET", "/v2/repository/index", JSON),
        ("GET", "/v2/repository/models/identity/load", JSON),
    ],
)
def test_other_methods(server: RunningApp, method: str, path: str, content_type: str) -> None:
    check(server, method, path, 405, content_type, b'{"error":"Method Not Allowed"}')


def test_head_is_refused(server: RunningApp) -> None:
    reply = server.request("HEAD", "/v2")
    assert (reply.status, reply.headers["content-length"]) == (405, "30")


def test_names_are_not_decoded(server: RunningApp) -> None:
    body = b'{"error":"Request for unknown model: \'ident%69ty\' is not found"}'
    check(server, "GET", "/v2/models/ident%69ty", 404, JSON, body)
    check(server, "POST", "/v2/models/ident%69ty/infer", 404, TEXT, body)


def test_the_openapi_document_has_every_route(server: RunningApp) -> None:
    reply = server.request("GET", "/openapi.json")
    paths = json.loads(reply.body)["paths"]
    assert paths["/v2/models/{model_name}/infer"]["post"]["summary"] == "Run a model"
    assert {"/v2", "/v2/health/live", "/v2/models/{model_name}/versions/{version}/stats"} <= paths.keys()
    assert server.request("GET", "/docs").status == 200


# Infer.


def infer(
    server: RunningApp, body: bytes, headers: dict[str, str] | None = None, path: str = INFER
) -> tuple[int, str, bytes]:
    reply = server.request("POST", path, body, headers)
    return reply.status, reply.headers["content-type"], reply.body


def error(message: str) -> bytes:
    return json.dumps({"error": message}, separators=(",", ":")).encode()


def test_json_inference(server: RunningApp) -> None:
    reply = server.request("POST", INFER, GOOD)
    assert (reply.status, reply.body) == (200, GOOD_ANSWER)
    assert reply.headers == {"content-type": JSON, "content-length": str(len(GOOD_ANSWER))}
    assert server.request("POST", "/v2/models/identity/versions/1/infer?x=1", GOOD).body == GOOD_ANSWER


def test_binary_inference(server: RunningApp) -> None:
    document = (
        b'{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}],'
        b'"parameters":{"binary_data_output":true}}'
    )
    blob = np.array([1, 2.5], np.float32).tobytes()
    reply = server.request("POST", INFER, document + blob, {"Inference-Header-Content-Length": str(len(document))})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/octet-stream")
    size = int(reply.headers["inference-header-content-length"])
    assert json.loads(reply.body[:size])["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert reply.body[size:] == blob


def test_raw_and_empty_bodies(server: RunningApp) -> None:
    blob = np.array([1, 2.5], np.float32).tobytes()
    reply = server.request("POST", INFER, blob, {"Inference-Header-Content-Length": "0"})
    assert reply.body.endswith(b'"shape":[1,2],"parameters":{"binary_data_size":8}}]}' + blob)
    reply = server.request("POST", INFER, b"")
    assert (reply.status, reply.headers["content-type"]) == (200, JSON)
    assert reply.body.endswith(b'"shape":[1,0],"parameters":{"binary_data_size":0}}]}')


def test_chunked_bodies(server: RunningApp) -> None:
    head = b"POST /v2/models/identity/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD)
    with server.connect() as connection:
        connection.sendall(head + chunks + b"0\r\n\r\n")
        assert read_to_end(connection).endswith(GOOD_ANSWER)


def test_expect_continue(server: RunningApp) -> None:
    head = (
        b"POST /v2/models/identity/infer HTTP/1.1\r\nContent-Length: %d\r\nExpect: 100-continue\r\n"
        b"Connection: close\r\n\r\n"
    )
    with server.connect() as connection:
        connection.sendall(head % len(GOOD))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(GOOD)
        assert read_to_end(connection).endswith(GOOD_ANSWER)


def test_pipelined_requests_on_one_connection(server: RunningApp) -> None:
    one = b"POST /v2/models/identity/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(GOOD), GOOD)
    last = b"GET /v2/health/live HTTP/1.1\r\nConnection: close\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(one * 5 + last)
        answers = read_to_end(connection)
    assert answers.count(GOOD_ANSWER) == 5
    assert answers.count(b"HTTP/1.1 200 OK") == 6
    assert b"date:" not in answers.lower()
    assert b"server:" not in answers.lower()


def test_a_large_json_body_comes_back_from_a_thread(server: RunningApp) -> None:
    numbers = np.arange(60_000, dtype=np.float32)
    document = {"inputs": [{"name": "INPUT0", "shape": [1, 60_000], "datatype": "FP32", "data": numbers.tolist()}]}
    reply = server.request("POST", INFER, json.dumps(document).encode())
    np.testing.assert_array_equal(json.loads(reply.body)["outputs"][0]["data"], numbers)


def test_a_large_binary_body(server: RunningApp) -> None:
    array = np.random.default_rng(1).random((1, 1_000_000), np.float32)
    document = (
        b'{"inputs":[{"name":"INPUT0","shape":[1,1000000],"datatype":"FP32","parameters":{"binary_data_size":4000000}}],'
        b'"outputs":[{"name":"OUTPUT0","parameters":{"binary_data":true}}]}'
    )
    headers = {"Inference-Header-Content-Length": str(len(document))}
    reply = server.request("POST", INFER, document + array.tobytes(), headers)
    assert reply.body[-4_000_000:] == array.tobytes()


INFER_ERRORS: list[tuple[str, bytes, dict[str, str], int, str, str]] = [
    # Before the body is looked at.
    ("/v2/models/nosuch/infer", b"{", {}, 404, TEXT, "Request for unknown model: 'nosuch' is not found"),
    ("/v2/models/two/versions/9/infer", b"{", {}, 404, TEXT, "Request for unknown model: 'two' version 9 is not found"),
    (
        "/v2/models/repeat/infer",
        b"{",
        {"Content-Encoding": "br"},
        501,
        TEXT,
        "HTTP end point doesn't support models with decoupled transaction policy",
    ),
    (INFER, b"", {"Content-Encoding": "gzip"}, 400, TEXT, "nothing to be decompressed"),
    (
        INFER,
        b"junk",
        {"Content-Encoding": "gzip"},
        400,
        TEXT,
        "failed to decompress the request body: expected gzip or zlib data",
    ),
    (
        INFER,
        GOOD,
        {"Inference-Header-Content-Length": "9999"},
        400,
        TEXT,
        f"inference header size should be in range (0, {len(GOOD)}), got: 9999",
    ),
    (
        INFER,
        GOOD,
        {"Inference-Header-Content-Length": "abc"},
        400,
        TEXT,
        "Unable to parse Inference-Header-Content-Length, got: abc",
    ),
    # While it is parsed.
    (
        INFER,
        b"{",
        {},
        500,
        JSON,
        "failed to parse the request JSON buffer: Missing a name for object member. at 1",
    ),
    (INFER, b"{}", {}, 500, JSON, "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
    # When the model looks at it.
    (
        INFER,
        b'{"id":"r","inputs":[]}',
        {},
        400,
        JSON,
        "[request id: r] expected 1 inputs but got 0 inputs for model 'identity'. Got input(s) [], but missing "
        "required input(s) ['INPUT0']. Please provide all required input(s).",
    ),
]


@pytest.mark.parametrize(("path", "body", "headers", "status", "content_type", "message"), INFER_ERRORS)
def test_infer_errors(
    server: RunningApp, path: str, body: bytes, headers: dict[str, str], status: int, content_type: str, message: str
) -> None:
    assert infer(server, body, headers, path) == (status, content_type, error(message))
    assert infer(server, GOOD)[0] == 200


def test_an_unsupported_encoding_is_told_the_supported_ones(server: RunningApp) -> None:
    reply = server.request("POST", INFER, GOOD, {"Content-Encoding": "br", "Accept-Encoding": "gzip"})
    assert (reply.status, reply.body) == (501, b'{"error":"Unsupported compression type"}')
    assert reply.headers == {"content-type": TEXT, "content-length": "40", "accept-encoding": "gzip, deflate"}


@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        (
            UnavailableError("[request id: q1] Exceeds maximum queue size"),
            503,
            "[request id: q1] Exceeds maximum queue size",
        ),
        (InvalidArgumentError("no"), 400, "no"),
    ],
)
def test_a_refused_request(
    server: RunningApp, engine: FakeEngine, failure: TritonpyError, status: int, message: str
) -> None:
    model_of(engine, "identity").refusal = failure
    assert infer(server, GOOD) == (status, JSON, error(message))


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (InternalError("boom\n\nAt: x"), 500),
        (UnavailableError("Request timeout expired"), 503),
        (CancelledError(""), 400),
    ],
)
def test_a_failed_execution(server: RunningApp, engine: FakeEngine, failure: TritonpyError, status: int) -> None:
    model_of(engine, "identity").handler = lambda _: InferenceResponse(error=failure)
    assert infer(server, GOOD) == (status, TEXT, error(failure.message))


def test_half_precision_output_as_json(server: RunningApp) -> None:
    document = b'{"inputs":[{"name":"INPUT0","shape":[1],"datatype":"FP16","parameters":{"binary_data_size":2}}]}'
    headers = {"Inference-Header-Content-Length": str(len(document))}
    assert infer(server, document + b"\x00<", headers, "/v2/models/half/infer") == (
        400,
        TEXT,
        error("sending FP16 data via JSON is not supported. Please use the binary data format for output"),
    )


def test_a_fault_of_the_server_is_not_told_in_detail(
    server: RunningApp, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(request: InferenceRequest) -> InferenceResponse:
        raise ZeroDivisionError("a secret")

    model_of(engine, "identity").handler = fault
    status, content_type, body = infer(server, GOOD)
    assert (status, content_type) == (500, TEXT)
    assert b"the server failed to answer this request" in body
    assert b"secret" not in body
    assert "a secret" in caplog.text


# Compression.


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_requests(server: RunningApp, encoding: str) -> None:
    for compressed in (gzip.compress(GOOD), zlib.compress(GOOD)):
        assert infer(server, compressed, {"Content-Encoding": encoding}) == (200, JSON, GOOD_ANSWER)


def test_compressed_request_with_binary_data(server: RunningApp) -> None:
    document = b'{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}'
    body = gzip.compress(document + np.array([1, 2.5], np.float32).tobytes())
    headers = {"Content-Encoding": "gzip", "Inference-Header-Content-Length": str(len(document))}
    assert infer(server, body, headers) == (200, JSON, GOOD_ANSWER)


def test_compressed_responses(server: RunningApp) -> None:
    reply = server.request("POST", INFER, GOOD, {"Accept-Encoding": "br, gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert gzip.decompress(reply.body) == GOOD_ANSWER
    reply = server.request("POST", INFER, GOOD, {"Accept-Encoding": "deflate"})
    assert zlib.decompress(reply.body) == GOOD_ANSWER
    assert "content-encoding" not in server.request("GET", "/v2", headers={"Accept-Encoding": "gzip"}).headers
    assert infer(server, b"{", {"Accept-Encoding": "gzip"})[2].startswith(b'{"error":')


# Limits.


def test_bodies_over_the_limit(server: RunningApp) -> None:
    size = LIMIT_BYTES + 1
    hint = "Use --http-max-input-size to increase the limit."
    json_message = (
        f"request JSON size of {size} bytes exceeds the maximum allowed input size of {LIMIT_BYTES} bytes. {hint}"
    )
    raw_message = (
        f"Raw input has a byte_size ({size} bytes) that exceeds the maximum allowed value of {LIMIT_BYTES} bytes. "
        f"{hint}"
    )
    inflated_message = f"Decompressed data size exceeds the maximum allowed value of {LIMIT_BYTES} bytes. {hint}"
    body = bytes(size)
    assert infer(server, body)[::2] == (400, error(json_message))
    assert infer(server, body, {"Inference-Header-Content-Length": "0"})[::2] == (400, error(raw_message))
    assert infer(server, gzip.compress(body), {"Content-Encoding": "gzip"})[::2] == (400, error(inflated_message))
    reply = server.request("POST", "/v2/repository/index", body)
    assert (reply.status, reply.body) == (400, error(json_message))
    assert infer(server, GOOD)[0] == 200


def test_a_chunked_body_over_the_limit_ends_early(server: RunningApp) -> None:
    head = b"POST /v2/models/identity/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(head)
        for _ in range(LIMIT_BYTES // 65536 + 2):
            connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
        assert b"exceeds the maximum allowed input size" in connection.recv(1000)


def test_a_client_that_leaves_in_the_middle_of_its_body(server: RunningApp, engine: FakeEngine) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /v2/models/identity/infer HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
    assert infer(server, GOOD)[0] == 200
    assert len(model_of(engine, "identity").requests) == 1


def test_a_client_that_leaves_before_its_answer_does_not_cancel(server: RunningApp, engine: FakeEngine) -> None:
    model = model_of(engine, "identity")
    model.hold_replies()
    with server.connect() as connection:
        connection.sendall(
            b"POST /v2/models/identity/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(GOOD), GOOD)
        )
        wait_until(lambda: len(model.requests) == 1)
    server.call_soon(model.release)
    assert infer(server, GOOD)[0] == 200
    assert not model.requests[0].cancelled


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_requests_run_at_the_same_time(server: RunningApp, engine: FakeEngine) -> None:
    model = model_of(engine, "identity")
    server.call_soon(model.hold_replies)
    replies: list[tuple[int, str, bytes]] = []
    threads = [threading.Thread(target=lambda: replies.append(infer(server, GOOD))) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(model.requests) == 8)
    server.call_soon(model.release)
    for thread in threads:
        thread.join()
    assert replies == [(200, JSON, GOOD_ANSWER)] * 8


# The repository.


def test_index(server: RunningApp, engine: FakeEngine) -> None:
    engine.index = [
        IndexEntry("a", "1", "READY", ""),
        IndexEntry("b", "2", "UNAVAILABLE", 'Internal: "boom"\n'),
        IndexEntry("c", "", "", ""),
    ]
    everything = (
        b'[{"name":"a","version":"1","state":"READY"},'
        b'{"name":"b","version":"2","state":"UNAVAILABLE","reason":"Internal: \\"boom\\"\\n"},{"name":"c"}]'
    )
    for path in ("/v2/repository/index", "/v2/repository/any/index"):
        for body in (b"", b"{}", b'{"ready":false}', b"[1]"):
            reply = server.request("POST", path, body)
            assert (reply.status, reply.headers["content-type"], reply.body) == (200, JSON, everything)
    reply = server.request("POST", "/v2/repository/index", b'{"ready":true}')
    assert reply.body == b'[{"name":"a","version":"1","state":"READY"}]'
    reply = server.request("POST", "/v2/repository/index", b'{"ready":1}')
    assert (reply.status, reply.body) == (400, error("Invalid value for 'ready': expected a boolean"))
    reply = server.request("POST", "/v2/repository/index", b"{")
    assert reply.status == 500


def test_load_and_unload(server: RunningApp, engine: FakeEngine) -> None:
    content = base64.b64encode(b"\x00content").decode()
    parameters = {"config": '{"backend":"x"}', "file:1/model.onnx": content}
    load = "/v2/repository/models/m/load"
    unload = "/v2/repository/models/m/unload"
    for path, body in (
        (load, b""),
        (load, json.dumps({"parameters": parameters}).encode()),
        (unload, b""),
        (unload, b'{"parameters":{"unload_dependents":true}}'),
        (unload, b'{"parameters":{"unload_dependents":5}}'),
        (unload, b'{"parameters":5}'),
    ):
        reply = server.request("POST", path, body)
        assert (reply.status, reply.headers, reply.body) == (200, {"content-type": JSON, "content-length": "0"}, b"")
    assert engine.calls == [
        ("load", "m", None, {}),
        ("load", "m", '{"backend":"x"}', {"1/model.onnx": b"\x00content"}),
        ("unload", "m", False),
        ("unload", "m", True),
        ("unload", "m", False),
        ("unload", "m", False),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v2/repository/r/models/m/load", b"", 501, "'repository_name' specification is not supported"),
        ("/v2/repository/r/models/m/unload", b"", 501, "'repository_name' specification is not supported"),
        ("/v2/repository/models/m/load", b'{"parameters":5}', 500, "attempt to get members for non-object"),
        (
            "/v2/repository/models/m/load",
            b'{"parameters":{"config":5}}',
            500,
            "attempt to access JSON non-string as string",
        ),
        (
            "/v2/repository/models/m/load",
            b'{"parameters":{"foo":"x"}}',
            500,
            "unexpected error on creating Triton parameter",
        ),
        (
            "/v2/repository/models/m/load",
            b"{",
            500,
            "failed to parse the request JSON buffer: Missing a name for object member. at 1",
        ),
    ],
)
def test_repository_errors(server: RunningApp, path: str, body: bytes, status: int, message: str) -> None:
    reply = server.request("POST", path, body)
    assert (reply.status, reply.headers["content-type"], reply.body) == (status, JSON, error(message))


def test_a_refused_load(server: RunningApp, engine: FakeEngine) -> None:
    message = "explicit model load / unload is not allowed if polling is enabled"
    engine.failure = UnavailableError(message)
    for action in ("load", "unload"):
        reply = server.request("POST", f"/v2/repository/models/m/{action}")
        assert (reply.status, reply.headers["content-type"], reply.body) == (503, JSON, error(message))


# Anything at all.


@pytest.fixture(scope="module")
def long_lived_server() -> Iterator[RunningApp]:
    models = [FakeModel("identity", signature(64, {"INPUT0": (datatypes.FP32, (-1,))}), echo)]
    with running(create_app(FakeEngine(models).as_engine(), HttpOptions())) as served:
        yield served


HEADER_VALUES = st.sampled_from(["0", "5", "-1", "x", "99", "gzip", "deflate", "identity", "br", ""])
HEADERS = st.dictionaries(
    st.sampled_from(["Inference-Header-Content-Length", "Content-Encoding", "Accept-Encoding"]), HEADER_VALUES
)
BODIES = (
    st.binary() | st.text(alphabet='[]{}",:0123456789.-eINPUT\\ ').map(str.encode) | st.sampled_from([GOOD, GOOD[:-1]])
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150, deadline=None)
@given(BODIES, HEADERS)
def test_any_body_gets_an_answer(long_lived_server: RunningApp, body: bytes, headers: dict[str, str]) -> None:
    reply = long_lived_server.request("POST", INFER, body, headers)
    assert reply.status in (200, 400, 500, 501)
    if reply.status != 200:
        assert reply.body.startswith(b'{"error":"')
        assert b"the server failed" not in reply.body


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_leave_the_server_alive(long_lived_server: RunningApp, data: bytes) -> None:
    long_lived_server.exchange(b"POST /v2/models/identity/infer HTTP/1.1\r\n" + data)
    assert long_lived_server.request("POST", INFER, GOOD).body == GOOD_ANSWER
