"""Runs batches on a PyTorch program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tritonpy.backends.contract import Execution, ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError
from tritonpy.backends.gather import BatchOutput, GatheredBatch, gather, scatter
from tritonpy.backends.pytorch.conversion import to_output, to_torch
from tritonpy.backends.pytorch.naming import input_order, output_indices
from tritonpy.backends.pytorch.programs import Program
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.protos import datatypes


class PyTorchInstance:
    """One instance of a program on one device."""

    def __init__(self, program: Program, spec: ModelSpec, device: torch.device) -> None:
        self._program = program
        self._spec = spec
        self._signature = spec.signature
        self._device = device
        names = [one.name for one in spec.signature.inputs]
        self._input_names = names if program.takes_dictionary else input_order(names, program.arguments, spec.name)
        self._output_indices = output_indices([one.name for one in spec.signature.outputs])
        self._check_strings()

    def _check_strings(self) -> None:
        for spec in self._signature.inputs:
            rank = len(spec.backend_dims) + int(self._signature.batching)
            if spec.datatype is datatypes.BYTES and rank > 1 and spec.backend_dims != (1,):
                raise InvalidArgumentError(
                    f"Triton only supports 1 dimensional List of String as input for '{spec.name}' for model "
                    f"'{self._spec.name}': dims must be [1]"
                )

    def execute(self, requests: Sequence[InferenceRequest], execution: Execution) -> Sequence[InferenceResponse | None]:
        batch = gather(requests, self._signature)
        if not batch.requests:
            return batch.responses([])
        arguments = self._arguments(batch)
        execution.inputs_ready()
        results = self._call(arguments)
        outputs = [self._output(name, index, results) for name, index in self._output_indices.items()]
        execution.outputs_begin()
        return batch.responses(scatter(batch.requests, outputs, self._signature))

    def _arguments(self, batch: GatheredBatch) -> list[Any]:  # tensors, lists of text, or one dictionary
        by_name = {}
        for name in self._input_names:
            if name not in batch.arrays:
                raise InvalidArgumentError(f"input '{name}' of model '{self._spec.name}' cannot be left out")
            datatype = self._signature.input_by_name[name].datatype
            try:
                by_name[name] = to_torch(batch.arrays[name], datatype, self._device)
            except UnicodeDecodeError:
                raise InvalidArgumentError(
                    f"input '{name}' holds bytes that are no UTF-8 text, which the model cannot take"
                ) from None
        return [by_name] if self._program.takes_dictionary else list(by_name.values())

    def _call(self, arguments: list[Any]) -> list[Any]:
        try:
            with torch.inference_mode():
                returned = self._program.call(*arguments)
        except TritonpyError:
            raise
        except Exception as error:  # a model raises what it likes
            raise InternalError(f"PyTorch execute failure: {error}") from error
        is_several = isinstance(returned, (tuple, list)) and not (
            isinstance(returned, list) and returned and isinstance(returned[0], str)
        )
        return list(returned) if is_several else [returned]

    def _output(self, name: str, index: int, results: list[Any]) -> BatchOutput:
        if index >= len(results):
            raise InvalidArgumentError(
                f"The output {name} in the model configuration refers to an output index which doesn't exist. This "
                f"model has {len(results)} outputs"
            )
        output = to_output(name, results[index])
        spec = self._signature.output_by_name[name]
        if output.array.ndim == 0:
            raise InternalError(f"output '{name}' is a scalar which is not supported.")
        found = output.datatype or datatypes.from_numpy(output.array.dtype)
        if found is not spec.datatype and found is not None and spec.datatype is not None:
            raise InvalidArgumentError(
                f"configuration expects datatype {spec.datatype.config_name} for output '{name}', model provides "
                f"{found.config_name}"
            )
        return output

    def close(self) -> None:
        del self._program
