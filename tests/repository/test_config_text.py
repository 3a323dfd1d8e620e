from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonpy.repository.config_text import ConfigFileError, parse_config, read_config

FILE = "m/config.pbtxt"
GOOD = """
name: "m"
backend: "python"
max_batch_size: 8
input [ { name: "X" data_type: TYPE_FP32 dims: [ -1, 3 ] } ]
dynamic_batching { preferred_batch_size: [ 4, 8 ] }
parameters { key: "k" value { string_value: "v" } }
"""


@pytest.mark.parametrize(
    "text",
    [
        'input [ { name: "X" data_type: TYPE_INT8 dims: [ 2, -1 ] } ]',
        'input { name: "X" data_type: TYPE_INT8 dims: 2 dims: -1 }',
        'input: [ { name: "X", data_type: 6; dims: [ 2, -1 ] } ]',
        "input { name: 'X' # a comment\n data_type: TYPE_INT8 dims: [ 2, -1 ] }",
        'input < name: "" "X" data_type: TYPE_INT8 dims: [ 2, -1 ] >',
    ],
)
def test_every_spelling_of_protobuf_text_is_read(text: str) -> None:
    (entry,) = parse_config(text, FILE).input
    assert (entry.name, entry.data_type, list(entry.dims)) == ("X", 6, [2, -1])


@pytest.mark.parametrize("spelling", ["True", "true", "t", "1"])
def test_spellings_of_true(spelling: str) -> None:
    assert parse_config(f"response_cache {{ enable: {spelling} }}", FILE).response_cache.enable


def test_the_last_entry_for_a_key_of_a_map_wins() -> None:
    text = 'metric_tags { key: "k" value: "first" } metric_tags { key: "k" value: "second" }'
    assert dict(parse_config(text, FILE).metric_tags) == {"k": "second"}


def test_an_empty_file_is_an_empty_configuration() -> None:
    assert not parse_config("", FILE).ListFields()


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ('nme: "m"', 1, 1, "unknown field 'nme' in ModelConfig; did you mean 'name'?"),
        (
            'parameters { key: "k" value { text: "v" } }',
            1,
            31,
            "unknown field 'text' in ModelParameter; expected one of: string_value",
        ),
        ("\ninput [\n  { dim: [ 1 ] }\n]", 3, 5, "unknown field 'dim' in ModelInput; did you mean 'dims'?"),
        (
            "instance_group { kind: KIND_TPU }",
            1,
            24,
            "unknown value 'KIND_TPU' of ModelInstanceGroup.Kind; expected one of: KIND_AUTO, KIND_GPU, KIND_CPU, "
            "KIND_MODEL",
        ),
        ('name: "m"\nmax_batch_size: "8"', 2, 17, 'Couldn\'t parse integer: "8"'),
        ("max_batch_size: 3000000000", 1, 17, "Value out of range: 3000000000"),
        ("max_batch_size: 1 max_batch_size: 2", 1, 35, 'should not have multiple "max_batch_size" fields'),
        ('name "m"', 1, 6, 'Expected ":".'),
        ("input [ { dims: [ 1 ]", 1, 21, "Expected"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, line: int, column: int, problem: str) -> None:
    with pytest.raises(ConfigFileError) as raised:
        parse_config(text, FILE)
    assert (raised.value.line, raised.value.column) == (line, column)
    assert raised.value.message.startswith(f"{FILE}:{line}:{column}: ")
    assert problem in raised.value.message


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("dynamic_batching {} sequence_batching {}", ("sequence_batching", "dynamic_batching", "scheduling_choice")),
        ("version_policy { latest {} all {} }", ("all", "latest", "policy_choice")),
        ("sequence_batching { direct {} oldest {} }", ("oldest", "direct", "strategy_choice")),
    ],
)
def test_two_members_of_a_choice_conflict(text: str, members: tuple[str, ...]) -> None:
    with pytest.raises(ConfigFileError) as raised:
        parse_config(text, FILE)
    for member in members:
        assert f'"{member}"' in raised.value.message


@pytest.mark.parametrize("mistake", ['max_batch_size: "8"', "max_batch_size: 3000000000", "name 5", 'name: "open'])
def test_messages_hold_no_source_text_and_no_package(mistake: str) -> None:
    with pytest.raises(ConfigFileError) as raised:
        parse_config(f"response_cache {{}} {mistake}", FILE)
    assert "response_cache" not in raised.value.message
    assert "inference." not in raised.value.message


def test_a_file_is_named_from_the_models_folder_on(tmp_path: Path) -> None:
    path = tmp_path / "m" / "config.pbtxt"
    path.parent.mkdir()
    path.write_text("}")
    with pytest.raises(ConfigFileError) as raised:
        read_config(path)
    assert raised.value.message.startswith("m/config.pbtxt:1:1: ")
    assert str(tmp_path) not in raised.value.message


def test_a_file_that_is_not_utf_8_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_bytes(b'name: "m"\n# caf\xe9\n')
    with pytest.raises(ConfigFileError, match=":2:1: not UTF-8 text"):
        read_config(path)


@given(position=st.integers(0, len(GOOD)), removed=st.integers(0, 3), added=st.text(max_size=3))
def test_whatever_is_wrong_is_a_config_file_error(position: int, removed: int, added: str) -> None:
    text = GOOD[:position] + added + GOOD[position + removed :]
    place: int | None = None
    try:
        parse_config(text, FILE)
    except ConfigFileError as error:
        place = error.line
    assert place is None or 1 <= place <= text.count("\n") + 1
