"""One instance of a PyTorch model: a program on a device."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from tritonpy.backends.contract import Execution, InstanceSpec, ModelSpec
from tritonpy.backends.errors import InvalidArgumentError, TritonpyError
from tritonpy.backends.gather import Batch, gather, read_text, scatter
from tritonpy.backends.pytorch.conversion import to_argument, to_array
from tritonpy.backends.pytorch.program import Argument, Program
from tritonpy.backends.pytorch.settings import Settings, entered, run_contexts
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.tensor import Array
from tritonpy.protos import datatypes

logger = logging.getLogger(__name__)


class PyTorchInstance:
    """Runs batches on a program."""

    def __init__(self, program: Program, spec: ModelSpec, instance: InstanceSpec, settings: Settings) -> None:
        self._program = program
        self._name = instance.name
        self._signature = spec.signature
        self._settings = settings
        self._contexts = run_contexts(settings, program.device)
        self._state_addresses = _state_addresses(program.module)
        if program.needs_warm_up:
            self._warm_up()

    def execute(self, requests: Sequence[InferenceRequest], execution: Execution) -> Sequence[InferenceResponse | None]:
        batch = gather(requests, self._signature, read_text)
        if batch.is_empty:
            return batch.responses
        try:
            with entered(self._contexts):
                arguments = self._arguments(batch)
                execution.inputs_ready()
                results = self._run(arguments)
                execution.outputs_begin()
                outputs = self._outputs(batch, results)
        except TritonpyError as error:
            return batch.fail(error)
        if self._settings.cache_cleaning and self._program.device.type == "cuda":
            torch.cuda.empty_cache()
        return scatter(batch, outputs, self._signature)

    def _arguments(self, batch: Batch) -> dict[str, Argument]:
        # The data of a single request was not copied; others may still need it as it is.
        must_copy = self._program.writes_inputs and len(batch.row_counts) == 1 and self._program.device.type == "cpu"
        return {
            name: to_argument(
                array.copy() if must_copy else array, self._signature.input_by_name[name], self._program.device
            )
            for name, array in batch.inputs.items()
        }

    def _run(self, arguments: Mapping[str, Argument]) -> list[object]:
        try:
            results = self._program.run(arguments)
            if self._program.device.type == "cuda":
                torch.cuda.current_stream(self._program.device).synchronize()
        except TritonpyError:
            raise
        except Exception as error:  # a model may raise anything
            logger.warning("model instance '%s' raised", self._name, exc_info=error)
            raise self._program.error(error) from error
        return results

    def _outputs(self, batch: Batch, results: Sequence[object]) -> dict[str, Array]:
        return {
            spec.name: self._output_array(to_array(value, spec, self._signature.batching), value)
            for spec, value in zip(self._signature.outputs, results, strict=True)
            if batch.wants(spec.name)
        }

    def _output_array(self, array: Array, value: object) -> Array:
        """The next run may change a tensor that the module keeps, while this one is still on its way to a client."""
        is_state = isinstance(value, torch.Tensor) and value.untyped_storage().data_ptr() in self._state_addresses
        return array.copy() if is_state else array

    def _warm_up(self) -> None:
        """Compile now, not during a request: for a batch of one and for larger ones, which torch tells apart."""
        signature = self._signature
        if any(spec.datatype is datatypes.BYTES or -1 in spec.backend_dims for spec in signature.inputs):
            logger.info("model instance '%s' has inputs of variable size: its first requests compile it", self._name)
            return
        for batch_dims in sorted({(1,), (signature.max_batch_size,)}) if signature.batching else [()]:
            with entered(self._contexts):
                self._run(
                    {
                        spec.name: to_argument(
                            np.zeros((*batch_dims, *spec.backend_dims), spec.datatype.numpy_dtype),
                            spec,
                            self._program.device,
                        )
                        for spec in signature.inputs
                        if spec.datatype is not None
                    }
                )

    def close(self) -> None:
        """The module's memory goes with its last reference."""
        del self._program


def check_text_inputs(spec: ModelSpec) -> None:
    """Raise InvalidArgumentError for TYPE_STRING inputs that are no plain lists of text."""
    for tensor in spec.signature.inputs:
        is_list = tensor.backend_dims == (1,) if spec.signature.batching else len(tensor.backend_dims) == 1
        if tensor.datatype is datatypes.BYTES and not is_list:
            raise InvalidArgumentError(
                f"Triton only supports 1 dimensional List of String as input for '{tensor.name}' for model "
                f"'{spec.name}': dims must be [1] with batching, or have one dimension without; got "
                f"{list(tensor.backend_dims)}"
            )


def _state_addresses(module: torch.nn.Module | None) -> frozenset[int]:
    if module is None:
        return frozenset()
    return frozenset(buffer.untyped_storage().data_ptr() for buffer in module.buffers())
