"""Packages of AOTInductor: model.pt2 with compiled code.

The code knows the structure of its arguments, but neither their names nor their types. It trusts its inputs: of a
wrong type or shape, they would make it read foreign memory. Requests are checked against the configuration; whether
that fits is checked by the code itself when the environment variable below says so, which is the default here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.utils._pytree as pytree

from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError, UnsupportedError
from tritonpy.backends.model_tensors import check_count
from tritonpy.backends.pytorch.archive import refuse_objects
from tritonpy.backends.pytorch.naming import leaf_names, positions
from tritonpy.backends.pytorch.program import Argument, check_positions, error_text, select
from tritonpy.protos import datatypes

_CHECK_INPUTS = "AOTI_RUNTIME_CHECK_INPUTS"
_VECTOR_LEVELS = ("AVX512", "AVX2")  # the greater first
_INPUT_PROBLEM = re.compile(r"input_handles\[(\d+)\]")


class InductorProgram:
    """Compiled code, loaded for one instance."""

    needs_warm_up = False
    # Nothing says whether it does.
    writes_inputs = True
    module: torch.nn.Module | None = None

    def __init__(self, path: Path, spec: ModelSpec, device: torch.device | None) -> None:
        """Raises InvalidArgumentError if the configuration does not fit the package, UnsupportedError if it was
        compiled for another kind of device."""
        from torch._inductor import aoti_load_package  # brings the whole compiler in

        refuse_objects(path)
        os.environ.setdefault(_CHECK_INPUTS, "1")
        index = device.index if device is not None and device.type == "cuda" else -1
        package = aoti_load_package(str(path), run_single_threaded=True, device_index=index)
        metadata = package.loader.get_metadata()
        self.device = _check_device(metadata, spec, device)
        check_processor(metadata, spec)
        self._package = package
        self._spec = spec
        self._outputs = spec.signature.outputs
        arguments, results = (pytree.treespec_loads(text) for text in package.loader.get_call_spec())
        self._arguments = arguments
        self._input_positions = _input_positions(arguments, spec)
        self._output_positions = _output_positions(results, spec)

    def run(self, inputs: Mapping[str, Argument]) -> list[object]:
        flat = [inputs[name] for name in sorted(inputs, key=self._input_positions.__getitem__)]
        arguments, named_arguments = pytree.tree_unflatten(flat, self._arguments)
        returned = self._package(*arguments, **named_arguments)
        return select(pytree.tree_leaves(returned), self._output_positions, self._outputs)

    def error(self, error: Exception) -> TritonpyError:
        text = error_text(error)
        problem = _INPUT_PROBLEM.search(text)
        if problem is None:
            return InternalError(self._failure(text))
        name = next(name for name, position in self._input_positions.items() if position == int(problem[1]))
        return InvalidArgumentError(self._failure(_INPUT_PROBLEM.sub(f"input '{name}'", text)))

    def _failure(self, text: str) -> str:
        return f'Inductor model instance "{self._spec.name}" execution failure: {text}'


def _check_device(metadata: Mapping[str, str], spec: ModelSpec, device: torch.device | None) -> torch.device:
    """The device to run on; a package that is made for another kind cannot be moved."""
    compiled_for = metadata["AOTI_DEVICE_KEY"]
    wanted = device or torch.device(compiled_for)
    if wanted.type != compiled_for:
        raise UnsupportedError(
            f"model '{spec.name}' was compiled for the device '{compiled_for}', but its instances are to run on "
            f"'{wanted.type}': change instance_group, or compile it for '{wanted.type}'"
        )
    return wanted


def check_processor(metadata: Mapping[str, str], spec: ModelSpec) -> None:
    """Raise UnsupportedError if the code is for vector instructions that this processor lacks: they would end the
    process."""
    needed = metadata.get("AOTI_CPU_ISA", "")
    available = torch.backends.cpu.get_cpu_capability()
    for level in _VECTOR_LEVELS:
        if level == available:
            return
        if level in needed.split():
            raise UnsupportedError(
                f"model '{spec.name}' was compiled for a processor with {needed}; this one has {available}: compile it "
                "here, or serve the exported program itself"
            )


def _input_positions(arguments: pytree.TreeSpec, spec: ModelSpec) -> dict[str, int]:
    inputs = spec.signature.inputs
    for tensor in inputs:
        if tensor.datatype is datatypes.BYTES:
            raise InvalidArgumentError(
                f"unsupported datatype TYPE_STRING for input '{tensor.name}' for model '{spec.name}'"
            )
    check_count(spec.name, "input", len(inputs), arguments.num_leaves)
    paths = leaf_names(arguments, ("ARGS", "KWARGS"))
    # Keywords also go by their bare names.
    keywords = {path[len("KWARGS[") : -1]: place for path, place in paths.items() if path.startswith("KWARGS[")}
    names = [tensor.name for tensor in inputs]
    found = positions("input", names, [paths, keywords], spec.name)
    if max(found) >= arguments.num_leaves:
        raise InvalidArgumentError(
            f"the inputs of model '{spec.name}' must be {', '.join(paths)}, or <anything>__0 to "
            f"<anything>__{arguments.num_leaves - 1}; got {', '.join(names)}"
        )
    return dict(zip(names, found, strict=True))


def _output_positions(results: pytree.TreeSpec, spec: ModelSpec) -> list[int]:
    outputs = spec.signature.outputs
    paths = leaf_names(results, ("RESULT",))
    found = positions("output", [tensor.name for tensor in outputs], [paths], spec.name)
    check_positions(results.num_leaves, found, outputs)
    return found
