"""One instance of an ONNX model: a session of its own."""

from __future__ import annotations

from collections.abc import Sequence

import onnxruntime

from tritonpy.backends.contract import DeviceKind, Execution, InstanceSpec, ModelSpec
from tritonpy.backends.errors import UnsupportedError
from tritonpy.backends.gather import Batch, gather, read_text, scatter
from tritonpy.backends.onnx_runtime.binding import BoundSession, to_array
from tritonpy.backends.onnx_runtime.errors import run_error
from tritonpy.backends.onnx_runtime.graph import check_graph, read_graph, scalar_inputs
from tritonpy.backends.onnx_runtime.session import make_session, run_options
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.tensor import Array
from tritonpy.protos import datatypes


class OnnxInstance:
    """Runs batches on a session. Raises TritonpyError when made if the model does not fit its configuration."""

    def __init__(self, spec: ModelSpec, instance: InstanceSpec) -> None:
        self._spec = spec
        self._session = make_session(spec, instance)
        graph = read_graph(self._session)
        check_graph(graph, spec.signature, spec.name)
        self._scalar_inputs = scalar_inputs(graph, spec.signature)
        self._run_options = run_options(spec)
        self._bound = _bound_session(self._session, spec, instance, self._run_options)

    def execute(self, requests: Sequence[InferenceRequest], execution: Execution) -> Sequence[InferenceResponse | None]:
        batch = gather(requests, self._spec.signature, read_text)
        if batch.is_empty:
            return batch.responses
        for name in self._scalar_inputs:
            if name in batch.inputs:
                batch.inputs[name] = batch.inputs[name].reshape(())
        names = [output.name for output in self._spec.signature.outputs if batch.wants(output.name)]
        try:
            outputs = self._run(batch, names, execution)
        except Exception as error:  # its classes have no common base
            return batch.fail(run_error(error, self._spec))
        return scatter(batch, dict(zip(names, outputs, strict=True)), self._spec.signature)

    def _run(self, batch: Batch, names: list[str], execution: Execution) -> list[Array]:
        if self._bound is None:
            execution.inputs_ready()
            outputs: list[Array] = self._session.run(names, batch.inputs, self._run_options)
            execution.outputs_begin()
            return outputs
        binding = self._bound.bind(batch.inputs, names)
        execution.inputs_ready()
        values = self._bound.run(binding)
        execution.outputs_begin()
        return [to_array(value) for value in values]

    def close(self) -> None:
        """The session's memory goes with its last reference."""
        del self._session, self._bound


def _bound_session(
    session: onnxruntime.InferenceSession,
    spec: ModelSpec,
    instance: InstanceSpec,
    options: onnxruntime.RunOptions | None,
) -> BoundSession | None:
    """None if plain `run` does as well, or is the only way (strings)."""
    tensors = (*spec.signature.inputs, *spec.signature.outputs)
    datatype_by_name = {tensor.name: tensor.datatype for tensor in tensors if tensor.datatype is not None}
    has_bf16 = datatypes.BF16 in datatype_by_name.values()
    has_strings = datatypes.BYTES in datatype_by_name.values()
    if has_bf16 and has_strings:
        raise UnsupportedError(
            f"model '{spec.name}' has tensors of TYPE_BF16 and TYPE_STRING; onnxruntime cannot take both in one run"
        )
    if has_strings or not (has_bf16 or instance.kind is DeviceKind.GPU):
        return None
    return BoundSession(session, datatype_by_name, instance, options)
