"""`pb_utils.ModelConfig`, the object of `auto_complete_config`."""

from __future__ import annotations

from typing import Any

import pytest

from tritonpy.backends.python.pb_model_config import ModelConfig

TENSOR = {"name": "T", "data_type": "TYPE_FP32", "dims": [4]}


def test_the_dictionary_is_live() -> None:
    config = ModelConfig({"name": "m"})
    config.as_dict()["parameters"] = {}
    config.set_max_batch_size(4)
    config.set_dynamic_batching()
    config.set_model_transaction_policy({"decoupled": True})
    assert config.as_dict() == {
        "name": "m",
        "parameters": {},
        "max_batch_size": 4,
        "dynamic_batching": {},
        "model_transaction_policy": {"decoupled": True},
    }


def test_a_smaller_configured_batch_size_is_raised_and_a_larger_refused() -> None:
    config = ModelConfig({"name": "m", "max_batch_size": 2})
    config.set_max_batch_size(4)
    assert config.as_dict()["max_batch_size"] == 4
    with pytest.raises(ValueError, match="configuration specified max_batch_size 4, .* specified max_batch_size 3"):
        config.set_max_batch_size(3)


@pytest.mark.parametrize("kind", ["input", "output"])
def test_new_tensors_are_added_and_open_ones_completed(kind: str) -> None:
    config = ModelConfig({"name": "m", kind: [{"name": "T", "data_type": "TYPE_INVALID", "dims": []}]})
    add = getattr(config, f"add_{kind}")
    add(TENSOR)
    add({**TENSOR, "name": "U"})
    assert config.as_dict()[kind] == [TENSOR, {**TENSOR, "name": "U"}]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ({**TENSOR, "data_type": "TYPE_INT32"}, "expects datatype TYPE_FP32 for 'T', model provides TYPE_INT32"),
        ({**TENSOR, "dims": [5]}, r"the model expects dims \[5\] but the model configuration specifies dims \[4\]"),
        ({**TENSOR, "shape": [4]}, "contains property other than 'name', 'data_type', 'dims'.*: 'shape'"),
        ({"name": "T", "dims": [4]}, "is missing 'data_type' property"),
    ],
)
@pytest.mark.parametrize("kind", ["input", "output"])
def test_contradictions_are_errors(kind: str, tensor: dict[str, Any], message: str) -> None:
    config = ModelConfig({"name": "m", kind: [dict(TENSOR)]})
    with pytest.raises(ValueError, match=message):
        getattr(config, f"add_{kind}")(tensor)


def test_only_inputs_may_be_optional() -> None:
    config = ModelConfig({"name": "m"})
    config.add_input({**TENSOR, "optional": True})
    with pytest.raises(ValueError, match="property other than"):
        config.add_output({**TENSOR, "optional": True})


def test_schedulers_and_policies_do_not_change() -> None:
    config = ModelConfig({"name": "m", "sequence_batching": {}, "model_transaction_policy": {"decoupled": False}})
    with pytest.raises(ValueError, match="Configuration specified sequence_batching"):
        config.set_dynamic_batching()
    with pytest.raises(ValueError, match="trying to change decoupled property"):
        config.set_model_transaction_policy({"decoupled": True})
    with pytest.raises(ValueError, match="other than 'decoupled'"):
        config.set_model_transaction_policy({"other": True})
    with pytest.raises(ValueError, match="missing 'decoupled'"):
        config.set_model_transaction_policy({})
