"""Every message about sequence batching, in Triton's words, and which one comes first."""

from __future__ import annotations

import pytest

from tests.repository.configs import python_config
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.repository.sequence_rules import validate_sequence_batching

FLAGS = ["CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_READY"]
VALUES = ["int32_false_true", "fp32_false_true", "bool_false_true"]
ALL_VALUES = "'int32_false_true', 'fp32_false_true' or 'bool_false_true'"


def control_input(kind: str, fields: str, name: str = "C") -> str:
    return f'control_input {{ name: "{name}" control {{ kind: {kind} {fields} }} }} '


def check(fields: str, max_batch_size: int = 4) -> None:
    validate_sequence_batching(python_config(f"max_batch_size: {max_batch_size} sequence_batching {{ {fields} }}"))


def refusal(fields: str) -> str:
    with pytest.raises(InvalidArgumentError) as raised:
        check(fields)
    return raised.value.message


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("direct { minimum_slot_utilization: 1.1 }", "minimum slot utilization must be in range (0.0, 1.0]"),
        ("direct { minimum_slot_utilization: -0.1 }", "minimum slot utilization must be in range (0.0, 1.0]"),
        ("direct { minimum_slot_utilization: nan }", "minimum slot utilization must be in range (0.0, 1.0]"),
        ("oldest { preferred_batch_size: [ 2, 0 ] }", "preferred batch size must be positive"),
        ("oldest { preferred_batch_size: [ 4, 5 ] }", "preferred batch size must be <= max batch size"),
    ],
)
def test_a_wrong_strategy(fields: str, problem: str) -> None:
    assert refusal(fields) == f"sequence batching {problem} for m"


@pytest.mark.parametrize("kind", FLAGS)
@pytest.mark.parametrize("field", VALUES)
def test_a_flag_has_one_list_of_two_values(kind: str, field: str) -> None:
    check(control_input(kind, f"{field}: [ 0, 1 ]"))
    expected = f"sequence batching control '{field}' must have exactly 2 entries for {kind} for m"
    assert refusal(control_input(kind, f"{field}: 0")) == expected
    assert refusal(control_input(kind, f"{field}: [ 0, 1, 1 ]")) == expected


@pytest.mark.parametrize("kind", FLAGS)
def test_a_flag_has_some_values(kind: str) -> None:
    assert refusal(control_input(kind, "")) == f"sequence batching must specify either {ALL_VALUES} for {kind} for m"


@pytest.mark.parametrize("kind", FLAGS)
@pytest.mark.parametrize(("one", "other"), [(VALUES[0], VALUES[1]), (VALUES[0], VALUES[2]), (VALUES[1], VALUES[2])])
def test_a_flag_has_values_of_one_type(kind: str, one: str, other: str) -> None:
    message = refusal(control_input(kind, f"{one}: [ 0, 1 ] {other}: [ 0, 1 ]"))
    assert message == (
        "sequence batching specifies more than one from 'int32_false_true', 'fp32_false_true' and 'bool_false_true' "
        f"for {kind} for m"
    )


@pytest.mark.parametrize("kind", FLAGS)
def test_a_flag_is_in_one_tensor(kind: str) -> None:
    fields = "int32_false_true: [ 0, 1 ]"
    message = refusal(control_input(kind, fields, "A") + control_input(kind, fields, "B"))
    assert message == f"sequence batching specifies multiple {kind} tensors for m"


@pytest.mark.parametrize("name", ["TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING"])
def test_types_of_sequence_ids(name: str) -> None:
    check(control_input("CONTROL_SEQUENCE_CORRID", f"data_type: {name}"))


@pytest.mark.parametrize("field", ["", "data_type: TYPE_FP32", "data_type: TYPE_INT16"])
def test_types_that_sequence_ids_cannot_have(field: str) -> None:
    assert refusal(control_input("CONTROL_SEQUENCE_CORRID", field)) == (
        "unexpected data type for control CONTROL_SEQUENCE_CORRID for m. Allowed data types are TYPE_UINT64, "
        "TYPE_INT64, TYPE_UINT32, TYPE_INT32 and TYPE_STRING"
    )


@pytest.mark.parametrize("field", VALUES)
def test_a_sequence_id_is_no_flag(field: str) -> None:
    message = refusal(control_input("CONTROL_SEQUENCE_CORRID", f"data_type: TYPE_UINT64 {field}: [ 0, 1 ]"))
    assert message == f"sequence batching must not specify either {ALL_VALUES} for CONTROL_SEQUENCE_CORRID for m"


def test_the_sequence_id_is_in_one_tensor() -> None:
    kind, field = "CONTROL_SEQUENCE_CORRID", "data_type: TYPE_UINT64"
    message = refusal(control_input(kind, field, "A") + control_input(kind, field, "B"))
    assert message == "sequence batching specifies multiple CONTROL_SEQUENCE_CORRID tensors for m"


def test_control_tensors_have_names() -> None:
    assert refusal("control_input {}") == "sequence batching control tensor must have a name for m"


def test_control_tensors_have_different_names() -> None:
    start = control_input("CONTROL_SEQUENCE_START", "int32_false_true: [ 0, 1 ]")
    end = control_input("CONTROL_SEQUENCE_END", "int32_false_true: [ 0, 1 ]")
    assert refusal(start + end) == (
        "sequence batching control tensor 'C' is specified for multiple control kinds for m"
    )


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "direct {}",
        "direct { minimum_slot_utilization: 1 }",
        "oldest { preferred_batch_size: [ 1, 4 ] }",
        'control_input { name: "C" control { kind: CONTROL_SEQUENCE_START bool_false_true: [ false, true ] } '
        "control { kind: CONTROL_SEQUENCE_END bool_false_true: [ false, true ] } }",
    ],
)
def test_good_fields(fields: str) -> None:
    check(fields)


def test_the_first_mistake_is_told() -> None:
    unnamed = "control_input { control { kind: CONTROL_SEQUENCE_CORRID } }"
    end = control_input("CONTROL_SEQUENCE_END", "")
    start = control_input("CONTROL_SEQUENCE_START", "", "S")
    strategy = "oldest { preferred_batch_size: 9 }"
    assert "<= max batch size" in refusal(unnamed + end + start + strategy)
    assert "must have a name" in refusal(end + start + unnamed)
    assert "CONTROL_SEQUENCE_START" in refusal(end + start)
