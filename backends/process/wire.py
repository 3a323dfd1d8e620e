"""Requests, responses, specs and errors as packets. Both ends use this module, so it is the whole protocol.

server -> worker    load {spec, instance} · complete {spec} · execute {batch, requests} · cancel {batch, index} · stop
worker -> server    loaded · completed {completion} · failed {error} · response {batch, index, response}
                    · done {batch, responses, times}

Every packet may carry `free`: blocks of the receiver that the sender no longer reads. Tensor data is in the
packet's payload, or in one block (`block`, with `new` when its descriptor comes along) when it is larger than
INLINE_LIMIT_BYTES. A tensor is [name, datatype, shape, offset, size].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonpy.backends.contract import Completion, DeviceKind, InstanceSpec, ModelSpec, model_spec
from tritonpy.backends.errors import Kind, TritonpyError, error_of_kind
from tritonpy.backends.process.channel import Message, OutgoingPacket, Packet, encode_packet
from tritonpy.backends.process.shared_memory import Block, BlockPool, PeerBlocks
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.signature import TensorSpec
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes
from tritonpy.protos.bytes_codec import Buffer

INLINE_LIMIT_BYTES = 32 * 1024
_ALIGNMENT_BYTES = 16  # what SIMD loads of any element type like
_PADDING = bytes(_ALIGNMENT_BYTES)


class TensorWriter:
    """Collects the tensors of one packet, then puts their data where the receiver will find it."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, Buffer]] = []
        self.size_bytes = 0

    def add(self, tensor: Tensor) -> list[Any]:
        """The tensor's entry in the message."""
        buffer = tensor.buffer
        offset, size = self.size_bytes, len(buffer)
        self._parts.append((offset, buffer))
        self.size_bytes = (offset + size + _ALIGNMENT_BYTES - 1) & -_ALIGNMENT_BYTES
        return [tensor.name, tensor.datatype.wire_name, tensor.shape, offset, size]

    def place(self, pool: BlockPool) -> PlacedData:
        """Copy large data into a block of `pool`, keep small data for the packet; the tensors are let go."""
        parts, self._parts = self._parts, []
        if self.size_bytes <= INLINE_LIMIT_BYTES:
            return PlacedData(tuple(_padded(parts)), None)
        block = pool.acquire(self.size_bytes)
        target = memoryview(block.memory)
        for offset, buffer in parts:
            target[offset : offset + len(buffer)] = buffer
        return PlacedData((), block)


@dataclass(frozen=True, slots=True)
class PlacedData:
    """Tensor data where the receiver will find it: in the packet itself, or in a block."""

    inline: tuple[Buffer, ...]
    block: Block | None

    def packet(self, message: Message) -> OutgoingPacket:
        """The packet with `message` and this data."""
        if self.block is None:
            return encode_packet(message, self.inline)
        message["block"] = self.block.id
        if self.block.descriptor < 0:
            return encode_packet(message)
        message["new"] = True
        packet = encode_packet(message, descriptors=(self.block.descriptor,))
        return OutgoingPacket(packet.buffers, packet.descriptors, (*packet.close_after, self.block.descriptor))


NO_DATA = PlacedData((), None)


def _padded(parts: list[tuple[int, Buffer]]) -> Iterator[Buffer]:
    for _, buffer in parts:
        yield buffer
        if padding := -len(buffer) % _ALIGNMENT_BYTES:
            yield _PADDING[:padding]


def tensor_data(packet: Packet, blocks: PeerBlocks) -> memoryview:
    """Where the tensors of a received packet are: its payload, or the block it names."""
    block_id = packet.message.get("block")
    if block_id is None:
        return packet.payload
    if packet.message.get("new"):
        blocks.add(block_id, packet.descriptors[0])
    return blocks.lease(block_id)


def read_tensor(entry: Sequence[Any], data: memoryview) -> Tensor:
    """A tensor over `data`, from its entry in a message."""
    name, wire_name, shape, offset, size = entry
    return Tensor(name, datatypes.BY_WIRE_NAME[wire_name], tuple(shape), data[offset : offset + size])


def request_entry(request: InferenceRequest, writer: TensorWriter) -> list[Any]:
    """A request's entry in an `execute` message."""
    return [
        request.id,
        [writer.add(tensor) for tensor in request.inputs.values()],
        request.requested_outputs,
        request.parameters,
        request.correlation_id,
        int(request.flags),
        request.priority,
        request.timeout_us,
        request.batch_size,
    ]


def read_request(entry: Sequence[Any], data: memoryview, spec: ModelSpec) -> InferenceRequest:
    """The request of an entry, for the model that the worker runs."""
    request_id, inputs, outputs, parameters, correlation_id, flags, priority, timeout_us, batch_size = entry
    tensors = [read_tensor(item, data) for item in inputs]
    return InferenceRequest(
        model_name=spec.name,
        model_version=spec.version,
        id=request_id,
        inputs={tensor.name: tensor for tensor in tensors},
        requested_outputs=tuple(outputs),
        parameters=parameters,
        correlation_id=correlation_id,
        flags=flags,
        priority=priority,
        timeout_us=timeout_us,
        batch_size=batch_size,
    )


def response_entry(response: InferenceResponse | None, writer: TensorWriter) -> list[Any] | None:
    """A response's entry in a `response` or `done` message."""
    if response is None:
        return None
    error = None if response.error is None else error_entry(response.error)
    outputs = [writer.add(tensor) for tensor in response.outputs]
    return [outputs, error, response.parameters, response.final]


def read_response(entry: Sequence[Any] | None, data: memoryview) -> InferenceResponse | None:
    if entry is None:
        return None
    outputs, error, parameters, final = entry
    return InferenceResponse(
        outputs=[read_tensor(item, data) for item in outputs],
        error=None if error is None else read_error(error),
        parameters=parameters,
        final=final,
    )


def error_entry(error: TritonpyError) -> list[str]:
    return [error.kind.name, error.message]


def read_error(entry: Sequence[str]) -> TritonpyError:
    kind, message = entry
    return error_of_kind(Kind[kind], message)


def spec_entry(spec: ModelSpec) -> Message:
    return {
        "version": spec.version,
        "model_directory": str(spec.model_directory),
        "version_directory": str(spec.version_directory),
        "config_json": spec.config_json,
        "backend_config": dict(spec.backend_config),
    }


def read_spec(entry: Message) -> ModelSpec:
    return model_spec(
        entry["version"],
        Path(entry["model_directory"]),
        Path(entry["version_directory"]),
        entry["config_json"],
        entry["backend_config"],
    )


def instance_entry(instance: InstanceSpec) -> list[Any]:
    return [instance.name, instance.kind.name, instance.device_id, instance.instance_count]


def read_instance(entry: Sequence[Any]) -> InstanceSpec:
    name, kind, device_id, instance_count = entry
    return InstanceSpec(name, DeviceKind[kind], device_id, instance_count)


def completion_entry(completion: Completion | None) -> list[Any] | None:
    if completion is None:
        return None
    return [
        completion.max_batch_size,
        _spec_entries(completion.inputs),
        _spec_entries(completion.outputs),
        completion.dynamic_batching,
        completion.decoupled,
    ]


def read_completion(entry: Sequence[Any] | None) -> Completion | None:
    if entry is None:
        return None
    max_batch_size, inputs, outputs, dynamic_batching, decoupled = entry
    return Completion(max_batch_size, _read_specs(inputs), _read_specs(outputs), dynamic_batching, decoupled)


def _spec_entries(specs: Sequence[TensorSpec] | None) -> list[list[Any]] | None:
    if specs is None:
        return None
    return [
        [spec.name, spec.datatype and spec.datatype.wire_name, spec.dims, spec.reshape, spec.optional] for spec in specs
    ]


def _read_specs(entries: Sequence[Sequence[Any]] | None) -> tuple[TensorSpec, ...] | None:
    if entries is None:
        return None
    return tuple(
        TensorSpec(
            name=name,
            datatype=None if wire_name is None else datatypes.BY_WIRE_NAME[wire_name],
            dims=tuple(dims),
            reshape=None if reshape is None else tuple(reshape),
            optional=optional,
        )
        for name, wire_name, dims, reshape, optional in entries
    )
