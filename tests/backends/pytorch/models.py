"""Small PyTorch models in every form, and their specs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tests.backends.specs import entry, instance_spec, make_spec
from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.pytorch.backend import PyTorchBackend
from tritonpy.backends.pytorch.instance import PyTorchInstance

X = entry("INPUT__0", "FP32", [4])
Y = entry("OUTPUT__0", "FP32", [3])


class Linear(torch.nn.Module):
    """x [batch, 4] -> [batch, 3], with fixed weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)
        with torch.no_grad():
            self.layer.weight.copy_(torch.arange(12.0).reshape(3, 4) / 5)
            self.layer.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x)
        return result


class SumAndDifference(torch.nn.Module):
    """Two arguments whose order matters, two results."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return left + right, left - right


def write_torchscript(spec: ModelSpec, module: torch.nn.Module, *example: torch.Tensor) -> ModelSpec:
    """Write model.pt: traced with `example`, or scripted without one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and served nevertheless
        module = module.eval()
        script = torch.jit.trace(module, example, check_trace=False) if example else torch.jit.script(module)  # type: ignore[no-untyped-call]
        torch.jit.save(script, str(spec.version_directory / "model.pt"))
    return spec


def write_exported(
    spec: ModelSpec, module: torch.nn.Module, *example: Any, dynamic_shapes: Any = None, **named: Any
) -> ModelSpec:
    """Write model.pt2 with torch.export; the dynamic shapes are those of torch.export.export."""
    program = torch.export.export(module.eval(), example, named, dynamic_shapes=dynamic_shapes)
    torch.export.save(program, str(spec.version_directory / "model.pt2"))
    return spec


def spec_of(
    repository: Path,
    inputs: Sequence[Mapping[str, Any]] = (X,),
    outputs: Sequence[Mapping[str, Any]] = (Y,),
    max_batch_size: int = 8,
    filename: str = "model.pt",
    **config: Any,
) -> ModelSpec:
    return make_spec(
        repository,
        input=list(inputs),
        output=list(outputs),
        max_batch_size=max_batch_size,
        default_model_filename=filename,
        **config,
    )


def start(spec: ModelSpec) -> PyTorchInstance:
    """Load a model and make its instance."""
    return PyTorchBackend().load(spec).create_instance(instance_spec())
