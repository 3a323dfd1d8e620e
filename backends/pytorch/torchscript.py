"""TorchScript models: model.pt, made by torch.jit.trace or torch.jit.script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError
from tritonpy.backends.model_tensors import check_count
from tritonpy.backends.pytorch.naming import positions
from tritonpy.backends.pytorch.program import Argument, error_text, select
from tritonpy.protos import datatypes

_DICTIONARY = "Dict[str, Tensor]"
_TENSORS = ("Tensor", "Optional[Tensor]")
_WORDS = "List[str]"


class TorchScriptProgram:
    """A TorchScript module. Its `forward` takes tensors and lists of text, or one dictionary of tensors."""

    needs_warm_up = False

    def __init__(self, path: Path, spec: ModelSpec, device: torch.device | None) -> None:
        """`device` None leaves the module where it was saved. Raises InvalidArgumentError if the configuration does
        not fit `forward`."""
        self.device = device or torch.device("cpu")
        self.module = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
        self._outputs = spec.signature.outputs
        self._output_positions = positions("output", [output.name for output in self._outputs], [], spec.name)
        arguments = self.module.forward.schema.arguments[1:]  # the first is the module
        self._takes_dictionary = len(arguments) == 1 and str(arguments[0].type) == _DICTIONARY
        self._argument_by_input = {} if self._takes_dictionary else _argument_by_input(arguments, spec)
        # Writing to what is in a dictionary cannot be told from the graph.
        self.writes_inputs = self._takes_dictionary or _writes_inputs(self.module)

    def run(self, inputs: Mapping[str, Argument]) -> list[object]:
        if self._takes_dictionary:
            returned = self.module(dict(inputs))
        else:
            returned = self.module(**{self._argument_by_input[name]: value for name, value in inputs.items()})
        results = list(returned) if isinstance(returned, tuple) else [returned]
        return select(results, self._output_positions, self._outputs)

    def error(self, error: Exception) -> TritonpyError:
        return InternalError(f"PyTorch execute failure: {error_text(error)}")


def _argument_by_input(arguments: Sequence[Any], spec: ModelSpec) -> dict[str, str]:  # torch.Argument objects
    """The argument of `forward` that each configured input is."""
    inputs = spec.signature.inputs
    required = sum(not argument.has_default_value() for argument in arguments)
    if not required <= len(inputs) <= len(arguments):
        check_count(spec.name, "input", len(inputs), len(arguments))
    names = [argument.name for argument in arguments]
    own_names = {name: position for position, name in enumerate(names)}
    found = positions("input", [tensor.name for tensor in inputs], [own_names], spec.name)
    missing = {position for position in range(len(arguments)) if not arguments[position].has_default_value()}
    missing -= set(found)
    for tensor, position in zip(inputs, found, strict=True):
        if position >= len(arguments) or missing:
            raise InvalidArgumentError(
                f"the inputs of model '{spec.name}' must be the {len(arguments)} arguments of its forward, called "
                f"{', '.join(names)} or <anything>__0 to <anything>__{len(arguments) - 1}; got "
                f"{', '.join(one.name for one in inputs)}"
            )
        _check_argument(arguments[position], tensor.name, tensor.datatype is datatypes.BYTES, spec.name)
    return {tensor.name: names[position] for tensor, position in zip(inputs, found, strict=True)}


def _check_argument(argument: Any, input_name: str, is_text: bool, model_name: str) -> None:  # a torch.Argument
    kind = str(argument.type)
    if is_text != (kind == _WORDS) or not (is_text or kind in _TENSORS):
        expected = f"{_WORDS} because it is TYPE_STRING" if is_text else "Tensor"
        raise InvalidArgumentError(
            f"input '{input_name}' of model '{model_name}' is the argument '{argument.name}' of forward, which must be "
            f"a {expected}; it is {kind}"
        )


def _writes_inputs(module: torch.jit.ScriptModule) -> bool:
    """Whether `forward` writes to one of its arguments, or to a view of it."""
    graph = module.inlined_graph
    aliases = graph.alias_db()
    return any(aliases.has_writers(value) for value in list(graph.inputs())[1:])  # type: ignore[attr-defined]
