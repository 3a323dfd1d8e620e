"""A configuration as JSON: Triton's form of it, for clients, for Python models and for backends."""

from __future__ import annotations

from typing import Any, cast

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from tritonpy.protos.generated import model_config_pb2

_64_BIT = {
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT64,
}
# 64-bit numbers that Triton leaves as text, which protobuf's JSON form makes of them.
_LEFT_AS_TEXT = {
    "inference.ModelInstanceGroup.SecondaryDevice.device_id",
    "inference.ModelOptimizationPolicy.Cuda.GraphSpec.Shape.dim",
    "inference.ModelSequenceBatching.InitialState.dims",
}


def config_dict(config: model_config_pb2.ModelConfig) -> dict[str, Any]:
    """The configuration as protobuf's JSON form with the fields' own names, defaults printed, unset messages left
    out, and 64-bit integers as numbers."""
    raw = MessageToDict(config, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return _ordered(config, raw)


def config_json(config: model_config_pb2.ModelConfig) -> bytes:
    """`config_dict` as compact text."""
    return orjson.dumps(config_dict(config))


def _ordered(message: Message, raw: dict[str, Any]) -> dict[str, Any]:
    """`raw`, the JSON form of `message`, with keys in the order of the .proto file and numbers as numbers."""
    return {
        field.name: _value(cast(FieldDescriptor, field), getattr(message, field.name), raw[field.name])
        for field in message.DESCRIPTOR.fields
        if field.name in raw
    }


def _value(field: FieldDescriptor, value: Any, raw: Any) -> Any:
    if field.cpp_type in _64_BIT and field.full_name not in _LEFT_AS_TEXT:
        return list(value) if field.is_repeated else value
    if field.message_type is None:
        return raw
    if not field.is_repeated:
        return _ordered(value, raw)
    if not field.message_type.GetOptions().map_entry:
        return [_ordered(item, raw_item) for item, raw_item in zip(value, raw, strict=True)]
    if field.message_type.fields_by_name["value"].message_type is None:
        return raw
    return {str(key): _ordered(value[key], raw[str(key)]) for key in sorted(value)}
