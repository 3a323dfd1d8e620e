"""The rules of `sequence_batching`, with Triton's texts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.protos.generated import model_config_pb2

ModelConfig = model_config_pb2.ModelConfig
Control = model_config_pb2.ModelSequenceBatching.Control
# The lists of which a control that is a flag has one: the value for false and the one for true.
_VALUES = ("int32_false_true", "fp32_false_true", "bool_false_true")
_FLAGS = (Control.CONTROL_SEQUENCE_START, Control.CONTROL_SEQUENCE_END, Control.CONTROL_SEQUENCE_READY)
_ID_TYPES = (
    model_config_pb2.TYPE_UINT64,
    model_config_pb2.TYPE_INT64,
    model_config_pb2.TYPE_UINT32,
    model_config_pb2.TYPE_INT32,
    model_config_pb2.TYPE_STRING,
)


def validate_sequence_batching(config: ModelConfig) -> None:
    """Check strategy and controls; raises InvalidArgumentError for the first mistake."""
    for problem in _problems(config):
        raise InvalidArgumentError(problem)


def _problems(config: ModelConfig) -> Iterator[str]:
    """What is wrong, the first thing first."""
    flags = (_flag_problems(config, kind) for kind in _FLAGS)
    for problem in chain(_strategy_problems(config), _name_problems(config), *flags):
        yield f"sequence batching {problem} for {config.name}"
    yield from _id_problems(config)


def _strategy_problems(config: ModelConfig) -> Iterator[str]:
    batching = config.sequence_batching
    if not 0.0 <= batching.direct.minimum_slot_utilization <= 1.0:
        yield "minimum slot utilization must be in range (0.0, 1.0]"  # Triton accepts 0.0, the default, all the same
    for size in batching.oldest.preferred_batch_size:
        if size <= 0:
            yield "preferred batch size must be positive"
        if size > config.max_batch_size:
            yield "preferred batch size must be <= max batch size"


def _name_problems(config: ModelConfig) -> Iterator[str]:
    seen = set()
    for tensor in config.sequence_batching.control_input:
        if not tensor.name:
            yield "control tensor must have a name"
        if tensor.name in seen:
            yield f"control tensor '{tensor.name}' is specified for multiple control kinds"
        seen.add(tensor.name)


def _controls(config: ModelConfig, kind: Control.Kind) -> list[Control]:
    tensors = config.sequence_batching.control_input
    return [control for tensor in tensors for control in tensor.control if control.kind == kind]


def _flag_problems(config: ModelConfig, kind: Control.Kind) -> Iterator[str]:
    """Mistakes of a control that is either false or true."""
    controls, kind_name = _controls(config, kind), Control.Kind.Name(kind)
    for index, control in enumerate(controls):
        if index > 0:
            yield f"specifies multiple {kind_name} tensors"
        given = [field for field in _VALUES if getattr(control, field)]
        if not given:
            yield f"must specify either 'int32_false_true', 'fp32_false_true' or 'bool_false_true' for {kind_name}"
        if len(given) > 1:
            yield (
                "specifies more than one from 'int32_false_true', 'fp32_false_true' and 'bool_false_true' for "
                f"{kind_name}"
            )
        for field in given:
            if len(getattr(control, field)) != 2:
                yield f"control '{field}' must have exactly 2 entries for {kind_name}"


def _id_problems(config: ModelConfig) -> Iterator[str]:
    """Mistakes of the control that is the id of the sequence."""
    for index, control in enumerate(_controls(config, Control.CONTROL_SEQUENCE_CORRID)):
        if index > 0:
            yield f"sequence batching specifies multiple CONTROL_SEQUENCE_CORRID tensors for {config.name}"
        if any(getattr(control, field) for field in _VALUES):
            yield (
                "sequence batching must not specify either 'int32_false_true', 'fp32_false_true' or 'bool_false_true' "
                f"for CONTROL_SEQUENCE_CORRID for {config.name}"
            )
        if control.data_type not in _ID_TYPES:
            yield (
                f"unexpected data type for control CONTROL_SEQUENCE_CORRID for {config.name}. Allowed data types are "
                "TYPE_UINT64, TYPE_INT64, TYPE_UINT32, TYPE_INT32 and TYPE_STRING"
            )
