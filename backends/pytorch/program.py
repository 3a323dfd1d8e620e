"""A loaded model as something to call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from tritonpy.backends.errors import InvalidArgumentError, TritonpyError
from tritonpy.backends.signature import TensorSpec

Argument = torch.Tensor | list[str]


class Program(Protocol):
    """A model of any form, loaded for one signature.

    `device` is where it wants its inputs. `writes_inputs`: a run may change the tensors it gets.
    `needs_warm_up`: its first runs compile it. `module` holds its state, if torch can see it.
    """

    device: torch.device
    writes_inputs: bool
    needs_warm_up: bool
    module: torch.nn.Module | None

    def run(self, inputs: Mapping[str, Argument]) -> list[object]:
        """The result for each configured output, in order; `inputs` are by configured name. Raises what the model
        raises."""

    def error(self, error: Exception) -> TritonpyError:
        """What clients are told of an exception of `run`."""


def select(results: Sequence[object], positions: Sequence[int], outputs: Sequence[TensorSpec]) -> list[object]:
    """The results of the configured outputs. Raises InvalidArgumentError if the model returned too few."""
    check_positions(len(results), positions, outputs)
    return [results[position] for position in positions]


def check_positions(result_count: int, positions: Sequence[int], outputs: Sequence[TensorSpec]) -> None:
    """Raise InvalidArgumentError unless every configured output is one of the model's results."""
    for output, position in zip(outputs, positions, strict=True):
        if position >= result_count:
            raise InvalidArgumentError(
                f"The output {output.name} in the model configuration refers to an output index which doesn't exist. "
                f"This model has {result_count} outputs"
            )


_TORCHSCRIPT_CAUSE = "\nRuntimeError: "
_NATIVE_TRACE = "\nException raised from "


def error_text(error: Exception) -> str:
    """What went wrong, without the stack traces that torch puts into its messages: they name files."""
    text = str(error)
    if text.startswith("The following operation failed") and _TORCHSCRIPT_CAUSE in text:
        text = text.rpartition(_TORCHSCRIPT_CAUSE)[2]
    text = text.partition(_NATIVE_TRACE)[0].strip()
    return text if text and isinstance(error, RuntimeError) else f"{type(error).__name__}: {text}"
