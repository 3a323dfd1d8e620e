"""Programs of torch.export: model.pt2. They say all about their inputs and outputs."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.utils._pytree as pytree
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind, TensorArgument

from tritonpy.backends.contract import Completion, ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError
from tritonpy.backends.model_tensors import ModelTensor, check_count, check_tensor, complete_from_tensors
from tritonpy.backends.pytorch.archive import refuse_objects
from tritonpy.backends.pytorch.conversion import DATATYPES
from tritonpy.backends.pytorch.naming import leaf_names, positions
from tritonpy.backends.pytorch.program import Argument, check_positions, error_text, select
from tritonpy.backends.signature import TensorSpec

# torch never takes the sizes 0 and 1 for variable: "at least 2" only says that it has looked at neither.
_LEAST_LOWER_BOUND = 2
_UNBOUNDED = 2**31

logger = logging.getLogger(__name__)


def load_exported(path: Path) -> torch.export.ExportedProgram:
    """Read an exported program; raises InternalError if it holds anything but tensors and plain values."""
    refuse_objects(path)
    return torch.export.load(str(path))


@dataclasses.dataclass(frozen=True, slots=True)
class Leaves:
    """The inputs and outputs of a program, as they come when nested arguments and results are flattened.

    Inputs that are no tensors were fixed when the program was exported; their values are in `constants`, by
    position. The symbols are the sizes of first dimensions, None for fixed ones.
    """

    inputs: dict[int, ModelTensor]
    outputs: dict[int, ModelTensor]
    constants: dict[int, object]
    first_dim_symbols: frozenset[object]


def read_leaves(program: torch.export.ExportedProgram) -> Leaves:
    """The tensors that a program takes and gives; inputs are called like arguments, outputs `OUTPUT__<position>`.

    Raises InvalidArgumentError if one is a scalar or of a type that tensors cannot have here.
    """
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    user_inputs = [one.arg for one in program.graph_signature.input_specs if one.kind is InputKind.USER_INPUT]
    user_outputs = [one.arg for one in program.graph_signature.output_specs if one.kind is OutputKind.USER_OUTPUT]
    tensors = [values[one.name] for one in (*user_inputs, *user_outputs) if isinstance(one, TensorArgument)]
    return Leaves(
        {
            position: _model_tensor(one.name, values[one.name])
            for position, one in enumerate(user_inputs)
            if isinstance(one, TensorArgument)
        },
        {
            position: _model_tensor(f"OUTPUT__{position}", values[one.name])
            for position, one in enumerate(user_outputs)
            if isinstance(one, TensorArgument)
        },
        {position: one.value for position, one in enumerate(user_inputs) if isinstance(one, ConstantArgument)},
        frozenset(_first_dim_symbol(value) for value in tensors),
    )


def _model_tensor(name: str, value: torch.Tensor) -> ModelTensor:
    if not value.dim():
        raise InvalidArgumentError(f"tensor '{name}' of the model is a scalar which is not supported.")
    datatype = DATATYPES.get(value.dtype)
    if datatype is None:
        raise InvalidArgumentError(f"tensor '{name}' of the model has the unsupported type {value.dtype}")
    return ModelTensor(name, datatype, tuple(size if isinstance(size, int) else -1 for size in value.shape))


def _first_dim_symbol(value: torch.Tensor) -> object:
    size = value.shape[0] if value.dim() else 0
    return None if isinstance(size, int) else size.node.expr


def batch_range(program: torch.export.ExportedProgram, leaves: Leaves) -> tuple[bool, int | None]:
    """Whether the program can batch, and the largest batch (None: any size).

    It can if the first dimension of every input and output is the same variable, and that may be as small as 1.
    """
    if len(leaves.first_dim_symbols) != 1 or None in leaves.first_dim_symbols:
        return False, None
    (symbol,) = leaves.first_dim_symbols
    limits = program.range_constraints.get(symbol)
    if limits is None:
        return True, None
    return bool(limits.lower <= _LEAST_LOWER_BOUND), int(limits.upper) if limits.upper < _UNBOUNDED else None


def complete_exported(spec: ModelSpec, path: Path) -> Completion:
    """The configuration of an exported program."""
    program = load_exported(path)
    leaves = read_leaves(program)
    can_batch, limit = batch_range(program, leaves)
    return complete_from_tensors(spec, list(leaves.inputs.values()), list(leaves.outputs.values()), can_batch, limit)


class ExportedProgram:
    """A program of torch.export, run by torch's own kernels."""

    needs_warm_up = False

    def __init__(self, path: Path, spec: ModelSpec, device: torch.device | None) -> None:
        """Raises InvalidArgumentError if the configuration does not fit the program."""
        program = load_exported(path)
        if device is not None and device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        self.device = device or torch.device("cpu")
        self.module: torch.nn.Module | None = program.module()
        self.writes_inputs = _writes(program)
        self._call_spec = program.call_spec
        leaves = read_leaves(program)
        self._constants = leaves.constants
        self._inputs = {tensor.name: place for tensor, place in _input_places(program, leaves, spec)}
        self._outputs = spec.signature.outputs
        self._output_positions = _output_positions(program, leaves, spec)
        _check_batch_size(program, leaves, spec)

    def run(self, inputs: Mapping[str, Argument]) -> list[object]:
        leaves: dict[int, object] = dict(self._constants)
        leaves.update((self._inputs[name], value) for name, value in inputs.items())
        flat = [leaves[position] for position in range(len(leaves))]
        arguments, named_arguments = pytree.tree_unflatten(flat, self._call_spec.in_spec)
        assert self.module is not None
        returned = self.module(*arguments, **named_arguments)
        return select(pytree.tree_leaves(returned), self._output_positions, self._outputs)

    def error(self, error: Exception) -> TritonpyError:
        message = f"PyTorch execute failure: {error_text(error)}"
        # The program guards what was assumed about its inputs when it was exported.
        return InvalidArgumentError(message) if str(error).startswith("Guard failed") else InternalError(message)


def _input_places(
    program: torch.export.ExportedProgram, leaves: Leaves, spec: ModelSpec
) -> Sequence[tuple[TensorSpec, int]]:
    """The position of each configured input, checked against what the program says about it."""
    inputs = spec.signature.inputs
    check_count(spec.name, "input", len(inputs), len(leaves.inputs))
    own_names = {tensor.name: position for position, tensor in leaves.inputs.items()}
    paths = leaf_names(program.call_spec.in_spec, ("ARGS", "KWARGS"))
    found = positions("input", [tensor.name for tensor in inputs], [own_names, paths], spec.name)
    places = list(zip(inputs, found, strict=True))
    for configured, position in places:
        if position not in leaves.inputs:
            raise InvalidArgumentError(
                f"input '{configured.name}' of model '{spec.name}' refers to argument {position}, which is no tensor "
                f"of the program; it takes: {', '.join(own_names)}"
            )
        _check(spec, "input", configured, leaves.inputs[position])
    return places


def _output_positions(program: torch.export.ExportedProgram, leaves: Leaves, spec: ModelSpec) -> list[int]:
    outputs = spec.signature.outputs
    paths = leaf_names(program.call_spec.out_spec, ("RESULT",))
    found = positions("output", [tensor.name for tensor in outputs], [paths], spec.name)
    check_positions(len(paths), found, outputs)
    for configured, position in zip(outputs, found, strict=True):
        if position in leaves.outputs:
            _check(spec, "output", configured, leaves.outputs[position])
    return found


def _check(spec: ModelSpec, kind: str, configured: TensorSpec, model: ModelTensor) -> None:
    renamed = dataclasses.replace(model, name=configured.name)
    check_tensor(spec.name, kind, configured, renamed, spec.signature.batching)


def _check_batch_size(program: torch.export.ExportedProgram, leaves: Leaves, spec: ModelSpec) -> None:
    _, limit = batch_range(program, leaves)
    if limit is not None and spec.signature.max_batch_size > limit:
        raise InvalidArgumentError(
            f"max_batch_size of model '{spec.name}' is {spec.signature.max_batch_size}, but the model was exported for "
            f"batches of at most {limit}"
        )


def _writes(program: torch.export.ExportedProgram) -> bool:
    """Whether any operation of the program writes to a tensor it did not make."""
    schemas = (getattr(node.target, "_schema", None) for node in program.graph.nodes if node.op == "call_function")
    return bool(program.graph_signature.user_inputs_to_mutate) or any(
        schema.is_mutable for schema in schemas if schema is not None
    )
