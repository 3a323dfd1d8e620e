"""Every message about ensembles that needs no other model, in Triton's words, and which one comes first."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.repository.configs import config_of
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.repository.ensemble_rules import validate_ensemble


def step(inputs: Mapping[str, str], outputs: Mapping[str, str], model: str = "a") -> str:
    maps = [f'input_map {{ key: "{key}" value: "{value}" }}' for key, value in inputs.items()]
    maps += [f'output_map {{ key: "{key}" value: "{value}" }}' for key, value in outputs.items()]
    return f'step {{ model_name: "{model}" {" ".join(maps)} }}'


def check(*steps: str, inputs: str = "X", outputs: str = "Y", fields: str = "") -> None:
    tensors = [f'input {{ name: "{name}" }}' for name in inputs]
    tensors += [f'output {{ name: "{name}" }}' for name in outputs]
    scheduling = f"ensemble_scheduling {{ {' '.join(steps)} }}"
    validate_ensemble(config_of(f'name: "e" platform: "ensemble" {" ".join(tensors)} {scheduling} {fields}'))


def refusal(*steps: str, inputs: str = "X", outputs: str = "Y", fields: str = "") -> str:
    with pytest.raises(InvalidArgumentError) as raised:
        check(*steps, inputs=inputs, outputs=outputs, fields=fields)
    return raised.value.message


X_TO_Y = step({"I": "X"}, {"O": "Y"})


def test_there_is_a_schedule() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        validate_ensemble(config_of('name: "e" platform: "ensemble"'))
    assert raised.value.message == "ensemble scheduling must be set for ensemble e whose platform is ensemble"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("instance_group {}", "instance group should not be specified for ensemble 'e'"),
        ("optimization {}", "optimization should not be specified for ensemble 'e'"),
        ("model_warmup {}", "model_warmup can not be specified for ensemble 'e'"),
    ],
)
def test_what_ensembles_do_not_have(fields: str, message: str) -> None:
    assert refusal(X_TO_Y, fields=fields) == message


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "must specify 'step' for ensemble 'e'"),
        ([step({"I": "X"}, {"O": "Y"}, model="")], "must specify 'model_name' in step 0 of ensemble 'e'"),
        ([X_TO_Y, step({}, {"O": "Z"})], "must specify 'input_map' in step 1 of ensemble 'e'"),
        ([X_TO_Y, step({"I": "Y"}, {})], "must specify 'output_map' in step 1 of ensemble 'e'"),
        (
            [X_TO_Y, step({"I": "X"}, {"O": "Y"})],
            "ensemble tensor 'Y' can appear in an output map only once for ensemble 'e' step 1",
        ),
        (
            [step({"I": "X"}, {"O": "Y", "P": "Y"})],
            "ensemble tensor 'Y' can appear in an output map only once for ensemble 'e' step 0",
        ),
    ],
)
def test_a_wrong_step(steps: list[str], message: str) -> None:
    assert refusal(*steps) == message


@pytest.mark.parametrize(
    ("steps", "inputs", "outputs", "message"),
    [
        ([X_TO_Y], "XA", "Y", "ensemble input 'A' for ensemble e' is not used"),
        ([X_TO_Y], "X", "YB", "ensemble output 'B' for ensemble e' is not used"),
        (
            [step({"I": "X", "J": "Q"}, {"O": "Y"})],
            "X",
            "Y",
            "output 'Y' for ensemble 'e' is not written: at least one of its depending tensors, 'Q', is not connected",
        ),
        (
            [step({"I": "X", "J": "Y"}, {"O": "Z"}), step({"I": "X", "J": "Z"}, {"O": "Y"})],
            "X",
            "Y",
            "output 'Y' for ensemble 'e' is not written: at least one of its depending tensors, 'Z', is not connected",
        ),
        ([X_TO_Y, step({"I": "Q"}, {"O": "Z"})], "X", "YQ", "output 'Q' for ensemble 'e' is not written"),
        ([step({"I": "X"}, {"O": "Y", "P": "Z"})], "X", "Y", "ensemble tensor 'Z' is unused in ensemble 'e'"),
        (
            [X_TO_Y, step({"I": "A"}, {"O": "B"}), step({"I": "B"}, {"O": "A"})],
            "X",
            "Y",
            "ensemble tensor 'A' is unused in ensemble 'e'",
        ),
    ],
)
def test_tensors_that_lead_nowhere(steps: list[str], inputs: str, outputs: str, message: str) -> None:
    assert refusal(*steps, inputs=inputs, outputs=outputs) == message


@pytest.mark.parametrize(
    ("steps", "inputs", "outputs"),
    [
        ([X_TO_Y], "X", "Y"),
        # Steps may be listed in any order.
        ([step({"I": "B"}, {"O": "Y"}), step({"I": "A"}, {"O": "B"}), step({"I": "X"}, {"O": "A"})], "X", "Y"),
        # One tensor for two steps, which come together again.
        (
            [step({"I": "X"}, {"O": "A"}), step({"I": "X"}, {"O": "B"}), step({"I": "A", "J": "B"}, {"O": "Y"})],
            "X",
            "Y",
        ),
        # What clients get may be the input of a step as well.
        ([step({"I": "X"}, {"O": "A"}), step({"I": "A"}, {"O": "Y"})], "X", "AY"),
    ],
)
def test_good_graphs(steps: list[str], inputs: str, outputs: str) -> None:
    check(*steps, inputs=inputs, outputs=outputs)


def test_the_first_mistake_is_told() -> None:
    wrong_step = step({}, {"O": "Y"}, model="")
    assert "instance group" in refusal(wrong_step, fields="instance_group {} optimization {}")
    assert "'model_name'" in refusal(wrong_step, inputs="XA")
    assert "input 'A'" in refusal(X_TO_Y, inputs="XA", outputs="YB")
