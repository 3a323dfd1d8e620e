"""Merges what a backend found out about a model into its configuration."""

from __future__ import annotations

from tritonpy.backends.contract import Completion
from tritonpy.backends.errors import InternalError
from tritonpy.backends.signature import TensorSpec
from tritonpy.protos.generated import model_config_pb2

ModelConfig = model_config_pb2.ModelConfig


def apply_completion(config: ModelConfig, completion: Completion) -> None:
    """Complete `config`: a tensor that is listed gets only what it leaves open, others are added, and a scheduler is
    adopted only if none is configured."""
    if completion.max_batch_size is not None:
        config.max_batch_size = completion.max_batch_size
    for spec in completion.inputs or ():
        _complete_input(config, spec)
    for spec in completion.outputs or ():
        _complete_output(config, spec)
    if completion.dynamic_batching:
        _adopt_dynamic_batching(config)
    if completion.decoupled is not None:
        config.model_transaction_policy.decoupled = completion.decoupled


def _complete_input(config: ModelConfig, spec: TensorSpec) -> None:
    entry = next((existing for existing in config.input if existing.name == spec.name), None)
    if entry is None:
        entry = config.input.add(name=spec.name)
    _complete_tensor(entry, spec)
    entry.optional = entry.optional or spec.optional
    entry.allow_ragged_batch = entry.allow_ragged_batch or spec.allow_ragged_batch


def _complete_output(config: ModelConfig, spec: TensorSpec) -> None:
    entry = next((existing for existing in config.output if existing.name == spec.name), None)
    if entry is None:
        entry = config.output.add(name=spec.name)
    _complete_tensor(entry, spec)


def _complete_tensor(entry: model_config_pb2.ModelInput | model_config_pb2.ModelOutput, spec: TensorSpec) -> None:
    """Fill in what `entry` leaves open."""
    if entry.data_type == model_config_pb2.TYPE_INVALID and spec.datatype is not None:
        entry.data_type = spec.datatype.config_value  # type: ignore[assignment]  # enums are ints
    if not entry.dims:
        entry.dims.extend(spec.dims)
        if spec.reshape is not None:
            entry.reshape.SetInParent()
            entry.reshape.shape.extend(spec.reshape)


def _adopt_dynamic_batching(config: ModelConfig) -> None:
    choice = config.WhichOneof("scheduling_choice")
    if choice is None:
        config.dynamic_batching.SetInParent()
    elif choice != "dynamic_batching":
        raise InternalError(f"Cannot update scheduling choice from {choice} to dynamic_batching when auto-completing.")
