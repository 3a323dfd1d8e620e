"""Programs of torch.export: their own metadata, nested arguments, guards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.backends.pytorch.models import Linear, spec_of, start, write_exported
from tests.backends.specs import entry, error, make_request, outputs, rows, run
from tritonpy.backends.contract import Completion, ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.pytorch.backend import PyTorchBackend
from tritonpy.backends.signature import TensorSpec
from tritonpy.protos import datatypes

X = entry("x", "FP32", [4])
Y = entry("y", "FP32", [3])


def batch_dim(largest: int | None = 64) -> Any:
    return torch.export.Dim("batch", max=largest)


def values(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).standard_normal(shape, dtype=np.float32)


class Nested(torch.nn.Module):
    """Arguments and results in containers; `factor` is no tensor, so torch.export fixes it."""

    def forward(self, x: torch.Tensor, more: dict[str, torch.Tensor], factor: int, *, scale: torch.Tensor) -> Any:
        return {"sum": x + more["k"] * factor, "rest": (x * scale, more["k"].to(torch.int64))}


def write_nested(spec: ModelSpec) -> ModelSpec:
    batch = batch_dim()
    return write_exported(
        spec,
        Nested(),
        torch.randn(2, 4),
        {"k": torch.randn(2, 4)},
        3,
        scale=torch.randn(2, 1),
        dynamic_shapes={"x": {0: batch}, "more": {"k": {0: batch}}, "factor": None, "scale": {0: batch}},
    )


def linear_spec(repository: Path, largest: int | None = 64, **config: Any) -> ModelSpec:
    spec = spec_of(repository, **{"inputs": [X], "outputs": [Y], "filename": "model.pt2", **config})
    return write_exported(spec, Linear(), torch.randn(2, 4), dynamic_shapes=({0: batch_dim(largest)},))


def test_a_batch_gives_what_the_framework_gives(tmp_path: Path) -> None:
    array = values(6, 4)
    with torch.inference_mode():
        expected = Linear()(torch.from_numpy(array)).numpy()
    responses = run(start(linear_spec(tmp_path)), *(rows(x=part) for part in (array[:1], array[1:4], array[4:])))
    np.testing.assert_allclose(np.concatenate([outputs(response)["y"] for response in responses]), expected, rtol=1e-6)


def test_without_batching(tmp_path: Path) -> None:
    spec = linear_spec(
        tmp_path, inputs=[entry("x", "FP32", [-1, 4])], outputs=[entry("y", "FP32", [-1, 3])], max_batch_size=0
    )
    (response,) = run(start(spec), make_request(x=values(5, 4)))
    assert outputs(response)["y"].shape == (5, 3)


NESTED_RESULTS = {"RESULT[rest][0]": "FP32", "RESULT[sum]": "FP32", "RESULT[rest][1]": "INT64"}


@pytest.mark.parametrize(
    "names",
    [
        {"scale": "scale", "more_k": "k", "x": "x"},  # the program's own names
        {"KWARGS[scale]": "scale", "ARGS[1][k]": "k", "ARGS[0]": "x"},  # Triton's
        {"IN__3": "scale", "IN__0": "x", "IN__1": "k"},  # positions; 2 is the fixed factor
    ],
)
def test_nested_arguments_and_results(tmp_path: Path, names: dict[str, str]) -> None:
    widths = {"x": 4, "k": 4, "scale": 1}
    spec = spec_of(
        tmp_path,
        [entry(name, "FP32", [widths[role]]) for name, role in names.items()],
        [entry(name, datatype, [4]) for name, datatype in NESTED_RESULTS.items()],
        filename="model.pt2",
    )
    roles = {"x": values(2, 4), "k": 10 * values(2, 4), "scale": values(2, 1)}
    (response,) = run(start(write_nested(spec)), rows(**{name: roles[role] for name, role in names.items()}))
    answer = outputs(response)
    np.testing.assert_allclose(answer["RESULT[sum]"], roles["x"] + 3 * roles["k"], rtol=1e-5)
    np.testing.assert_allclose(answer["RESULT[rest][0]"], roles["x"] * roles["scale"], rtol=1e-5)
    np.testing.assert_array_equal(answer["RESULT[rest][1]"], roles["k"].astype(np.int64))


def test_arguments_that_are_no_tensors_cannot_be_configured(tmp_path: Path) -> None:
    names = ["IN__0", "IN__1", "IN__2"]
    spec = spec_of(tmp_path, [entry(name, "FP32", [4]) for name in names], [Y], filename="model.pt2")
    with pytest.raises(
        InvalidArgumentError, match="input 'IN__2' of model 'm' refers to argument 2, which is no tensor"
    ):
        start(write_nested(spec))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            {"inputs": [entry("x", "FP64", [4])]},
            "configuration expects datatype TYPE_FP64 for input 'x', model provides TYPE_FP32",
        ),
        (
            {"outputs": [entry("y", "INT32", [3])]},
            "configuration expects datatype TYPE_INT32 for output 'y', model provides TYPE_FP32",
        ),
        (
            {"inputs": [entry("x", "FP32", [5])]},
            "tensor 'x': the model expects 2 dimensions (shape [-1,4]) but the model configuration specifies 2 ",
        ),
        ({"inputs": [X, entry("z", "FP32", [4])]}, "configuration expects 2 inputs, model provides 1"),
        ({"outputs": [entry("OUTPUT__1", "FP32", [3])]}, "refers to an output index which doesn't exist"),
        (
            {"max_batch_size": 65},
            "max_batch_size of model 'm' is 65, but the model was exported for batches of at most 64",
        ),
    ],
)
def test_what_does_not_fit(tmp_path: Path, config: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        start(linear_spec(tmp_path, **config))
    assert text in caught.value.message


def test_a_shape_beyond_the_exported_range_is_the_clients_fault(tmp_path: Path) -> None:
    spec = linear_spec(
        tmp_path, inputs=[entry("x", "FP32", [-1, 4])], outputs=[entry("y", "FP32", [-1, 3])], max_batch_size=0
    )
    (response,) = run(start(spec), make_request(x=values(65, 4)))
    assert isinstance(error(response), InvalidArgumentError)
    assert error(response).message.startswith("PyTorch execute failure: ")
    assert "<= 64" in error(response).message


def test_writing_to_inputs_does_not_reach_the_request(tmp_path: Path) -> None:
    class AddsInPlace(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x.add_(1)
            return x[:, :3]

    spec = spec_of(tmp_path, [X], [Y], filename="model.pt2")
    request = rows(x=np.zeros((1, 4), np.float32))
    program = write_exported(spec, AddsInPlace(), torch.zeros(2, 4), dynamic_shapes=({0: batch_dim()},))
    (response,) = run(start(program), request)
    assert outputs(response)["y"].tolist() == [[1, 1, 1]]
    assert bytes(request.inputs["x"].buffer) == bytes(16)


class TestCompletion:
    def complete(self, spec: ModelSpec) -> Completion:
        completion = PyTorchBackend().complete(spec)
        assert completion is not None
        return completion

    def test_everything_from_the_program(self, tmp_path: Path) -> None:
        spec = linear_spec(tmp_path, inputs=[], outputs=[], max_batch_size=0)
        assert self.complete(spec) == Completion(
            64,
            (TensorSpec("x", datatypes.FP32, (4,)),),
            (TensorSpec("OUTPUT__0", datatypes.FP32, (3,)),),
            dynamic_batching=True,
        )

    def test_without_an_upper_bound(self, tmp_path: Path) -> None:
        spec = linear_spec(tmp_path, None, inputs=[], outputs=[], max_batch_size=0)
        assert self.complete(spec).max_batch_size == 4

    def test_the_automatic_range_starts_at_two_and_still_means_one(self, tmp_path: Path) -> None:
        spec = spec_of(tmp_path, [], [], 0, "model.pt2")
        write_exported(spec, Linear(), torch.randn(2, 4), dynamic_shapes=({0: torch.export.Dim.AUTO},))
        assert self.complete(spec).max_batch_size == 4
        served = spec_of(tmp_path, [X], [Y], filename="model.pt2")
        assert "y" in outputs(run(start(served), rows(x=values(1, 4)))[0])

    def test_only_the_missing_side(self, tmp_path: Path) -> None:
        completion = self.complete(linear_spec(tmp_path, outputs=[], max_batch_size=16))
        assert (completion.max_batch_size, completion.inputs) == (16, None)
        assert completion.outputs == (TensorSpec("OUTPUT__0", datatypes.FP32, (3,)),)

    def test_nothing_when_both_sides_are_configured(self, tmp_path: Path) -> None:
        assert PyTorchBackend().complete(linear_spec(tmp_path)) is None

    def test_nested(self, tmp_path: Path) -> None:
        completion = self.complete(write_nested(spec_of(tmp_path, [], [], 0, "model.pt2")))
        assert completion.inputs == (
            TensorSpec("x", datatypes.FP32, (4,)),
            TensorSpec("more_k", datatypes.FP32, (4,)),
            TensorSpec("scale", datatypes.FP32, (1,)),
        )
        assert completion.outputs is not None
        assert [(one.name, one.datatype) for one in completion.outputs] == [
            ("OUTPUT__0", datatypes.FP32),
            ("OUTPUT__1", datatypes.FP32),
            ("OUTPUT__2", datatypes.INT64),
        ]

    def test_fixed_shapes_are_no_batching(self, tmp_path: Path) -> None:
        spec = write_exported(spec_of(tmp_path, [], [], 0, "model.pt2"), Linear(), torch.randn(2, 4))
        assert self.complete(spec) == Completion(
            0,
            (TensorSpec("x", datatypes.FP32, (2, 4)),),
            (TensorSpec("OUTPUT__0", datatypes.FP32, (2, 3)),),
        )

    def test_first_dimensions_that_differ_are_no_batching(self, tmp_path: Path) -> None:
        class Outer(torch.nn.Module):
            def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
                return a[:, None] * b[None, :]

        spec = spec_of(tmp_path, [], [], 0, "model.pt2")
        dims = ({0: torch.export.Dim("rows")}, {0: torch.export.Dim("columns")})
        completion = self.complete(write_exported(spec, Outer(), torch.randn(2), torch.randn(3), dynamic_shapes=dims))
        assert completion.max_batch_size == 0
        assert completion.outputs == (TensorSpec("OUTPUT__0", datatypes.FP32, (-1, -1)),)

    def test_batching_that_the_model_does_not_support(self, tmp_path: Path) -> None:
        spec = write_exported(spec_of(tmp_path, [], [], 8, "model.pt2"), Linear(), torch.randn(2, 4))
        with pytest.raises(InternalError, match="model does not support batching while non-zero max_batch_size"):
            PyTorchBackend().complete(spec)

    def test_scalars_are_refused(self, tmp_path: Path) -> None:
        class Total(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x.sum()

        spec = write_exported(spec_of(tmp_path, [], [], 0, "model.pt2"), Total(), torch.randn(2, 4))
        with pytest.raises(InvalidArgumentError, match="is a scalar which is not supported"):
            PyTorchBackend().complete(spec)
