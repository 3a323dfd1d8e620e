"""Which configured input is which argument of `forward`, and which configured output is which result.

Triton's conventions, tried in this order for inputs: every name is an argument of `forward`; every name is
`<anything>__<index>` (`INPUT__0`); the order of the configuration. Outputs: `<anything>__<index>`, else the order.
Packages of AOTInductor also have `ARGS[<index>]` and `RESULT[<index>]`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from tritonpy.backends.errors import InvalidArgumentError

_INDEXED = re.compile(r".*__(\d+)|(?:ARGS|RESULT)\[(\d+)\]")

logger = logging.getLogger(__name__)


def input_order(names: Sequence[str], arguments: Sequence[str], model_name: str) -> list[str]:
    """The configured inputs in the order of the arguments. Raises InvalidArgumentError if indices leave gaps."""
    if arguments and set(names) <= set(arguments):
        return sorted(names, key=list(arguments).index)
    indices = [_index(name) for name in names]
    if None in indices:
        logger.warning(
            "the inputs of model '%s' are neither arguments of forward nor called <name>__<index>: they are passed in "
            "the order of the configuration",
            model_name,
        )
        return list(names)
    by_index = {index: name for index, name in zip(indices, names, strict=True) if index is not None}
    if sorted(by_index) != list(range(len(names))):
        raise InvalidArgumentError(
            f"the inputs of model '{model_name}' must be numbered __0 to __{len(names) - 1}, got {', '.join(names)}"
        )
    return [by_index[index] for index in range(len(names))]


def output_indices(names: Sequence[str]) -> dict[str, int]:
    """The position of each configured output among the results."""
    if list(names) == ["RESULT"]:
        return {"RESULT": 0}
    indices = [_index(name) for name in names]
    if None in indices:
        return {name: position for position, name in enumerate(names)}
    return {name: index for name, index in zip(names, indices, strict=True) if index is not None}


def _index(name: str) -> int | None:
    match = _INDEXED.fullmatch(name)
    return int(match[1] or match[2]) if match else None
