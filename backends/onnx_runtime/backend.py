"""Loading ONNX models, and completing their configuration from the graph."""

from __future__ import annotations

import logging

from tritonpy.backends.contract import Completion, InstanceSpec, ModelSpec
from tritonpy.backends.model_tensors import all_first_dims_vary, complete_from_tensors, needs_completion
from tritonpy.backends.onnx_runtime.graph import read_graph
from tritonpy.backends.onnx_runtime.instance import OnnxInstance
from tritonpy.backends.onnx_runtime.session import make_metadata_session, model_path

logger = logging.getLogger(__name__)


class OnnxBackend:
    """The backend `onnxruntime`."""

    def complete(self, spec: ModelSpec) -> Completion | None:
        """Tensors and batching from the graph, if the configuration leaves out inputs or outputs."""
        if not needs_completion(spec.signature):
            logger.debug(
                "skipping model configuration auto-complete for '%s': inputs and outputs already specified", spec.name
            )
            return None
        graph = read_graph(make_metadata_session(spec))
        inputs, outputs = list(graph.inputs.values()), list(graph.outputs.values())
        return complete_from_tensors(spec, inputs, outputs, can_batch=all_first_dims_vary([*inputs, *outputs]))

    def load(self, spec: ModelSpec) -> OnnxModel:
        model_path(spec)
        return OnnxModel(spec)


class OnnxModel:
    """A model version whose file exists. Each instance loads it for itself, as sessions own their threads."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def create_instance(self, instance: InstanceSpec) -> OnnxInstance:
        return OnnxInstance(self._spec, instance)
