"""The backend `onnxruntime`: one session for each instance.

`onnx_graph.py` reads what a graph says about its inputs and outputs; `onnx_options.py` turns configuration into
session options.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from tritonpy.backends.contract import Completion, DeviceKind, Execution, InstanceSpec, ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError
from tritonpy.backends.gather import BatchOutput, GatheredBatch, gather, scatter
from tritonpy.backends.onnx_graph import Graph, check_graph, complete_from_graph, read_graph
from tritonpy.backends.onnx_options import providers, run_options, session_options
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.tensor import Array
from tritonpy.protos import datatypes

DEFAULT_FILENAME = "model.onnx"
_BF16_ELEMENT_TYPE = 16  # TensorProto.BFLOAT16


class OnnxBackend:
    """Loads ONNX and ORT files."""

    def complete(self, spec: ModelSpec) -> Completion | None:
        return complete_from_graph(spec, read_graph(_open(spec, None)))

    def load(self, spec: ModelSpec) -> OnnxModel:
        return OnnxModel(spec)


class OnnxModel:
    """A model file; sessions are made for each instance, as they hold the instance's memory and threads."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def create_instance(self, instance: InstanceSpec) -> OnnxInstance:
        session = _open(self._spec, instance)
        graph = read_graph(session)
        check_graph(self._spec, graph)
        return OnnxInstance(session, graph, self._spec, instance)


def _model_file(spec: ModelSpec) -> Path:
    """The file to load; the configured name may be a folder, for models with their weights in files beside them."""
    path = spec.version_directory / (spec.filename or DEFAULT_FILENAME)
    if path.is_dir():
        path = path / DEFAULT_FILENAME
    if not path.is_file():
        raise InvalidArgumentError(
            f"unable to find '{spec.name}/{spec.version}/{spec.filename or DEFAULT_FILENAME}' for model '{spec.name}'"
        )
    return path


def _open(spec: ModelSpec, instance: InstanceSpec | None) -> onnxruntime.InferenceSession:
    path = _model_file(spec)
    device = providers(instance) if instance else ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(str(path), session_options(spec, instance), providers=device)
    except TritonpyError:
        raise
    except Exception as error:  # ONNX Runtime raises a class of its own for each of its many error codes
        told = str(error).replace(str(path), path.name)
        raise InternalError(f"onnx runtime error: unable to load model '{spec.name}': {told}") from error


class OnnxInstance:
    """One session."""

    def __init__(
        self, session: onnxruntime.InferenceSession, graph: Graph, spec: ModelSpec, instance: InstanceSpec
    ) -> None:
        self._session = session
        self._graph = graph
        self._signature = spec.signature
        self._run_options = run_options(spec)
        self._output_names = [output.name for output in spec.signature.outputs]
        self._strings = {one.name for one in graph.inputs if one.datatype is datatypes.BYTES}
        self._scalars = {one.name for one in graph.inputs if one.dims == ()}
        self._has_bf16 = any(one.datatype is datatypes.BF16 for one in (*graph.inputs, *graph.outputs))
        self._device = ("cuda", instance.device_id) if instance.kind is DeviceKind.GPU else ("cpu", 0)

    def execute(self, requests: Sequence[InferenceRequest], execution: Execution) -> Sequence[InferenceResponse | None]:
        batch = gather(requests, self._signature)
        execution.inputs_ready()
        if not batch.requests:
            return batch.responses([])
        try:
            feed = self._feed(batch)
        except InvalidArgumentError:
            return self._one_by_one(requests, execution)
        outputs = self._run(feed, self._wanted(batch.requests))
        execution.outputs_begin()
        return batch.responses(scatter(batch.requests, outputs, self._signature))

    def _one_by_one(self, requests: Sequence[InferenceRequest], execution: Execution) -> list[InferenceResponse]:
        """Run each request by itself, because one of them has text that is none: it alone shall fail."""
        responses: list[InferenceResponse] = []
        for request in requests:
            batch = gather([request], self._signature)
            try:
                outputs = self._run(self._feed(batch), self._wanted([request])) if batch.requests else []
                responses += batch.responses(scatter(batch.requests, outputs, self._signature))
            except TritonpyError as error:
                responses.append(InferenceResponse(error=error))
        execution.outputs_begin()
        return responses

    def _feed(self, batch: GatheredBatch) -> dict[str, Array]:
        feed = dict(batch.arrays)
        for name in self._strings & feed.keys():
            feed[name] = _as_text(name, feed[name])
        for name in self._scalars & feed.keys():
            feed[name] = feed[name].reshape(())
        return feed

    def _wanted(self, requests: Sequence[InferenceRequest]) -> list[str]:
        """The outputs that any of the requests asks for."""
        return [name for name in self._output_names if any(request.wants(name) for request in requests)]

    def _run(self, feed: Mapping[str, Array], wanted: list[str]) -> list[BatchOutput]:
        try:
            if self._device[0] != "cpu" or self._has_bf16:
                return self._run_bound(feed, wanted)
            arrays = self._session.run(wanted, feed, self._run_options)
        except (ort_errors.InvalidArgument, ValueError) as error:
            raise InvalidArgumentError(f"onnx runtime error: {error}") from error
        except Exception as error:  # as in _open
            raise InternalError(f"onnx runtime error: {error}") from error
        return [
            BatchOutput(name, _shaped(array, self._signature.batching))
            for name, array in zip(wanted, arrays, strict=True)
        ]

    def _run_bound(self, feed: Mapping[str, Array], wanted: list[str]) -> list[BatchOutput]:
        """Run through an IOBinding: outputs stay on the device until all are there, and BF16 passes, which
        `session.run` does not take."""
        binding = self._session.io_binding()
        values = {name: self._value(name, array) for name, array in feed.items()}
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                binding.bind_cpu_input(name, value)
            else:
                binding.bind_ortvalue_input(name, value)
        for name in wanted:
            device = "cpu" if self._graph.is_string(name) else self._device[0]
            binding.bind_output(name, device, self._device[1])
        binding.synchronize_inputs()
        self._session.run_with_iobinding(binding, self._run_options)
        binding.synchronize_outputs()
        by_name = dict(zip(wanted, binding.get_outputs(), strict=True))
        return [self._bound_output(name, value) for name, value in by_name.items()]

    def _value(self, name: str, array: Array) -> Any:  # an OrtValue, or an array that is bound as it is
        if self._graph.datatype_of(name) is datatypes.BF16:
            bits = np.ascontiguousarray(array)
            return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, _BF16_ELEMENT_TYPE)
        return np.ascontiguousarray(array)

    def _bound_output(self, name: str, value: Any) -> BatchOutput:
        if self._graph.datatype_of(name) is not datatypes.BF16:
            return BatchOutput(name, _shaped(value.numpy(), self._signature.batching))
        # NumPy has no BF16, so the bits are read from the value's memory; the copy outlives the value.
        bits = _read_bits(value)
        return BatchOutput(name, bits, datatypes.BF16)

    def close(self) -> None:
        del self._session


def _read_bits(value: Any) -> Array:
    shape = value.shape()
    count = int(np.prod(shape))
    memory = (ctypes.c_uint16 * count).from_address(value.data_ptr())
    bits: Array = np.ctypeslib.as_array(memory).reshape(shape).copy()
    return bits


def _as_text(name: str, array: Array) -> Array:
    """ONNX Runtime takes `str` elements only; bytes would silently become the text `b'...'`."""
    try:
        decoded = [element.decode() for element in array.ravel().tolist()]
    except UnicodeDecodeError:
        raise InvalidArgumentError(
            f"input '{name}' holds bytes that are no UTF-8 text, which ONNX Runtime cannot take"
        ) from None
    result = np.empty(len(decoded), dtype=object)
    result[:] = decoded
    return result.reshape(array.shape)


def _shaped(array: Any, batching: bool) -> Array:
    """The array as a tensor: a scalar result of a model without batches has the configured shape [1]."""
    result: Array = np.asarray(array)
    return result.reshape(1) if result.ndim == 0 and not batching else result


BACKEND = OnnxBackend()
