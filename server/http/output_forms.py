"""The `outputs` of an infer request: which are wanted, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError
from tritonpy.server.http.json_access import (
    Json,
    as_array,
    as_boolean,
    as_string,
    as_unsigned,
    has,
    member,
    optional_member,
)
from tritonpy.server.limits import check_name_length, check_tensor_count


@dataclass(frozen=True, slots=True)
class OutputForm:
    """How an output is wanted: as binary data or JSON, and as its `class_count` largest values (0: as it is)."""

    binary: bool = False
    class_count: int = 0


@dataclass(frozen=True, slots=True)
class OutputForms:
    """How each output is wanted: those that the request lists, and all others."""

    listed: Mapping[str, OutputForm]
    others: OutputForm

    def of(self, output_name: str) -> OutputForm:
        return self.listed.get(output_name, self.others)


def parse_outputs(document: Json) -> dict[str, OutputForm]:
    """The listed outputs in their order, and how each is wanted."""
    listed: dict[str, OutputForm] = {}
    nothing: list[Json] = []
    entries = optional_member(document, "outputs", as_array, nothing)
    check_tensor_count("outputs", len(entries))
    for entry in entries:
        name, form = _parse_output(entry)
        listed.setdefault(name, form)  # of an output listed twice the first entry counts
    return listed


def _parse_output(entry: Json) -> tuple[str, OutputForm]:
    parameters = entry["parameters"] if isinstance(entry, dict) and "parameters" in entry else None
    _check_output_parameters(parameters)
    name = member(entry, "name", as_string)
    check_name_length("output", name)
    class_count = optional_member(parameters, "classification", as_unsigned, 0, "Unable to set 'classification'")
    if in_shared_memory(parameters):
        raise UnsupportedError(
            f"output '{name}' is wanted in shared memory, which this server does not offer: leave out "
            "'shared_memory_region'"
        )
    return name, OutputForm(optional_member(parameters, "binary_data", as_boolean, False), class_count)


def _check_output_parameters(parameters: Json) -> None:
    if not has(parameters, "shared_memory_region"):
        return
    if has(parameters, "classification"):
        raise InvalidArgumentError("Output can't set both 'shared_memory_region' and 'classification'")
    if optional_member(parameters, "binary_data", as_boolean, False, "Unable to set 'binary_data'"):
        raise InvalidArgumentError("Output can't set both 'shared_memory_region' and 'binary_data'")


def in_shared_memory(parameters: Json) -> bool:
    """Whether the tensor is in shared memory; raises InternalError for ill-typed parameters about it."""
    optional_member(parameters, "shared_memory_region", as_string, "")
    optional_member(parameters, "shared_memory_offset", as_unsigned, 0)
    optional_member(parameters, "shared_memory_byte_size", as_unsigned, 0)
    return has(parameters, "shared_memory_region")
