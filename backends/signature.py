"""What a model takes and gives: its tensors as the configuration declares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tritonpy.protos import datatypes
from tritonpy.protos.datatypes import Datatype


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a model.

    `dims` is the shape that clients see, without the batch dimension; -1 is any size. `reshape` is the shape
    that the backend sees instead, if the configuration gives one. `datatype` is None where a configuration that
    is still to be completed leaves it open.
    """

    name: str
    datatype: Datatype | None
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None = None
    optional: bool = False
    allow_ragged_batch: bool = False
    is_shape_tensor: bool = False
    label_filename: str = ""

    @property
    def backend_dims(self) -> tuple[int, ...]:
        """The shape without batch dimension as the backend sees it."""
        return self.dims if self.reshape is None else self.reshape


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """All tensors of a model. With `max_batch_size` above 0 every tensor has a leading batch dimension."""

    max_batch_size: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    input_by_name: Mapping[str, TensorSpec] = field(init=False, repr=False, compare=False)
    output_by_name: Mapping[str, TensorSpec] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_by_name", {spec.name: spec for spec in self.inputs})
        object.__setattr__(self, "output_by_name", {spec.name: spec for spec in self.outputs})

    @property
    def batching(self) -> bool:
        return self.max_batch_size > 0

    def full_dims(self, spec: TensorSpec) -> tuple[int, ...]:
        """The shape that clients see, with -1 for the batch dimension where there is one."""
        return (-1, *spec.dims) if self.batching else spec.dims


def signature_from_config(config: Mapping[str, object]) -> ModelSignature:
    """The signature in a model configuration in its JSON form (protobuf field names, enum names)."""
    return ModelSignature(
        max_batch_size=int(str(config.get("max_batch_size", 0))),
        inputs=tuple(tensor_spec(entry) for entry in _entries(config, "input")),
        outputs=tuple(tensor_spec(entry) for entry in _entries(config, "output")),
    )


def _entries(config: Mapping[str, object], key: str) -> Sequence[Mapping[str, object]]:
    entries = config.get(key, ())
    assert isinstance(entries, Sequence)
    return entries


def tensor_spec(entry: Mapping[str, object]) -> TensorSpec:
    """One element of `input` or `output` of a configuration in its JSON form."""
    reshape = entry.get("reshape")
    return TensorSpec(
        name=str(entry.get("name", "")),
        datatype=datatypes.BY_CONFIG_NAME.get(str(entry.get("data_type", ""))),
        dims=_dims(entry.get("dims", ())),
        reshape=_dims(reshape.get("shape", ())) if isinstance(reshape, Mapping) else None,
        optional=bool(entry.get("optional", False)),
        allow_ragged_batch=bool(entry.get("allow_ragged_batch", False)),
        is_shape_tensor=bool(entry.get("is_shape_tensor", False)),
        label_filename=str(entry.get("label_filename", "")),
    )


def _dims(values: object) -> tuple[int, ...]:
    assert isinstance(values, Sequence)
    return tuple(int(value) for value in values)
