"""Requests to a batch, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.backends.specs import error, make_request, outputs, rows, words
from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.gather import gather, read_text, scatter
from tritonpy.backends.request import InferenceRequest
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes


def signature(max_batch_size: int = 8, **input_fields: Any) -> ModelSignature:
    """FP32 X in; FP32 Y and BYTES W out."""
    return ModelSignature(
        max_batch_size,
        (TensorSpec("X", datatypes.FP32, (-1,), **input_fields),),
        (TensorSpec("Y", datatypes.FP32, (-1,)), TensorSpec("W", datatypes.BYTES, (1,))),
    )


WORDS = ModelSignature(8, (TensorSpec("X", datatypes.BYTES, (1,)),), (TensorSpec("Y", datatypes.FP32, (1,)),))


def floats(*values: float) -> np.ndarray[Any, Any]:
    return np.array(values, dtype=np.float32).reshape(-1, 1)


class TestGather:
    def test_one_request_is_not_copied(self) -> None:
        request = rows(X=floats(1, 2))
        batch = gather([request], signature())
        shared = np.frombuffer(request.inputs["X"].buffer, dtype=np.uint8)
        assert np.shares_memory(batch.inputs["X"], shared)

    def test_several_requests_are_joined_on_the_first_axis(self) -> None:
        batch = gather([rows(X=floats(1)), rows(X=floats(2, 3)), rows(X=floats(4))], signature())
        np.testing.assert_array_equal(batch.inputs["X"], floats(1, 2, 3, 4))
        assert dict(batch.row_counts) == {0: 1, 1: 2, 2: 1}

    def test_the_joined_batch_may_be_written(self) -> None:
        assert gather([rows(X=floats(1)), rows(X=floats(2))], signature()).inputs["X"].flags.writeable

    def test_without_batching_the_shape_stays(self) -> None:
        batch = gather([make_request(X=np.zeros((2, 3), np.float32))], signature(max_batch_size=0))
        assert batch.inputs["X"].shape == (2, 3)

    def test_ragged_inputs_become_one_row_of_elements(self) -> None:
        requests = [rows(X=np.array([[1, 2]], np.float32)), rows(X=np.array([[3], [4]], np.float32))]
        batch = gather(requests, signature(allow_ragged_batch=True))
        assert batch.inputs["X"].tolist() == [1, 2, 3, 4]

    def test_a_single_ragged_request_is_flat_too(self) -> None:
        batch = gather([rows(X=np.zeros((2, 3), np.float32))], signature(allow_ragged_batch=True))
        assert batch.inputs["X"].shape == (6,)

    def test_optional_inputs_that_nobody_sent_are_left_out(self) -> None:
        both = ModelSignature(
            8,
            (TensorSpec("X", datatypes.FP32, (1,)), TensorSpec("Z", datatypes.FP32, (1,), optional=True)),
            (),
        )
        assert set(gather([rows(X=floats(1)), rows(X=floats(2))], both).inputs) == {"X"}

    def test_bf16_is_joined_by_its_bits(self) -> None:
        bf16 = ModelSignature(8, (TensorSpec("X", datatypes.BF16, (1,)),), ())
        requests = [
            InferenceRequest("m", {"X": Tensor("X", datatypes.BF16, (1, 1), bytes([low, 63]))}) for low in (0, 128)
        ]
        assert gather(requests, bf16).inputs["X"].tolist() == [[0x3F00], [0x3F80]]

    def test_strings_are_joined(self) -> None:
        requests = [rows(X=words("a", "b").reshape(-1, 1)), rows(X=words(b"\xff").reshape(-1, 1))]
        assert gather(requests, WORDS).inputs["X"].tolist() == [[b"a"], [b"b"], [b"\xff"]]


def string_request(buffer: bytes, count: int = 1) -> InferenceRequest:
    return InferenceRequest("m", {"X": Tensor("X", datatypes.BYTES, (count, 1), buffer)}, batch_size=count)


class TestBadData:
    @pytest.mark.parametrize(
        ("buffer", "count", "text"),
        [
            (b"\1\0\0\0a\1\0\0\0b", 1, "unexpected number of string elements 2 for inference input 'X', expecting 1"),
            (b"\1\0\0\0a", 2, "expected 2 strings for inference input 'X', got 1"),
            (
                b"\5\0\0\0ab",
                1,
                "incomplete string data for inference input 'X', expecting string of length 5 but only 2 "
                "bytes available",
            ),
            (
                b"\5\0",
                1,
                "incomplete string length indicator for inference input 'X', expecting 4 bytes but only 2 bytes "
                "available",
            ),
        ],
    )
    def test_malformed_strings(self, buffer: bytes, count: int, text: str) -> None:
        batch = gather([string_request(buffer, count)], WORDS)
        assert batch.is_empty
        assert batch.responses[0] is not None
        found = error(batch.responses[0])
        assert isinstance(found, InvalidArgumentError)
        assert found.message == text

    def test_a_bad_request_fails_alone(self) -> None:
        good = [string_request(b"\1\0\0\0a"), string_request(b"\1\0\0\0b")]
        batch = gather([good[0], string_request(b"\5\0"), good[1]], WORDS)
        assert batch.inputs["X"].tolist() == [[b"a"], [b"b"]]
        responses = scatter(batch, {"Y": floats(1, 2)}, WORDS)
        first, bad, last = (response for response in responses if response is not None)
        assert outputs(first)["Y"].tolist() == [[1]]
        assert isinstance(error(bad), InvalidArgumentError)
        assert outputs(last)["Y"].tolist() == [[2]]

    def test_text_must_be_utf8(self) -> None:
        batch = gather([string_request(b"\2\0\0\0\xc3\xa9"), string_request(b"\1\0\0\0\xff")], WORDS, read_text)
        assert batch.inputs["X"].tolist() == [["é"]]
        assert batch.responses[1] is not None
        assert "the strings of inference input 'X' must be UTF-8" in error(batch.responses[1]).message

    def test_a_failed_run_leaves_the_errors_of_bad_requests(self) -> None:
        batch = gather([string_request(b"\5\0"), string_request(b"\1\0\0\0a")], WORDS)
        bad, run = (error(response).message for response in batch.fail(InternalError("boom")) if response)
        assert bad.startswith("incomplete")
        assert run == "boom"


class TestScatter:
    def test_outputs_are_views(self) -> None:
        whole = floats(1, 2, 3)
        batch = gather([rows(X=floats(1)), rows(X=floats(2, 3))], signature())
        first, second = (outputs(response) for response in scatter(batch, {"Y": whole}, signature()) if response)
        assert np.shares_memory(first["Y"], whole)
        assert (first["Y"].tolist(), second["Y"].tolist()) == ([[1]], [[2], [3]])

    def test_only_what_a_request_wants(self) -> None:
        requests = [rows("Y", X=floats(1)), rows(X=floats(2))]
        batch = gather(requests, signature())
        answers = scatter(batch, {"Y": floats(1, 2), "W": words("a", "b").reshape(-1, 1)}, signature())
        first, second = (outputs(response) for response in answers if response)
        assert set(first) == {"Y"}
        assert second["W"].tolist() == [[b"b"]]

    def test_the_batch_wants_what_any_request_wants(self) -> None:
        batch = gather([rows("Y", X=floats(1)), rows("W", X=floats(2))], signature())
        assert batch.wants("Y")
        assert batch.wants("W")
        assert not gather([rows("Y", X=floats(1))], signature()).wants("W")

    def test_spare_rows_are_dropped(self) -> None:
        batch = gather([rows(X=floats(1))], signature())
        (response,) = scatter(batch, {"Y": floats(1, 2, 3)}, signature())
        assert response is not None
        assert outputs(response)["Y"].tolist() == [[1]]

    @pytest.mark.parametrize(("output", "got"), [(floats(1), 1), (np.float32(1).reshape(()), 0)])
    def test_too_few_rows(self, output: np.ndarray[Any, Any], got: int) -> None:
        batch = gather([rows(X=floats(1)), rows(X=floats(2, 3))], signature())
        messages = {error(response).message for response in scatter(batch, {"Y": output}, signature()) if response}
        assert messages == {
            "failed to split the output tensor 'Y' in responses: expected batch size of at least 3 in model output, "
            f"got {got}"
        }

    def test_without_batching_outputs_are_whole(self) -> None:
        plain = signature(max_batch_size=0)
        batch = gather([make_request(X=floats(1))], plain)
        (response,) = scatter(batch, {"Y": floats(1, 2)}, plain)
        assert response is not None
        assert outputs(response)["Y"].shape == (2, 1)

    def test_a_scalar_has_one_dimension_for_clients(self) -> None:
        plain = signature(max_batch_size=0)
        (response,) = scatter(gather([make_request(X=floats(1))], plain), {"Y": np.array(5, np.float32)}, plain)
        assert response is not None
        assert outputs(response)["Y"].tolist() == [5]

    def test_the_signature_tells_bf16_from_uint16(self) -> None:
        bf16 = ModelSignature(8, (TensorSpec("X", datatypes.FP32, (1,)),), (TensorSpec("Y", datatypes.BF16, (1,)),))
        (response,) = scatter(gather([rows(X=floats(1))], bf16), {"Y": np.array([[0x3F80]], np.uint16)}, bf16)
        assert response is not None
        assert response.outputs[0].datatype is datatypes.BF16
        assert bytes(response.outputs[0].buffer) == b"\x80\x3f"
